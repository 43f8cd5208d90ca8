"""WAL_ARCHIVE=source: a cluster that goes on in the stanza of a source that is gone."""

import json
import os
import re
import shutil
import time

import pytest

from rig import repofiles, seals, soundness
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, server_user
from rig.process import run, wait_until
from rig.program import message
from rig.s3 import S3, Versions
from rig.workspace import Workspace, give

BUSY, USAGE = 30, 21

# What whoever took a stanza over makes there by archiving and by a backup.
OF_THE_HEIR = (r"archive/main/15-1/(0{7}2[0-9A-F]{8}(/.*)?|0{7}2\.history)"
               r"|backup/main/(\d{8}-\d{6}F_\d{8}-\d{6}I|backup\.history/\d{4}/[^/]*I\.manifest\.gz)(/.*)?")
CHANGED_BY_THE_HEIR = (r"archive/main(/15-1|/archive\.info(\.copy)?)?|backup/main|backup/main/backup\.info(\.copy)?"
                       r"|backup/main/(latest|backup\.history(/\d{4})?)")
# And in a bucket, by archiving alone.
OF_THE_HEIR_ALONE = re.compile(r"production/archive/main/15-1/0{7}2(\.history|[0-9A-F]{8}/.*)")


@pytest.fixture
def space():
    workspace = Workspace("t")
    workspace.path.chmod(0o755)
    yield workspace
    workspace.remove()


@pytest.fixture
def source(space):
    """One that lives, and its repository."""
    source = SourceCluster(space.directory("source"), segment_mb=1).create().start()
    source.repo = BackrestRepo(space.directory("backups"), source, compress="zst").create_stanza()
    source.sql("create database testdb")
    source.sql("create table t (i int); insert into t values (1)", "testdb")
    source.prepare_load("testdb", accounts=500)
    source.repo.backup("full")
    source.work()
    source.sql("insert into t values (2)", "testdb")
    source.switch_wal()
    seals.seal_living(source.repo.path)
    yield source
    source.stop()
    seals.end(source.repo.path)


@pytest.fixture
def cluster(pgrevive, space, source):
    made = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "posix", "REPO_PATH": source.repo.path, "WAL_ARCHIVE": "source",
        "ADMINER_PORT": 0})
    yield made
    made.gone()


def everything(source):
    return {path: path.stat().st_mtime_ns for path in source.repo.path.rglob("*")}


def change_record(cluster, **values):
    path = cluster.root / "primary" / "pgrevive-node.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def archived(cluster, name):
    return cluster.sql("primary", f"select last_archived_wal >= '{name}' from pg_stat_archiver") == "t"


def fail_over(source, **settings):
    """The source goes on on a new timeline."""
    (source.data / "standby.signal").touch()
    give(source.data / "standby.signal", server_user())
    source.start(restore_command="false", **settings)
    run([source.bin / "pg_ctl", "promote", "-D", source.data, "-w"], user=source.user)
    wait_until(lambda: "00000002.history" in repofiles.archive(source.repo.path), 30, "history archived")


def test_goes_on_in_the_stanza(cluster, source, pgrevive, space):
    """Its WAL and its backups follow the source's, of which not a byte changes; pgBackRest and a second
    cluster read both."""
    source.stop()
    seals.seal_living(source.repo.path, new=OF_THE_HEIR, changed=CHANGED_BY_THE_HEIR)
    stanza = source.repo.path / "archive" / "main" / "archive.info"
    as_it_was = stanza.read_bytes()
    labels = source.repo.labels
    cluster.values["WAL_ARCHIVE_SILENCE"] = 0
    cluster.write_env()
    cluster.start()
    assert cluster.status()["archiving"].startswith("source: ")
    assert cluster.status()["archive"] == str(source.repo.path)
    cluster.sql("primary", "insert into t values (3)")
    name = cluster.sql("primary", "select pg_walfile_name(pg_current_wal_lsn())")
    assert name.startswith("00000002")
    cluster.sql("primary", "select pg_switch_wal()")
    wait_until(lambda: archived(cluster, name), 60, f"{name} archived")
    assert name in repofiles.segments(source.repo.path)
    conf = next(cluster.root.rglob("pgbackrest.conf"))
    run(["pgbackrest", f"--config={conf}", "--stanza=main", "--type=incr", "backup"],
        user=server_user(), timeout=120)
    info = json.loads(run(["pgbackrest", f"--config={conf}", "--output=json", "info"],
                          user=server_user()).stdout)
    assert stanza.read_bytes() == as_it_was  # which stanza-create has written once more
    # None of the source's was expired, and the new one builds upon it.
    assert [backup["label"] for backup in info[0]["backup"]][:-1] == labels
    assert info[0]["backup"][-1]["prior"] == labels[-1]
    # All that is there can be had again.
    again = Cluster(pgrevive, space.directory("i"), {
        "REPO_TYPE": "posix", "REPO_PATH": source.repo.path, "WAL_ARCHIVE": "off",
        "ADMINER_PORT": 0, "REPLICAS": 0}, name="again")
    try:
        again.start()
        assert again.sql("primary", "select string_agg(i::text, ',' order by i) from t") == "1,2,3"
    finally:
        again.gone()
    # A later start has nothing to look for: what is new in the archive is its own. Also where the
    # first one pushed and ended before it saw that arrive.
    cluster.run("stop")
    change_record(cluster, archiving=False)
    cluster.start()
    assert cluster.status()["archiving"].startswith("source: ")


def test_goes_on_in_a_bucket(pgrevive, space, source, gateway):
    """Likewise over S3: of what the source had there every version is as it was."""
    source.stop()
    s3, versions = S3(gateway), Versions(gateway)
    s3.make_bucket("inherited")
    s3.upload(source.repo.path, "inherited", "production", finished=False)
    before = versions("inherited", "")
    ca_file = space.path / "ca.crt"
    shutil.copy(gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    values = {"REPO_TYPE": "s3", "S3_BUCKET": "inherited", "S3_ENDPOINT": gateway.endpoint,
              "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.access_key,
              "S3_SECRET_KEY": gateway.secret_key, "S3_PATH": "/production", "S3_URI_STYLE": "path",
              "S3_CA_FILE": ca_file, "ADMINER_PORT": 0}
    cluster = Cluster(pgrevive, space.directory("h"), {
        **values, "WAL_ARCHIVE": "source", "WAL_ARCHIVE_SILENCE": 0}, name="heir")
    try:
        cluster.start()
        assert cluster.status()["archiving"].startswith("source: ")
        cluster.sql("primary", "insert into t values (3)")
        name = cluster.sql("primary", "select pg_walfile_name(pg_switch_wal())")
        wait_until(lambda: archived(cluster, name), 60, f"{name} archived")
        now = versions("inherited", "")
        # Not a version is gone or another, but for which of them is the latest.
        assert {at: now[at][:3] for at in before} == {at: before[at][:3] for at in before}
        new = {key for key, _ in now.keys() - before.keys()}
        assert any(name in key for key in new), new
        latest = {key: etag for (key, _), (etag, *_, is_latest) in now.items() if is_latest == "true"}
        was = {key: etag for (key, _), (etag, *_) in before.items()}
        for key in new:  # the probe is removed again, and stanza-create writes what is there already
            assert OF_THE_HEIR_ALONE.fullmatch(key) or latest[key] == was.get(key, ""), key
    finally:
        cluster.gone()
    again = Cluster(pgrevive, space.directory("i"), {
        **values, "S3_ACCESS_KEY": gateway.reader[0], "S3_SECRET_KEY": gateway.reader[1],
        "WAL_ARCHIVE": "off", "REPLICAS": 0}, name="again")
    try:
        again.start()
        assert again.sql("primary", "select string_agg(i::text, ',' order by i) from t") == "1,2,3"
    finally:
        again.gone()


def test_living_source_is_told_before_anything(cluster, source, space):
    before = repofiles.segments(source.repo.path)
    result = cluster.start(check=False)
    assert result.returncode == BUSY, message(result)
    for words in ("seems to live", before[-1], "was archived at", "WAL_ARCHIVE=own", "WAL_ARCHIVE_SILENCE"):
        assert words in result.stderr, message(result)
    assert not (cluster.root / "primary").exists()
    assert repofiles.segments(source.repo.path) == before

    # One that was brought back to an earlier point lives where its old timeline has long been.
    source.stop()
    earlier = space.path / "earlier"
    run(["cp", "-a", source.data, earlier])
    run(["cp", "-a", source.directory / "wal", space.path / "wal"])
    source.start()
    for _ in range(3):
        source.sql("checkpoint")  # which ends no transaction
        last = source.switch_wal()
    source.stop()
    run(["mv", source.directory / "wal", space.path / "later-wal"])
    run(["mv", source.data, space.path / "later"])
    run(["mv", space.path / "wal", source.directory / "wal"])
    run(["mv", earlier, source.data])
    seals.end(source.repo.path)
    fail_over(source)
    place = source.switch_wal()
    assert place.startswith("00000002") and place[8:] < last[8:]
    yesterday = time.time() - 86_400
    for path in (source.repo.path / "archive" / "main" / "15-1").rglob("*"):
        if path.is_file() and place not in path.name:
            os.utime(path, (yesterday, yesterday))
    seals.seal_living(source.repo.path, new=OF_THE_HEIR)
    result = cluster.start(check=False)
    assert result.returncode == BUSY and f"{place} was archived at" in result.stderr, message(result)


def test_source_that_goes_on_while_we_restore(cluster, source):
    """Found after the promotion: not a byte goes into the stanza, and `own` is a way out."""
    cluster.values["WAL_ARCHIVE_SILENCE"] = 0
    cluster.values["REPLICAS"] = 0
    cluster.write_env()
    started = cluster.pgrevive.launch("--env-file", cluster.env_file, "start", "--detach",
                                      log=cluster.home.parent / "start.log",
                                      env=cluster.environment)
    record = cluster.root / "primary" / "pgrevive-node.json"
    wait_until(record.exists, 60, "the restore begins", every=0.002)
    source.sql("insert into t values (9)", "testdb")
    went_on = source.switch_wal()
    wait_until(lambda: cluster.status()["supervisor"]["phase"] == "failed"
               or not cluster.status()["supervisor_running"], 90, "it is noticed")
    started.stop()
    kept = everything(source)
    result = cluster.start(check=False)
    assert result.returncode == BUSY, message(result)
    assert "its primary lives" in result.stderr and went_on in result.stderr, message(result)
    assert everything(source) == kept  # no probe either
    assert not [name for name in repofiles.segments(source.repo.path)
                if name.startswith("00000002")]
    # One that failed over took the number of our timeline, of which we have archived nothing.
    source.stop()
    seals.end(source.repo.path)
    fail_over(source)
    source.switch_wal()
    for path in (source.repo.path / "archive" / "main" / "15-1").rglob("00000001*-*"):
        if path.is_file() and path.name[:24] >= went_on:
            path.unlink()  # nothing else tells of it
    seals.seal_living(source.repo.path, new=OF_THE_HEIR)
    kept = everything(source)
    for took_over in (False, True):
        change_record(cluster, took_over=took_over)
        result = cluster.start(check=False)
        assert result.returncode == BUSY, message(result)
        assert "had archived nothing of timeline 2" in result.stderr, message(result)
        assert everything(source) == kept
    cluster.values["WAL_ARCHIVE"] = "own"
    cluster.write_env()
    cluster.start()
    assert cluster.status()["archiving"].startswith("own: ")


def test_not_for_a_cluster_that_was_restored_for_another(cluster, source):
    """Weeks later nothing tells any more whether the source lives."""
    source.stop()
    cluster.values.update(WAL_ARCHIVE="own", REPLICAS=0)
    cluster.write_env()
    cluster.start()
    assert soundness.prove(cluster) == ["primary"]
    kept = everything(source)
    cluster.values.update(WAL_ARCHIVE="source", WAL_ARCHIVE_SILENCE=0)
    cluster.write_env()
    result = cluster.start(check=False)
    assert result.returncode == USAGE and "was not restored for it" in result.stderr, message(result)
    assert everything(source) == kept


def test_nothing_to_take_over(cluster):
    cluster.values["RESTORE_FROM_BACKUP"] = "false"
    cluster.write_env()
    result = cluster.start(check=False)
    assert result.returncode == USAGE and "WAL_ARCHIVE=source" in result.stderr, message(result)
