"""Every major from 10 to 18: backed up by pgBackRest, lifted by us, with both nodes as they were."""

import re

import pytest

from rig.cluster import Cluster
from rig.process import run
from rig.versions import MAJORS, NEWEST_OF_BACKREST, QUESTION, Left, PageCheck
from rig.workspace import Workspace

NODES = ("primary", "replica")


class Lifted:
    """A cluster of that major, and what its source had."""

    def __init__(self, pgrevive, space, major):
        self.major = major
        self.space = space
        self.left = Left(major, space.directory("left"))
        known = {} if major <= NEWEST_OF_BACKREST else {"WAL_ARCHIVE": "off"}
        self.cluster = Cluster(pgrevive, space.directory("h"),
                               {**self.left.values(), "ADMINER_PORT": 0, **known}, name=f"v{major}")
        try:
            self.cluster.start()
        except BaseException:
            self.cluster.gone()
            raise


@pytest.fixture(scope="module", params=MAJORS)
def lifted(request, pgrevive):
    space = Workspace(f"v{request.param}")
    made = None
    try:
        made = Lifted(pgrevive, space, request.param)
        yield made
    finally:
        if made is not None:
            made.cluster.gone()
        space.remove()


@pytest.fixture(scope="module")
def page_check(session_workspace):
    return PageCheck(session_workspace.directory("page-check", owner="postgres"))


@pytest.mark.parametrize("node", NODES)
def test_rows(lifted, node):
    """Of the right major, with exactly the source's rows up to the last that was archived."""
    cluster = lifted.cluster
    assert cluster.sql(node, "show server_version_num")[:2] == str(lifted.major)
    assert cluster.sql(node, QUESTION) == lifted.left.answer
    assert cluster.sql(node, "select name from names", "odd name ü") == "ü"


def test_both_nodes_live(lifted):
    """The replica streams and gets what is written; `status` and `test` find all well."""
    cluster = lifted.cluster
    assert cluster.sql("primary", "select state from pg_stat_replication") == "streaming"
    cluster.sql("primary", "create table written as select generate_series(1, 1000) i; "
                "update pgbench_accounts set abalance = abalance + 1 where aid % 100 = 0")
    cluster.caught_up()
    assert cluster.sql("replica", "select count(*) from written") == "1000"
    assert cluster.sql("replica", QUESTION) == cluster.sql("primary", QUESTION)
    assert cluster.run("status").returncode == 0
    status = cluster.status()
    assert status["supervisor"]["phase"] == "running"
    assert [(node["name"], node["state"]) for node in status["nodes"]] == [
        (name, "accepting") for name in NODES]
    assert "FAILED" not in cluster.run("test").stdout


def test_indexes_and_heaps(lifted):
    """amcheck finds nothing, on both nodes: every index entry, every row that has to have one."""
    cluster = lifted.cluster
    for database in ("testdb", "odd name ü"):
        cluster.sql("primary", "create extension amcheck", database)
    cluster.caught_up()
    for node in NODES:
        for database in ("testdb", "odd name ü"):
            amcheck(lifted, node, database)


def amcheck(lifted, node, database):
    cluster = lifted.cluster
    if lifted.major >= 14:  # pg_amcheck's function for tables came with 14
        result = run([lifted.left.source.clients / "pg_amcheck", "--heapallindexed", "--jobs=2",
                      "-h", "127.0.0.1", "-p", str(cluster.port(node)), "-U", "postgres", database],
                     env={"PGPASSWORD": cluster.values["POSTGRES_PASSWORD"]}, check=False)
        said = [line for line in result.stderr.splitlines()
                if not re.match("NOTICE: .*unlogged index .* during recovery", line)]
        assert (result.returncode, result.stdout, said) == (0, "", []), node
        return
    # heapallindexed came with 11.
    check = "bt_index_check(c.oid, true)" if lifted.major >= 11 else "bt_index_check(c.oid)"
    checked = cluster.sql(node, f"""
select count({check}::text) from pg_class c join pg_am a on a.oid = c.relam
 where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p'""", database)
    assert int(checked) > 100, node


def test_checksums(lifted, page_check):
    """After a stop every page of both nodes has the checksum it should have."""
    lifted.cluster.stop()
    for node in NODES:
        result = page_check(lifted.cluster.root / node / "data", lifted.space.path / f"pages-{node}")
        blocks = re.search(r"Blocks scanned: +(\d+)\nBad checksums: +0\n", result.stdout)
        assert result.returncode == 0 and blocks, f"{node}: {result.stdout}{result.stderr}"
        assert int(blocks[1]) > 4000
