"""Starts of every kind: with mistakes, broken off, from a bucket, as somebody else, at once."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import time

import pytest

from rig import soundness
from rig.cluster import PASSWORD, Cluster, command_lines
from rig.faulty_calls import FaultyCalls
from rig.process import run, wait_until
from rig.program import message
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS
from rig.workspace import give


def test_all_mistakes_at_once(pgrevive, space):
    """Every mistake in .env is reported with its line and remedy, before anything happens."""
    cluster = Cluster(pgrevive, space.directory("h3"), name="wrong")
    cluster.env_file.write_text("""CLUSTER_NAME=wrong
POSTGRES_PASSWORD=
POSTGRES_PRIMARY_PORT=99999
POSTGRES_REPLICA_PORT=abc
SHARED_BUFERS=1GB
WORK_MEM=lots
REPO_TYPE=s3
S3_BUCKET=your-bucket-name
S3_ENDPOINT=https://s3.example.com
S3_ACCESS_KEY=AKIAEXAMPLESECRET0001
WAL_ARCHIVE=sometimes
""")
    result = cluster.start(check=False)
    assert result.returncode == 21, message(result)
    text = result.stderr
    for line, words in ((2, "POSTGRES_PASSWORD"), (3, "POSTGRES_PRIMARY_PORT"),
                        (4, "POSTGRES_REPLICA_PORT"), (5, "SHARED_BUFFERS"), (6, "WORK_MEM"),
                        (8, "S3_BUCKET"), (11, "WAL_ARCHIVE")):
        assert re.search(rf"line {line}: .*{words}", text), text
    assert "S3_SECRET_KEY" in text
    assert "AKIAEXAMPLESECRET0001" not in text
    assert not cluster.root.exists()


def test_repository_trouble_is_told_before_anything(pgrevive, space, story):
    """A wrong passphrase: said at once, nothing left behind that a later start stumbles over."""
    cluster = Cluster(pgrevive, space.directory("h4"), story.values(), name="locked")
    cluster.values["REPO_CIPHER_PASS"] = "wrong"
    cluster.write_env()
    try:
        result = cluster.start(check=False)
        assert result.returncode == 21, message(result)
        assert "passphrase" in result.stderr and "hint: " in result.stderr
        assert not cluster.root.exists()
        cluster.values["REPO_CIPHER_PASS"] = CIPHER_PASS
        cluster.write_env()
        cluster.start()
        assert cluster.sql("replica", MARKERS) == ROWS
    finally:
        cluster.gone()


def test_secrets_while_starting(pgrevive, space, story):
    """No process shows a secret at any time of a start, interrupted by nothing."""
    cluster = Cluster(pgrevive, space.directory("h5"), story.values(), name="quiet")
    try:
        daemon = cluster.pgrevive.launch("--env-file", cluster.env_file, "start",
                                         log=space.path / "quiet.log", env=cluster.environment)
        looks = 0
        while daemon.running():
            lines = command_lines()
            assert PASSWORD not in lines and CIPHER_PASS not in lines
            looks += 1
            time.sleep(0.01)
        assert daemon.process.returncode == 0, daemon.tail()
        assert looks > 5
        assert PASSWORD not in daemon.tail() and CIPHER_PASS not in daemon.tail()
    finally:
        cluster.gone()


def test_killed_in_the_middle_of_a_restore(pgrevive, space, story):
    """kill -9 of the supervisor while it restores; `start` continues and ends with a whole cluster."""
    cluster = Cluster(pgrevive, space.directory("h6"), story.values(), name="hit")
    try:
        cluster.start_and_kill()
        # A start that still sees it would watch it end.
        wait_until(lambda: not cluster.status()["supervisor_running"], 20, "it has ended")
        # It could not say so itself.
        assert [past["outcome"] for past in cluster.status()["restores"]] == ["interrupted"]
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
        assert [past["outcome"] for past in cluster.status()["restores"]] == ["done", "interrupted"]
        cluster.run("test")
    finally:
        cluster.gone()


def test_from_s3(pgrevive, space, story, bucket):
    """The whole job from Ceph RGW over TLS, with points that only the WAL tells of found there as in a
    directory; the bucket's part of the source stays as it is."""
    prefix = bucket.upload_once(story.repo.path, "story/pgbackrest")
    gateway = bucket.gateway
    before = bucket.s3.listing(bucket.name, prefix + "/")
    assert len(before) > 10
    ca_file = space.path / "ca.crt"
    shutil.copy(gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    cluster = Cluster(pgrevive, space.directory("h8"), {
        **cluster_values(bucket, prefix), "S3_CA_FILE": ca_file,
        "REPO_CIPHER_PASS": CIPHER_PASS}, name="faraway")
    try:
        near = Cluster(pgrevive, space.directory("h8"), story.values(), name="near")
        for kind in ("name", "xid"):
            found = point_of(cluster, story.targets[kind])
            assert found and found == point_of(near, story.targets[kind])
        result = cluster.start()
        for secret in (gateway.secret_key, gateway.reader[1], CIPHER_PASS, PASSWORD):
            assert secret not in message(result)
            assert secret not in command_lines()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
        cluster.run("test")
        cluster.sql("primary", "select pg_switch_wal()")
        wait_until(lambda: int(cluster.sql("primary", "select archived_count from pg_stat_archiver"))
                   > 0, 60, "archiving into the bucket")
        everything = bucket.s3.listing(bucket.name, "story/")
        own = {key for key in everything if not key.startswith(prefix + "/")}
        assert any("/archive/main/" in key for key in own), sorted(everything)[:20]
        assert bucket.s3.listing(bucket.name, prefix + "/") == before
        assert soundness.prove(cluster) == ["primary", "replica"]
        cluster.run("cleanup", "--yes")
        assert not cluster.root.exists()
        assert bucket.s3.listing(bucket.name, prefix + "/") == before
    finally:
        cluster.gone()


def point_of(cluster, target):
    """Where a preview says that it lies."""
    return json.loads(cluster.run("start", "--preview", "--json", "--type", target.kind, "--target",
                                  target.value).stdout)["point"]


def test_with_a_pgbackrest_conf(pgrevive, space, story):
    """`start --config FILE`: the .env has the password and ports, and not a word of a repository."""
    conf = space.path / "existing.conf"
    shutil.copy(story.repo.conf, conf)
    conf.chmod(0o600)
    cluster = Cluster(pgrevive, space.directory("h9"), {"ADMINER_PORT": 0}, name="configured")
    try:
        result = cluster.start("--config", conf, "--stanza", "main")
        assert story.label in result.stdout
        assert CIPHER_PASS not in message(result)
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
        assert "ADMINER_PORT=0" in cluster.run("test").stdout
        assert not any("php" in line for line in cluster.processes().values())
        pids = {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        for again in (["--config", conf], []):
            cluster.start(*again)
            assert pids == {node["name"]: node["pid"] for node in cluster.status()["nodes"]}
        for again in (["--config", conf], []):
            cluster.run("restart", *again)
            assert cluster.sql("replica", MARKERS) == ROWS
    finally:
        cluster.gone()


def test_name_of_a_new_cluster_is_synced(pgrevive, space, story):
    """Its directory, and that above it which is made for it, before anything is written there."""
    cluster = Cluster(pgrevive, space.path / "h12", {
        **story.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="named")
    cluster.home /= "deep"
    calls = FaultyCalls(space.path / "named-calls", space.path)
    try:
        pgrevive("--env-file", cluster.env_file, "start",
                 env={**cluster.environment, **calls.watched()})
        cluster.noticed("start")
        made = [str(call) for call in calls.calls() if call.role == "start"]
        written = made.index("rename|start|@/h#/deep/named/pgrevive.json")
        for place in ("@", "@/h#", "@/h#/deep"):
            assert f"fsync|start|{place}" in made[:written], made[:written]
    finally:
        cluster.gone()


def test_detach_returns_early(pgrevive, space, story):
    """`start --detach` is back while there is nothing to connect to; the work goes on without it."""
    cluster = Cluster(pgrevive, space.directory("h10"), story.values(), name="early")
    try:
        result = cluster.start("--detach")
        back = time.time() * 1000
        assert cluster.sql("primary", "select 1", check=False).returncode != 0
        assert "status" in result.stdout
        wait_until(lambda: cluster.status()["supervisor"]["phase"] == "running", 60, "it runs",
                   every=0.2)
        # The restore itself may be over sooner than a process has started and ended.
        recovering = next(phase for phase in cluster.status()["supervisor"]["phases"]
                          if phase["phase"] == "recovering")
        assert back < recovering["ended_ms"], "it returned when recovery was over"
        assert cluster.sql("replica", MARKERS) == ROWS
    finally:
        cluster.gone()


def test_two_starts_at_once(pgrevive, space, story):
    """One of them does the work and both see it done."""
    cluster = Cluster(pgrevive, space.directory("h11"), {
        **story.values(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name="twice")
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda _: cluster.start(), range(2)))
        for result in results:
            assert f"localhost:{cluster.primary_port}" in result.stdout
        assert cluster.sql("replica", MARKERS) == ROWS
        assert sum("supervise" in line for line in cluster.processes().values()) == 1
    finally:
        cluster.gone()


class AtHome(Cluster):
    """One whose place nobody has chosen."""

    @property
    def root(self):
        return self.home / ".local" / "state" / "pgrevive" / self.name

    @property
    def environment(self):
        return {"HOME": self.home}


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are this one when not root")
def test_as_a_plain_user(pgrevive, space, story):
    """Nobody special: commands, supervisor and servers all run as that user."""
    home = space.directory("h9")
    give(home, "nobody")
    copy = space.path / "repo-of-nobody"
    run(["cp", "-a", story.repo.path, copy])
    run(["chown", "-R", "nobody", copy])
    cluster = AtHome(pgrevive, home, {**story.values(), "REPO_PATH": copy}, name="plain",
                     user="nobody")
    try:
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
        cluster.run("test")
        for pid in cluster.processes():
            assert pathlib.Path(f"/proc/{pid}").stat().st_uid == 65534
        assert cluster.run("psql", "primary", "-Atc", "select 1").stdout.strip() == "1"
        assert soundness.prove(cluster) == ["primary", "replica"]
        cluster.run("cleanup", "--yes")
        assert not cluster.root.exists()
    finally:
        cluster.gone()
