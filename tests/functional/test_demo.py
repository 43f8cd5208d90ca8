"""`./cluster-manager.sh demo`: from nothing to a cluster, without a question."""

import pytest

from rig.cluster import Cluster, Manager
from rig.process import listening
from rig.program import message
from rig.workspace import Workspace


@pytest.fixture
def space(request):
    workspace = Workspace("d")
    yield workspace
    workspace.remove()


def test_demo(pgrevive, space):
    """Makes a source, backs it up with pgBackRest, drops it, and restores primary and replica."""
    cluster = Cluster(pgrevive, space.directory("h"), name="demo")
    manager = Manager(cluster, ["--cluster", "demo"])
    demo = ("demo", "--primary-port", str(cluster.primary_port),
            "--replica-port", str(cluster.replica_port),
            "--adminer-port", str(cluster.adminer_port), "--scale", "1")
    try:
        result = manager(*demo, timeout=900)
        text = message(result)
        for port in (cluster.primary_port, cluster.replica_port, cluster.adminer_port):
            assert str(port) in text, text
            assert listening(port)
        assert "psql" in text, text
        nodes = {node["name"]: node for node in cluster.status()["nodes"]}
        assert nodes["primary"]["role"] == "primary"
        assert nodes["replica"]["replication"] == "streaming"
        assert nodes["primary"]["backup_label"] in text
        cluster.run("test")
        every_word(manager, cluster)
        # A second time it takes what is there.
        pids = {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        manager(*demo, timeout=900)
        assert pids == {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        manager("demo", "--clean")
        assert not listening(cluster.primary_port)
        assert list(cluster.home.iterdir()) == [], "something of the demo is left"
    finally:
        cluster.gone()


def every_word(manager, cluster):
    """cluster-manager.sh with the reference's own words."""
    for command in ("status", "test", "logs"):
        assert manager(command).stdout, command
    assert "primary" in manager("logs-primary").stdout
    assert "replica" in manager("logs-replica").stdout
    for node, port, recovering in (("primary", cluster.primary_port, "f"),
                                   ("replica", cluster.replica_port, "t")):
        assert manager(f"psql-{node}", "-Atc",
                       "select pg_is_in_recovery()").stdout.strip() == recovering
        assert manager(f"exec-{node}", "sh", "-c", "echo $PGPORT").stdout.strip() == str(port)
    text = manager("help").stdout
    for command in ("start", "stop", "restart", "status", "logs-primary", "psql-replica", "cleanup"):
        assert command in text
    result = manager("strat", check=False)
    assert result.returncode != 0 and "start" in message(result)
