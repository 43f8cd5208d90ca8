"""`./cluster-manager.sh demo`: from nothing to a cluster, without a question; and what it says where
something is missing."""

import os
import pathlib
import re

import pytest

from rig import soundness
from rig.cluster import Cluster, Manager
from rig.postgres import server_user
from rig.process import listening, run
from rig.program import message
from rig.workspace import give


@pytest.mark.parametrize("who", ["behind a closed door", "plain user"])
def test_demo(pgrevive, space, checkout, who):
    """Makes a source, backs it up with pgBackRest, drops it, and restores primary and replica.

    As whoever runs the tests from a checkout that nobody else can enter; or as a plain user.
    """
    user = None
    checkout.chmod(0o700)
    if who == "plain user":
        if os.geteuid() != 0:
            pytest.skip("that is what the other one is, when not root")
        user = "nobody"
        checkout.chmod(0o755)
    elif server_user() is not None:
        assert run(["ls", checkout], user=server_user(), check=False).returncode != 0
    home = space.directory(who.split()[-1])
    give(home, user)
    cluster = Cluster(pgrevive, home, name="demo", user=user)
    manager = Manager(cluster, checkout, ["--cluster", "demo"])
    demo = ("demo", "--primary-port", str(cluster.primary_port),
            "--replica-port", str(cluster.replica_port),
            "--adminer-port", str(cluster.adminer_port), "--console-port", "0", "--scale", "1")
    try:
        text = message(manager(*demo, timeout=900))
        for port in (cluster.primary_port, cluster.replica_port, cluster.adminer_port):
            assert str(port) in text, text
            assert listening(port)
        assert "psql" in text and re.search(r"restored .* files, in \d", text), text
        nodes = {node["name"]: node for node in cluster.status()["nodes"]}
        assert nodes["primary"]["role"] == "primary"
        assert nodes["replica"]["replication"] == "streaming"
        assert nodes["primary"]["backup_label"] in text
        owner = {pathlib.Path(f"/proc/{pid}").stat().st_uid for pid in cluster.processes()}
        assert len(owner) == 1 and owner != {0}
        assert not any(str(checkout) in line for line in cluster.processes().values())
        cluster.run("test")
        if user is None:
            every_word(manager, cluster)
        # A second time it takes what is there.
        pids = {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        manager(*demo, timeout=900)
        assert pids == {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        assert_worked_on(text)
        env = (home / "demo-source" / "demo.env").read_text()
        cluster.values.update(POSTGRES_DB="shop", POSTGRES_PASSWORD=re.search(
            "^POSTGRES_PASSWORD=(.*)$", env, re.MULTILINE)[1])
        assert soundness.prove(cluster) == ["primary", "replica"]
        if user is None:
            manager(*demo)  # of one that was stopped
            cluster.unproven = "it was a moment ago, and runs again only to be removed as it runs"
        manager("demo", "--clean")
        assert not listening(cluster.primary_port)
        assert list(cluster.home.iterdir()) == [], "something of the demo is left"
    finally:
        checkout.chmod(0o755)
        cluster.gone()


def assert_worked_on(text):
    """pgbench was at work while the source was backed up, and what it did last is there."""
    counts = re.search(r"^ *shop\.pgbench_history +(\d+) +(\d+) +(\d+)$", text, re.MULTILINE)
    assert counts and len({*counts.groups()}) == 1 and int(counts[1]) > 50, text


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


@pytest.mark.parametrize("command", ["start", "demo"])
def test_missing_package_is_named(space, checkout, command):
    """Who cannot install what is missing is told its name, before anything happens."""
    checkout.chmod(0o755)
    tools = space.directory(f"tools-{command}")
    query = tools / "dpkg-query"
    query.write_text("""#!/bin/sh
for package; do :; done
[ "$package" = php-pgsql ] && exit 1
exec /usr/bin/dpkg-query "$@"
""")
    query.chmod(0o755)
    result = run([checkout / "cluster-manager.sh", command], user="nobody", check=False,
                 env={"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
                      "PGREVIVE_HOME": space.path / "never-made"})
    assert result.returncode == 21, message(result)
    assert "php-pgsql" in result.stderr and "hint: " in result.stderr
    assert "postgresql-15" not in result.stderr
    assert not (space.path / "never-made").exists()
