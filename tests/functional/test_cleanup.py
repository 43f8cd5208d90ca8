"""`cleanup` removes what pgrevive made, and nothing that somebody else has or uses."""

import shutil

import pytest

from rig.cluster import Cluster
from rig.postgres import Server, binaries, server_user, trusting_hba
from rig.process import free_port, run
from rig.program import message
from rig.workspace import give

BUSY = 30


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
