"""The archive that a cluster makes for itself: in the source's bucket or in one with keys of its own,
and keys that may only read."""

import json
import shutil
import time

import pytest

from rig import browser, seals, secrecy, soundness
from rig.backrest import BackrestRepo
from rig.cluster import Cluster, command_lines
from rig.postgres import SourceCluster, server_user
from rig.console import Console
from rig.process import free_port, run, wait_until
from rig.program import message
from rig.s3 import S3
from rig.workspace import Workspace, give

USAGE, NOT_EMPTY, DENIED = 21, 26, 28
BUCKET = "lives"
PREFIX = "sources/one"
READER = ("READERSKEY0000000001", "readers-secret")
OWN_BUCKET = "wal-of-clusters"
WRITER = ("WRITERSKEY0000000001", "writers-secret-of-its-own-83c1")
OWN_PASS = "own-archives-passphrase-19aa"


@pytest.fixture(scope="module")
def bucket(session_workspace, gateway):
    """A bucket with a small source, which another user may read and nobody else may write."""
    directory = session_workspace.directory("own-archive")
    source = SourceCluster(directory / "source", segment_mb=1).create().start()
    repo = BackrestRepo(directory / "backups", source, compress="zst").create_stanza()
    source.sql("create database testdb")
    source.sql("create table t (i int); insert into t values (1)", "testdb")
    source.prepare_load("testdb")
    repo.backup("full")
    source.switch_wal()
    source.stop()
    s3 = S3(gateway)
    s3.make_bucket(BUCKET)
    s3.upload(repo.finished().path, BUCKET, PREFIX)
    seals.allow(BUCKET, f"{PREFIX}-again-")
    gateway.add_user("reader", *READER)
    policy = directory / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}]}))
    run(["s3cmd", "-c", s3.config, "setpolicy", policy, f"s3://{BUCKET}"])
    s3.repository = repo.path
    return s3


@pytest.fixture(scope="module")
def own_bucket(gateway):
    """A bucket of a user who has nothing to do with the source's."""
    gateway.add_user("writer", *WRITER)
    s3 = S3(gateway, WRITER)
    s3.make_bucket(OWN_BUCKET)
    return s3


@pytest.fixture
def make(pgrevive, gateway, bucket):
    """A function that makes a cluster of the source in the bucket, with other settings."""
    space = Workspace("a")
    space.path.chmod(0o755)
    ca_file = space.path / "ca.crt"
    shutil.copy(gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    made = []

    def one(name="again", **values):
        made.append(Cluster(pgrevive, space.directory(name), {
            "REPO_TYPE": "s3", "S3_BUCKET": BUCKET, "S3_ENDPOINT": gateway.endpoint,
            "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.access_key,
            "S3_SECRET_KEY": gateway.secret_key, "S3_PATH": f"/{PREFIX}", "S3_URI_STYLE": "path",
            "S3_CA_FILE": ca_file, "ADMINER_PORT": 0, "REPLICAS": 0, **values}, name=name))
        return made[-1]

    yield one
    for cluster in made:
        cluster.gone()
    space.remove()


@pytest.fixture
def cluster(make):
    return make()


def keys_of(name, keys):
    return {f"{name}_ACCESS_KEY": keys[0], f"{name}_SECRET_KEY": keys[1]}


def archived(cluster):
    """Has the primary archive what it has written; returns the segment's name."""
    cluster.sql("primary", "create table if not exists w (i int)")
    name = cluster.sql("primary", "select pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: cluster.sql("primary", f"select last_archived_wal >= '{name}' "
                                   "from pg_stat_archiver") == "t", 60, f"{name} is archived")
    return name


def test_cleanup_and_start_again(cluster, bucket):
    """Each life of the cluster has an archive of its own; none is lost, the source stays as it is."""
    before = bucket.listing(BUCKET)
    places = []
    for _ in range(2):
        cluster.start()
        archived(cluster)
        place = cluster.status()["archive"]
        assert place.startswith(f"s3://{BUCKET}/{PREFIX}-again-"), place
        assert place in cluster.run("status").stdout
        places.append(place.removeprefix(f"s3://{BUCKET}/"))
        # A stop and a start are the same life.
        cluster.stop()
        cluster.start()
        assert cluster.status()["archive"] == place
        assert soundness.prove(cluster) == ["primary"]
        cleaned = cluster.run("cleanup", "--yes")
        assert place in cleaned.stdout
    assert places[0] != places[1]
    after = bucket.listing(BUCKET)
    for place in places:
        assert any(key.startswith(f"{place}/archive/main/") for key in after), sorted(after)
    assert {key: value for key, value in after.items() if key in before} == before
    assert {key for key in after if key.startswith(f"{PREFIX}/")} == set(before)
    assert not any("probe" in key for key in after)


def test_keys_that_may_only_read(cluster, bucket):
    """Said before anything is restored, with what there is to choose; off is one of the choices."""
    before = bucket.listing(BUCKET)
    cluster.values["S3_ACCESS_KEY"], cluster.values["S3_SECRET_KEY"] = READER
    cluster.write_env()
    result = cluster.start(check=False)
    assert result.returncode == DENIED, message(result)
    assert f"s3://{BUCKET}/{PREFIX}-again-" in result.stderr
    for words in ("WAL_ARCHIVE=off", "WAL_ARCHIVE_S3_BUCKET", "WAL_ARCHIVE_S3_ACCESS_KEY",
                  "WAL_ARCHIVE_PATH", "WAL_ARCHIVE_TYPE=posix", "s3:PutObject",
                  "nothing has been restored"):
        assert words in result.stderr, message(result)
    assert READER[1] not in message(result)
    assert not (cluster.root / "primary").exists()
    assert bucket.listing(BUCKET) == before

    cluster.values["WAL_ARCHIVE"] = "off"
    cluster.write_env()
    cluster.start()
    assert cluster.sql("primary", "select count(*) from t") == "1"
    assert cluster.status()["archive"] == ""
    assert bucket.listing(BUCKET) == before


def test_archive_inside_the_source(make, bucket):
    """Whatever these keys may: nothing is ever written there, and nobody finds out by trying."""
    before = bucket.listing(BUCKET)
    for path in (f"/{PREFIX}/wal", f"/{PREFIX}", f"/{PREFIX}/archive/main/"):
        cluster = make(WAL_ARCHIVE_PATH=path)
        result = cluster.start(check=False)
        assert result.returncode == USAGE, message(result)
        for words in ("WAL_ARCHIVE_PATH", PREFIX, "lies in the source repository", "hint: "):
            assert words in result.stderr, message(result)
        assert not cluster.root.exists()
        assert bucket.listing(BUCKET) == before


def listing(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


def test_a_place_that_another_cluster_has_taken(make, space):
    """Clones of one source are one cluster to pgBackRest, which would let two write into one stanza."""
    taken = space.directory("taken")
    give(taken, server_user())
    late = make("late", REPLICAS=1, WAL_ARCHIVE_TYPE="posix", WAL_ARCHIVE_PATH=taken)
    late.start_and_kill()  # it has seen that the place is free
    first = make("first", WAL_ARCHIVE_TYPE="posix", WAL_ARCHIVE_PATH=taken)
    first.start()
    archived(first)
    assert soundness.prove(first) == ["primary"]
    first.run("stop")
    before = listing(taken)
    def refused(*command):
        result = late.run(*command, check=False)
        assert result.returncode == NOT_EMPTY, message(result)
        for words in (str(taken), "holds the WAL of another cluster", "hint: "):
            assert words in result.stderr, message(result)
        assert listing(taken) == before
    refused("start")
    late.values["WAL_ARCHIVE_PATH"] = space.directory("of-late")
    give(late.values["WAL_ARCHIVE_PATH"], server_user())
    late.write_env()
    late.start()
    own = archived(late)
    # Nor is it led there later, by either way; its server runs on.
    pid = late.node("primary")["pid"]
    late.values["WAL_ARCHIVE_PATH"] = taken
    late.write_env()
    refused("restart")
    late.values.update(WAL_ARCHIVE_PATH=space.path / "of-late", RESTORE_FROM_BACKUP="false")
    late.write_env()
    result = late.run("restart", check=False)
    assert result.returncode == USAGE and "RESTORE_FROM_BACKUP=true" in result.stderr, message(result)
    assert late.node("primary")["pid"] == pid
    # Another place that is free is taken, and the stanza of before found again.
    late.values.update(WAL_ARCHIVE_PATH=space.directory("elsewhere"), RESTORE_FROM_BACKUP="true")
    give(late.values["WAL_ARCHIVE_PATH"], server_user())
    late.write_env()
    late.run("restart")
    assert archived(late) > own and any((space.path / "elsewhere").rglob("archive.info"))


def on_page(cluster, label="Archiving", **told):
    """What the page says of the archive; how many segments are in it is what the primary counts."""
    browser.install()
    console = Console(cluster.values["CONSOLE_PORT"])
    count = "select archived_count from pg_stat_archiver"
    before = int(cluster.sql("primary", count))
    since = time.time() * 1000
    wait_until(lambda: console.json("/api/v1/status")["time_ms"] > since, 30, "it has looked")
    looked = browser.look(f"http://127.0.0.1:{console.port}/", width=720, **told)
    assert looked["complaints"] == looked["violations"] == [], looked
    assert looked["scroll_width"] <= 720
    shown = looked["last"]["archive"]
    assert before <= int(shown[label].split(" ")[0]) <= int(cluster.sql("primary", count)), shown
    return shown


def start_looked_at(cluster, log):
    """A start, and what the processes of the cluster showed to whoever looked meanwhile."""
    daemon = cluster.pgrevive.launch("--env-file", cluster.env_file, "start", log=log,
                                     env=cluster.environment)
    shown = set()
    while daemon.running():
        shown |= secrecy.look(cluster, daemon.process.pid)
        time.sleep(0.01)
    assert daemon.process.returncode == 0, daemon.tail()
    cluster.noticed("start")
    return shown


def test_bucket_and_keys_of_its_own(make, bucket, own_bucket, gateway):
    """Reads with keys that only read, archives with others elsewhere; what is there makes a cluster."""
    before = bucket.listing(BUCKET)
    cluster = make(**keys_of("S3", READER), WAL_ARCHIVE_S3_BUCKET=OWN_BUCKET,
                   **keys_of("WAL_ARCHIVE_S3", WRITER), WAL_ARCHIVE_CIPHER_PASS=OWN_PASS,
                   WAL_ARCHIVE_BACKUP="full", REPLICAS=1, CONSOLE_PORT=free_port())
    report = json.loads(cluster.run("doctor", "--json").stdout)
    line = next(line for line in report["checks"] if line["name"] == "own archive's bucket")
    assert line["result"] == "ok" and OWN_BUCKET in line["detail"], line
    assert own_bucket.listing(OWN_BUCKET) == {}

    shown = start_looked_at(cluster, cluster.home / "start.log")
    place = cluster.status()["archive"]
    assert place.startswith(f"s3://{OWN_BUCKET}/{PREFIX}-again-"), place
    path = place.removeprefix(f"s3://{OWN_BUCKET}/")
    wait_until(lambda: cluster.status()["archive_backup"], 60, "the first backup is made")
    label = cluster.status()["archive_backup"]
    assert label.endswith("F")
    assert f"{place}, newest backup {label}" in cluster.run("status").stdout
    assert on_page(cluster)["Backup in it"] == label
    log = (cluster.root / "logs" / "supervisor.log").read_text()
    assert f"the first full backup into the cluster's own archive is made: {label}" in log
    cluster.sql("primary", "insert into t values (2)")
    newest = archived(cluster)
    kept = own_bucket.listing(OWN_BUCKET, f"{path}/archive/main/")
    assert any(f"/{newest}-" in key for key in kept), sorted(kept)

    # A replica that has joined gets from there what its primary has removed.
    command = cluster.sql("replica", "show restore_command")
    fetched = cluster.root / "replica" / "data" / "pg_wal" / "fetched"
    run(["sh", "-c", command.replace("%f", newest).replace("%p", str(fetched))],
        user=server_user())
    assert fetched.stat().st_size == 1 << 20
    fetched.unlink()

    seen = command_lines() + cluster.logs() + json.dumps(cluster.status())
    secrets = secrecy.of(cluster)
    assert {"S3_SECRET_KEY", "WAL_ARCHIVE_S3_SECRET_KEY", "WAL_ARCHIVE_CIPHER_PASS"} <= set(secrets)
    assert secrecy.told(secrets, seen.encode()) == []
    assert secrecy.told(secrets, *(process.words for process in shown)) == []
    # Where nothing is made yet that a file with keys could lie in, pgBackRest has them so.
    with_keys = [process.words for process in shown if secrecy.told(secrets, process.environment)]
    assert with_keys and all(b"\0repo-put\0" in words or b"\0repo-rm\0" in words for words in with_keys)
    assert secrecy.kept(cluster, secrets) == (set(secrets), [])
    assert cluster.run("test", check=False).returncode == 0
    assert soundness.prove(cluster) == ["primary", "replica"]
    # It is the first one, and no other start makes one more.
    cluster.run("restart")
    wait_until(lambda: cluster.status()["supervisor"]["phase"] == "running", 60, "it is up")
    time.sleep(2)
    full = [key for key in own_bucket.listing(OWN_BUCKET, f"{path}/backup/main/")
            if key.endswith("F/backup.manifest")]
    assert len(full) == 1 and label in full[0], full

    heir = make("heir", S3_BUCKET=OWN_BUCKET, S3_PATH=f"/{path}", **keys_of("S3", WRITER),
                REPO_CIPHER_PASS=OWN_PASS, WAL_ARCHIVE="off")
    heir.start()
    assert heir.sql("primary", "select string_agg(i::text, ',' order by i) from t") == "1,2"
    assert heir.sql("primary", "select count(*) from w") == "0"
    assert bucket.listing(BUCKET) == before


def test_own_keys_that_may_not_write(make, bucket, own_bucket):
    """The archive's own keys are tried, not the source's; a local directory is a choice."""
    theirs = own_bucket.listing(OWN_BUCKET)
    cluster = make(WAL_ARCHIVE_S3_BUCKET=OWN_BUCKET, **keys_of("WAL_ARCHIVE_S3", READER))
    result = cluster.start(check=False)
    assert result.returncode == DENIED, message(result)
    for words in (f"s3://{OWN_BUCKET}/{PREFIX}-again-", "WAL_ARCHIVE_S3_ACCESS_KEY",
                  "WAL_ARCHIVE_TYPE=posix", "WAL_ARCHIVE=off", "nothing has been restored"):
        assert words in result.stderr, message(result)
    assert READER[1] not in message(result)
    assert not (cluster.root / "primary").exists()
    assert own_bucket.listing(OWN_BUCKET) == theirs
    report = json.loads(cluster.run("doctor", "--json", check=False).stdout)
    line = next(line for line in report["checks"] if line["name"] == "own archive's bucket")
    assert line["result"] == "failed" and "WAL_ARCHIVE_S3_" in line["remedy"], line

    for name in [name for name in cluster.values if name.startswith("WAL_ARCHIVE_")]:
        del cluster.values[name]
    cluster.values.update(WAL_ARCHIVE_TYPE="posix", CONSOLE_PORT=free_port(),
                          **keys_of("S3", READER))
    cluster.write_env()
    before = bucket.listing(BUCKET)
    cluster.start()
    archived(cluster)
    assert cluster.status()["archive"] == str(cluster.root / "archive")
    assert cluster.status()["archive_backup"] == ""
    assert "no backup in it yet" in cluster.run("status").stdout
    # There is no replica on it either.
    assert on_page(cluster)["Backup in it"] == "none yet: nothing can be restored from it"
    assert on_page(cluster, "Arquivamento", language="pt-BR")["Backup nele"] == \
        "nenhum ainda: nada pode ser restaurado dele"
    assert list((cluster.root / "archive" / "archive" / "main").glob("15-1/*/*"))
    assert bucket.listing(BUCKET) == before


def test_bucket_beside_a_source_in_a_directory(make, own_bucket, bucket, gateway):
    cluster = make(
        REPO_TYPE="posix", REPO_PATH=bucket.repository, WAL_ARCHIVE_S3_BUCKET=OWN_BUCKET,
        **keys_of("WAL_ARCHIVE_S3", WRITER))
    for name in [name for name in cluster.values if name.startswith("S3_")]:
        cluster.values[f"WAL_ARCHIVE_{name}"] = (
            cluster.values.get(f"WAL_ARCHIVE_{name}") or cluster.values[name])
        del cluster.values[name]
    del cluster.values["WAL_ARCHIVE_S3_PATH"]
    cluster.values["WAL_ARCHIVE_PATH"] = f"/{PREFIX}"
    del cluster.values["WAL_ARCHIVE_S3_REGION"]
    cluster.write_env()
    result = cluster.start(check=False)
    assert result.returncode == USAGE and "WAL_ARCHIVE_S3_REGION is missing" in result.stderr, \
        message(result)

    cluster.values["WAL_ARCHIVE_S3_REGION"] = gateway.region
    cluster.write_env()
    cluster.start()
    archived(cluster)
    place = cluster.status()["archive"]
    assert place == f"s3://{OWN_BUCKET}/{PREFIX}", place
    assert any(key.startswith(f"{PREFIX}/archive/main/15-1/") for key in
               own_bucket.listing(OWN_BUCKET, PREFIX))
