"""`test` and `status` say what is broken, by name and exit code, and nothing else is blamed."""

import contextlib
import json
import os
import signal
import time

import pytest

from rig.cluster import Cluster
from rig.postgres import binaries
from rig.process import Daemon, wait_until
from rig.program import message


@pytest.fixture(scope="module")
def cluster(pgrevive, space, story):
    cluster = Cluster(pgrevive, space.directory("h"), story.values(), name="checked")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.gone(without=("replica",))  # which the last test promotes


def failing(cluster):
    """Names of the checks that fail; the exit code has to agree with them."""
    result = cluster.run("test", "--json", check=False)
    answer = json.loads(result.stdout)
    names = {check["name"] for check in answer["checks"] if check["result"] == "failed"}
    assert result.returncode == (1 if names else 0), message(result)
    assert answer["passed"] == (not names)
    assert all(check["detail"] for check in answer["checks"] if check["name"] in names)
    return names


@contextlib.contextmanager
def setting(cluster, node, name, value, seconds=20):
    """ALTER SYSTEM for as long as the block lasts."""
    def becomes(statement, wanted):
        cluster.sql(node, f"alter system {statement}; select pg_reload_conf()")
        wait_until(lambda: wanted(cluster.sql(node, f"show {name}")), seconds, statement)

    before = cluster.sql(node, f"show {name}")
    becomes(f"set {name} = '{value}'", lambda now: now == value)
    try:
        yield
    finally:
        becomes(f"reset {name}", lambda now: now == before)


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def nobody_let_in(cluster, node):
    """pg_hba.conf of a node refuses whoever comes over TCP."""
    path = cluster.root / node / "conf" / "pg_hba.conf"
    before = path.read_text()
    pid = cluster.node(node)["pid"]
    path.write_text("host all all all reject\n" + before)
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: cluster.sql(node, "select 1", check=False).returncode != 0, 10, "refused")
    try:
        yield
    finally:
        path.write_text(before)
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: cluster.sql(node, "select 1", check=False).returncode == 0, 10, "let in")


@contextlib.contextmanager
def no_adminer(cluster):
    with stopped(*(pid for pid, line in cluster.processes().items() if line.startswith("php"))):
        yield


@contextlib.contextmanager
def no_database(cluster):
    cluster.sql("primary", 'drop database "odd name ü"')
    try:
        yield
    finally:
        cluster.sql("primary", 'create database "odd name ü"')
        cluster.caught_up()


@contextlib.contextmanager
def locked(cluster):
    """Somebody holds the lock that a write needs, and nobody waits for it for long."""
    cluster.sql("primary", "alter role postgres set lock_timeout = '500ms'")
    holder = Daemon([binaries() / "psql", "-X", "-h", "127.0.0.1", "-p", str(cluster.primary_port),
                     "-U", "postgres", "-d", "testdb", "-c",
                     "begin; create table pgrevive_test (token text); select pg_sleep(60)"],
                    cluster.home.parent / "holder.log",
                    env={"PGPASSWORD": cluster.values["POSTGRES_PASSWORD"]})
    asleep = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid()"
    try:
        wait_until(lambda: cluster.sql("primary", asleep) == "1", 10, "the lock is held")
        yield
    finally:
        holder.stop()
        cluster.sql("primary", "select pg_terminate_backend(pid) from pg_stat_activity where query "
                    "like '%pg_sleep(60)' and pid <> pg_backend_pid()")
        cluster.sql("primary", "alter role postgres reset lock_timeout")


# How it is broken, and the checks that have to notice.
BREAKS = {
    "Adminer hangs": (no_adminer, {"Adminer answers"}),
    "archive_command": (lambda c: setting(c, "primary", "archive_command", "false"),
                        {"WAL archiving works"}),
    "database dropped": (no_database, {"restored databases are there"}),
    "read only": (lambda c: setting(c, "primary", "default_transaction_read_only", "on"),
                  {"a row reaches replica", "WAL archiving works"}),
    "lock held": (locked, {"a row reaches replica", "WAL archiving works"}),
    "replica refuses": (lambda c: nobody_let_in(c, "replica"),
                        {"replica answers", "replica has its role", "a row reaches replica",
                         "replica refuses writes", "replica is of the same cluster",
                         "restored databases are there"}),
    "primary refuses": (lambda c: nobody_let_in(c, "primary"),
                        {"primary answers", "primary has its role", "replica streams",
                         "a row reaches replica", "replica is of the same cluster",
                         "restored databases are there", "WAL archiving works"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_check_fails_by_name(cluster, name):
    """And all pass again when it is mended."""
    how, names = BREAKS[name]
    with how(cluster):
        assert failing(cluster) == names
    wait_until(lambda: failing(cluster) == set(), 30, "all checks pass again")


def test_a_server_that_hangs(cluster):
    """A stopped process is reported within bounds, by `test` and by `status`."""
    with stopped(cluster.node("replica")["pid"]):
        began = time.monotonic()
        assert "replica answers" in failing(cluster)
        assert time.monotonic() - began < 15, "more than one check waited for it"
        assert cluster.run("status", check=False).returncode == 1
    wait_until(lambda: failing(cluster) == set(), 60, "all checks pass again")


def test_status_of_a_degraded_cluster(cluster):
    """Exit code 1 for as long as the replica does not stream, and 0 afterwards."""
    assert cluster.run("status").returncode == 0
    with setting(cluster, "replica", "primary_conninfo", ""):
        wait_until(lambda: cluster.sql("primary", "select count(*) from pg_stat_replication") == "0",
                   20, "the replica is cut off")
        result = cluster.run("status", check=False)
        assert result.returncode == 1, message(result)
        assert "streaming" not in result.stdout and "disconnected" in result.stdout
        replica = cluster.node("replica")
        assert (replica["state"], replica["replication"]) == ("accepting", "disconnected")
    wait_until(lambda: cluster.run("status", check=False).returncode == 0, 30, "all is well again")


def test_a_promoted_replica(cluster):
    """The last test with this cluster: two primaries are no cluster any more."""
    cluster.sql("replica", "select pg_promote()")
    assert failing(cluster) == {"replica has its role", "replica streams", "a row reaches replica",
                                "replica refuses writes", "replica is of the same cluster"}
    result = cluster.run("status", check=False)
    assert result.returncode == 1, message(result)
