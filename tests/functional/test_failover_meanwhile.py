"""A source that fails over while its archive is being recovered. The line was chosen before the first
byte; what was opened since is followed where it has all that was replayed, and told of where not."""

import shutil

import pytest

from rig import repofiles
from rig.cluster import Cluster
from rig.faults import FaultyService, Rule
from rig.line import first_line
from rig.postgres import server_user
from rig.process import wait_until
from rig.program import message
from rig.restored import ancestors, recovered
from rig.s3 import source_values
from rig.story import MARKERS
from rig.workspace import give

PREFIX = "meanwhile"


class Living:
    """A source on timeline 1 with a few segments behind its backup; the replay of the one that is
    `held` can be held up."""

    def __init__(self, directory):
        self.directory = directory
        self.line = line = first_line(directory)
        self.repo = line.repo
        line.mark("1a")
        line.switch_wal()
        line.work()
        line.mark("1b")
        self.held = line.switch_wal()
        line.mark("1c")
        line.switch_wal()

    def fail_over(self):
        """Whoever is promoted has everything: timeline 2 goes on where 1 ends."""
        self.line.die()
        self.line.promote()
        self.line.work()
        self.line.mark("2a")
        self.line.switch_wal()

    def split(self):
        """1 goes on beside 2, which left it before that."""
        self.line.die()
        other = self.line.copy(self.directory / "source" / "other")
        other.settings["restore_command"] = "false"  # it never hears of what 1 archives since
        self.line.start(**self.line.settings)
        self.line.mark("1d")
        self.line.switch_wal()
        yield
        other.promote()
        other.work()
        other.mark("2a")
        other.switch_wal()
        other.die()


@pytest.fixture
def living(workspace):
    made = Living(workspace.directory("living", owner=server_user()))
    yield made
    made.line.stop()


@pytest.fixture
def service(gateway, workspace):
    with FaultyService(gateway, workspace.path / "tls") as made:
        yield made


@pytest.fixture
def cluster(pgrevive, space, service, bucket, living, request):
    ca_file = space.path / "meanwhile-ca.crt"
    shutil.copy(service.ca_file, ca_file)
    ca_file.chmod(0o644)
    prefix = f"{PREFIX}-{request.node.name}".replace("_", "-")
    made = Cluster(pgrevive, space.directory("h"), {
        **source_values(bucket, prefix), "S3_ENDPOINT": service.endpoint, "S3_CA_FILE": ca_file,
        "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="meanwhile")
    made.upload = lambda **how: bucket.s3.upload(living.repo.path, bucket.name, prefix, **how)
    made.upload(finished=False)
    yield made
    made.gone()
    shutil.rmtree(made.home)


def held_up(cluster, service, living):
    """A start whose replay waits for a segment that the store does not let go of."""
    rule = service.add(Rule(living.held, "stall"))
    cluster.start("--detach")
    wait_until(lambda: rule.hits, 120, "the segment is asked for")
    assert cluster.status()["supervisor"]["phase"] in ("restoring", "recovering")


def up_with(cluster, service, rows):
    service.clear()
    cluster.start()
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == rows
    cluster.sql("primary", "insert into markers (what) values ('own')")
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == f"{rows},own"
    return cluster.status()["supervisor"]


def test_followed(cluster, service, living):
    """All that was replayed is part of the new timeline: recovery goes on along it, to its end."""
    held_up(cluster, service, living)
    living.fail_over()
    cluster.upload()
    status = up_with(cluster, service, "1a,1b,1c,2a")
    end = status["recovery_end"]
    assert (end["timeline"], end["new_timeline"]) == (2, 3)
    assert end["newest_archived_wal"] == max(repofiles.segments(living.repo.path))
    assert any("timeline 2 was opened while timeline 1 was recovered" in warning
               for warning in status["warnings"]), status["warnings"]


def test_not_followed(cluster, service, living):
    """1 went on beside the new timeline, and that was replayed: what has begun on 1 ends on 1."""
    split = living.split()
    next(split)
    cluster.upload(finished=False)
    held_up(cluster, service, living)
    next(split, None)
    cluster.upload()
    status = up_with(cluster, service, "1a,1b,1c,1d")
    assert status["recovery_end"]["timeline"] == 1
    assert status["recovery_end"]["new_timeline"] == 3
    assert any("timeline 2 was opened meanwhile and is not followed" in warning
               and "RECOVERY_TARGET_TIMELINE=2" in warning
               for warning in status["warnings"]), status["warnings"]


def test_strayed(cluster, living, space):
    """Timeline 2 is known and the segment in which it begins has not come yet; that of 1 is there, in which
    1 went on. Which of both is meant a person says. Who names 2 gets what 1 has of it, and no more, by
    `start` and of `restore` alone; and 1 is named as soon as 2 has the newer rows."""
    for _ in living.split():
        pass
    beginnings = {path: path.read_bytes() for name, path in
                  repofiles.archive(living.repo.path).items()
                  if name.startswith("00000002") and len(name) == 24}
    for path in beginnings:
        path.unlink()
    cluster.upload(finished=False)
    result = cluster.start(check=False)
    assert result.returncode == 21, message(result)
    assert "timeline 1 goes on beside timeline 2 from 0/" in result.stderr, message(result)
    assert not cluster.root.exists()

    cluster.start("--target-timeline", "2")
    assert cluster.sql("primary", MARKERS) == "1a,1b,1c"
    end = cluster.status()["supervisor"]["recovery_end"]
    assert (end["timeline"], end["new_timeline"]) == (2, 3)
    assert end["newest_archived_wal"] == max(repofiles.segments(living.repo.path))
    data = space.directory("alone", owner=server_user()) / "data"
    cluster.pgrevive.restore(living.repo.conf, {"primary": data}, "--type", "default",
                             "--target-timeline", "2", user=server_user())
    with recovered(data, data.parent) as server:
        assert server.sql(MARKERS, "testdb") == "1a,1b,1c" and ancestors(server) == [1, 2]

    for path, content in beginnings.items():
        path.write_bytes(content)
        give(path, server_user())
    cluster.upload()
    cluster.start("--anew", "--yes")
    assert cluster.sql("primary", MARKERS) == "1a,1b,1c,2a"
    warnings = cluster.status()["supervisor"]["warnings"]
    assert any("timeline 1 goes on beside timeline 2 from 0/" in said for said in warnings), warnings


def test_named(cluster, service, living):
    """Who named a timeline gets that one."""
    cluster.values["RECOVERY_TARGET_TIMELINE"] = "1"
    cluster.write_env()
    held_up(cluster, service, living)
    living.fail_over()
    cluster.upload()
    status = up_with(cluster, service, "1a,1b,1c")
    assert status["recovery_end"]["timeline"] == 1


@pytest.mark.thorough(named=("2",))
@pytest.mark.parametrize("named", ["2", ""])
def test_lost_with_all_its_wal(pgrevive, space, living, named):
    """All WAL of the timeline that is followed goes away before it is its turn, and its history stays: what
    is left of the line is not taken for all of it. Once it is back, the next start goes on."""
    living.fail_over()
    repository = repofiles.copy(living.repo.path, space.path / f"repo-{named}")
    cluster = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": repository, "PGBACKREST_STANZA": "main",
        "RECOVERY_TARGET_TIMELINE": named, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="lost")
    segments = {path: space.path / name for name, path in repofiles.archive(repository).items()
                if name.startswith("00000002") and len(name) == 24}
    newest = max(repofiles.segments(repository))
    assert newest.startswith("00000002")
    try:
        start = cluster.start_in_background()
        wait_until((cluster.root / "primary" / "data").exists, 60, "the restore begins", every=0.001)
        for path, aside in segments.items():
            path.rename(aside)
        start.process.wait(60)
        result = cluster.start(check=False)
        assert result.returncode == 23 and newest in result.stderr, message(result)
        cluster.prove_unopened()
        for path, aside in segments.items():
            aside.rename(path)
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == "1a,1b,1c,2a"
        assert cluster.status()["supervisor"]["recovery_end"]["timeline"] == 2
    finally:
        cluster.gone()
        shutil.rmtree(cluster.home)


def test_stopped_in_between(cluster, service, living):
    """A `start` that goes on does so on the line that was begun, though a new one would choose the
    other: it knows what was replayed, not what should have been."""
    split = living.split()
    next(split)
    cluster.upload(finished=False)
    held_up(cluster, service, living)
    cluster.stop()
    next(split, None)
    cluster.upload()
    assert up_with(cluster, service, "1a,1b,1c,1d")["recovery_end"]["timeline"] == 1
