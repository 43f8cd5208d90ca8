"""`cleanup` removes what pgrevive made, and nothing that somebody else has or uses."""

import fcntl
import json
import os
import shutil
import signal

import pytest

from rig.cluster import Cluster
from rig.faulty_calls import Call, FaultyCalls
from rig.postgres import Server, binaries, server_user, trusting_hba
from rig.process import free_port, run
from rig.program import message
from rig.workspace import give

NOT_EMPTY, BUSY = 26, 30


@pytest.fixture
def cluster(pgrevive, space, request):
    """A small one, empty and stopped."""
    name = request.node.name.removeprefix("test_")[:12].strip("_")
    cluster = Cluster(pgrevive, space.directory("h"), {
        "RESTORE_FROM_BACKUP": "false", "REPLICAS": 0, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0},
        name=name)
    try:
        cluster.start()
        cluster.stop()
        yield cluster
    finally:
        cluster.gone()
        shutil.rmtree(cluster.root, ignore_errors=True)


def foreign_server(space, data, name):
    place = space.directory(name, owner=server_user())
    server = Server(data, port=free_port(), sockets=place, log=place / "server.log")
    return server.start(hba_file=trusting_hba(place), archive_mode="off")


def own_directory(path):
    """One that whoever runs servers can make a database cluster in."""
    path.mkdir(mode=0o700)
    give(path, server_user())


def initdb(data):
    run([binaries() / "initdb", "-D", data, "-U", "postgres", "--no-sync", "--auth=trust"],
        user=server_user())


def test_server_on_its_data(cluster, space):
    """Started by hand on the data directory of the stopped cluster."""
    data = cluster.root / "primary" / "data"
    server = foreign_server(space, data, "byhand")
    try:
        before = list(data.rglob("*"))
        for command in (["cleanup", "--yes"], ["start"]):
            result = cluster.run(*command, check=False)
            assert result.returncode == BUSY, message(result)
            assert str(data) in result.stderr and "hint: " in result.stderr
            assert len(list(data.rglob("*"))) >= len(before)
            assert server.sql("select 1") == "1"
        checks = json.loads(cluster.run("doctor", "--json", check=False).stdout)["checks"]
        failed, = (line for line in checks if line["result"] == "failed")
        assert failed["name"] == "other servers" and str(data) in failed["detail"], failed
        assert failed["remedy"] and server.sql("select 1") == "1"
    finally:
        server.stop()
    cluster.run("cleanup", "--yes")
    assert not cluster.root.exists()


def test_server_inside_its_directory(cluster, space):
    """Somebody's own cluster below the cluster's directory stays, and goes on running."""
    theirs = cluster.root / "theirs"
    own_directory(theirs)
    initdb(theirs)
    server = foreign_server(space, theirs, "inside")
    try:
        text = message(cluster.run("cleanup", "--yes", check=False))
        assert str(theirs) in text
        assert server.sql("select count(*) > 0 from pg_class") == "t"
        assert server.sql("create table t as select 1 as i; checkpoint; select i from t") == "1"
    finally:
        server.stop()


def test_server_with_a_tablespace_inside(cluster, space):
    """A server elsewhere that has put a tablespace below the cluster's directory keeps it."""
    theirs = space.directory("elsewhere", owner=server_user())
    initdb(theirs / "data")
    place = cluster.root / "primary" / "tablespaces" / "theirs"
    own_directory(place.parent)
    own_directory(place)
    server = foreign_server(space, theirs / "data", "sockets")
    try:
        server.sql(f"create tablespace mine location '{place}'")
        server.sql("create table t tablespace mine as select generate_series(1, 100) i; checkpoint")
        cluster.run("cleanup", "--yes", check=False)
        assert server.sql("select count(*) from t") == "100"
        assert any(place.iterdir())
    finally:
        server.stop()


def test_killed_in_the_middle(cluster, space):
    """kill -9 while data goes: nobody takes what is left for a cluster, and it can be completed."""
    calls = FaultyCalls(space.directory("calls"), cluster.root)
    point = Call("unlink", "cleanup", "@/.primary.gone/data/base/#/#")
    result = cluster.pgrevive("--env-file", cluster.env_file, "cleanup", "--yes", check=False,
                              env={**cluster.environment, **calls.struck(point, 100, "kill")})
    assert result.returncode == -signal.SIGKILL and calls.hits(), message(result)
    assert any((cluster.root / ".primary.gone" / "data" / "base").iterdir())
    assert not (cluster.root / "primary").exists()
    for command in ("start", "status"):
        result = cluster.run(command, check=False)
        assert result.returncode == NOT_EMPTY, message(result)
        assert "removal of this cluster was cut off" in result.stderr and "hint: " in result.stderr
    assert not cluster.processes()
    cluster.run("cleanup", "--yes")
    assert not cluster.root.exists()


def test_one_at_a_time(cluster):
    """Who comes while somebody throws the cluster away is told who that is."""
    with open(cluster.root / "change.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} start --anew\n")
        lock.flush()
        for command in (["cleanup", "--yes"], ["start"]):
            result = cluster.run(*command, check=False)
            assert result.returncode == BUSY, message(result)
            assert f"`start --anew`, pid {os.getpid()}" in result.stderr and "hint: " in result.stderr
    assert not cluster.processes()
    cluster.start()
    cluster.run("cleanup", "--yes")
    assert not cluster.root.exists()


def test_link_to_what_is_not_ours(cluster, space):
    """The directory is its owner's, who may leave links in it for root to follow."""
    victim = space.directory("victim")
    for name in ("data", "logs"):
        (victim / name).mkdir()
        (victim / name / "precious").write_text("years of work")
    primary, kept = cluster.root / "primary", cluster.root / "kept"
    primary.rename(kept)
    primary.symlink_to(victim)
    result = cluster.run("cleanup", "--yes", check=False)
    assert result.returncode == NOT_EMPTY and f"{primary} is a link" in result.stderr, message(result)
    assert (cluster.root / "settings.json").exists()
    primary.unlink()
    kept.rename(primary)
    shutil.rmtree(cluster.root / "logs")
    (cluster.root / "logs").symlink_to(victim / "logs")
    (primary / "data" / "link").symlink_to(victim / "data")
    cluster.run("cleanup", "--yes")
    assert not cluster.root.exists()
    assert len(list(victim.rglob("precious"))) == 2


def test_directory_that_is_not_ours(pgrevive, space):
    """One under the cluster's name that pgrevive did not make stays, whatever is asked."""
    cluster = Cluster(pgrevive, space.directory("other"), {"RESTORE_FROM_BACKUP": "false"},
                      name="mine")
    cluster.root.mkdir()
    (cluster.root / "thesis.odt").write_text("years of work")
    try:
        for command in (["cleanup", "--yes"], ["start"]):
            result = cluster.run(*command, check=False)
            assert result.returncode != 0, message(result)
            assert [path.name for path in cluster.root.iterdir()] == ["thesis.odt"]
        assert (cluster.root / "thesis.odt").read_text() == "years of work"
    finally:
        cluster.gone()
