"""What a cluster's processes are given, and nodes that come, go and come again."""

import os
import pathlib
import pwd
import re
import resource
import signal
import socket
import subprocess

import pytest

from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster
from rig.process import run
from rig.workspace import Workspace

CANARY = "exported-by-the-caller-83b1"


@pytest.fixture(scope="module")
def repo(session_workspace):
    directory = session_workspace.directory("processes")
    source = SourceCluster(directory / "source", segment_mb=1).create().start()
    repo = BackrestRepo(directory / "backups", source, compress="zst").create_stanza()
    source.sql("create database testdb")
    source.sql("create table t as select i, repeat(md5(i::text), 30) as filler "
               "from generate_series(1, 30000) i", "testdb")
    source.prepare_load("testdb")
    repo.backup("full")
    source.switch_wal()
    source.stop()
    return repo.finished()


@pytest.fixture
def cluster(pgrevive, repo):
    space = Workspace("p")
    space.path.chmod(0o755)
    made = ExportingCluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": repo.path, "PGBACKREST_STANZA": "main"})
    yield made
    made.gone()
    space.remove()


class ExportingCluster(Cluster):
    """Its commands are typed in a shell that exports secrets and settings for other things."""

    @property
    def environment(self):
        return {**super().environment, "S3_SECRET_KEY": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY,
                "PGPASSWORD": CANARY, "PGPORT": "1", "PGBACKREST_REPO1_PATH": f"/{CANARY}",
                "GITHUB_TOKEN": CANARY}


def environment_of(pid):
    return pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")


def test_environment_of_every_process(cluster):
    """Neither servers, nor PHP, nor the supervisor have what the caller of `start` exported."""
    cluster.start()
    own = dict(cluster.processes())  # the supervisor, PHP
    servers = {cluster.node(node)["pid"]: f"postmaster of {node}" for node in ("primary", "replica")}
    children = {int(pid): f"child of the {name}" for server, name in servers.items() for pid in
                pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split()}
    names = " ".join(own.values())
    assert "supervise" in names and "php" in names and len(children) > 8, (names, children)
    for pid, name in {**own, **servers, **children}.items():
        try:
            found = environment_of(pid)
        except OSError:
            continue  # it has ended since
        assert CANARY not in found, name
        # PostgreSQL's children write their titles over their environments.
        assert "PATH=" in found or pid in children, name
    # Not even to others of the same user, as whom restored servers run their superusers' programs.
    supervisor = next(pid for pid, name in own.items() if "supervise" in name)
    if os.geteuid() == 0:
        assert pathlib.Path(f"/proc/{supervisor}/environ").stat().st_uid == 0, "it could be looked into"
        owner = cluster.root.stat().st_uid
        assert owner != 0
        result = run(["cat", f"/proc/{supervisor}/environ"], user=pwd.getpwuid(owner).pw_name,
                     check=False)
        assert result.returncode != 0 and "Permission denied" in result.stderr
    # Nor does what holds passwords of who logs in write any of it to a disk.
    php = next(pid for pid, name in own.items() if "php" in name)
    limits = pathlib.Path(f"/proc/{php}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits
    # And what it was told by .env is all that counts.
    cluster.run("test")


def dumps_core(command, began, cwd):
    """Whether the kernel writes a core dump of it, when it is killed by a fault after `began()`, where
    nothing but the process itself forbids that."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.DEVNULL,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited)) as child:
        began()
        child.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(child.pid, 0)
        child.returncode = -signal.SIGSEGV
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return os.WCOREDUMP(status)


def test_a_fault_leaves_no_core_dump(pgrevive, space):
    """Which would have the keys in it."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY and os.geteuid() != 0:
        pytest.fail("core dumps are forbidden here, so that nothing can be seen; run it as root")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        settings = space.path / "silent.env"
        settings.write_text("REPO_TYPE=s3\nS3_BUCKET=b\nS3_REGION=r\nS3_ACCESS_KEY=k\nS3_PATH=/p\n"
                            f"S3_SECRET_KEY={CANARY}\n"
                            f"S3_ENDPOINT=http://127.0.0.1:{silent.getsockname()[1]}\n")
        settings.chmod(0o600)
        assert not dumps_core([pgrevive.path, "--env-file", settings, "info"], silent.accept, space.path)
    # One that says nothing of it leaves one.
    assert dumps_core(["sleep", "60"], lambda: None, space.path)


def test_replica_that_was_half_restored_dropped_and_wanted_again(cluster):
    """What the interrupted restore left of it is no obstacle to a copy of the primary."""
    left = cluster.start_and_kill()
    cluster.values["REPLICAS"] = 0
    cluster.write_env()
    cluster.start()
    assert left.exists()
    cluster.sql("primary", "create table later (i int)")
    cluster.stop()

    cluster.values["REPLICAS"] = 1
    cluster.write_env()
    cluster.start()
    cluster.caught_up()
    assert cluster.sql("replica", "select count(*) from t") == "30000"
    assert cluster.sql("replica", "select count(*) from later") == "0"
    assert not left.exists()
