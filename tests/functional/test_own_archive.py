"""The archive that a cluster makes for itself in the source's bucket, and keys that may only read."""

import json
import shutil

import pytest

from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster
from rig.process import run, wait_until
from rig.program import message
from rig.s3 import S3
from rig.workspace import Workspace

DENIED = 28
BUCKET = "lives"
PREFIX = "sources/one"
READER = ("READERSKEY0000000001", "readers-secret")


@pytest.fixture(scope="module")
def bucket(session_workspace, gateway):
    """A bucket with a small source, which another user may read and nobody else may write."""
    directory = session_workspace.directory("own-archive")
    source = SourceCluster(directory / "source", segment_mb=1).create().start()
    repo = BackrestRepo(directory / "backups", source, compress="zst").create_stanza()
    source.sql("create database testdb")
    source.sql("create table t (i int); insert into t values (1)", "testdb")
    repo.backup("full")
    source.switch_wal()
    source.stop()
    s3 = S3(gateway)
    s3.make_bucket(BUCKET)
    s3.upload(repo.path, BUCKET, PREFIX)
    gateway.add_user("reader", *READER)
    policy = directory / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}]}))
    run(["s3cmd", "-c", s3.config, "setpolicy", policy, f"s3://{BUCKET}"])
    return s3


@pytest.fixture
def cluster(pgrevive, gateway, bucket):
    space = Workspace("a")
    space.path.chmod(0o755)
    ca_file = space.path / "ca.crt"
    shutil.copy(gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    made = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "s3", "S3_BUCKET": BUCKET, "S3_ENDPOINT": gateway.endpoint,
        "S3_REGION": gateway.region, "S3_ACCESS_KEY": gateway.access_key,
        "S3_SECRET_KEY": gateway.secret_key, "S3_PATH": f"/{PREFIX}", "S3_URI_STYLE": "path",
        "S3_CA_FILE": ca_file, "ADMINER_PORT": 0, "REPLICAS": 0}, name="again")
    yield made
    made.gone()
    space.remove()


def archived(cluster):
    cluster.sql("primary", "create table if not exists w (i int); select pg_switch_wal()")
    wait_until(lambda: int(cluster.sql("primary", "select archived_count from pg_stat_archiver"))
               > 0, 60, "archiving into the bucket")


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
    for words in ("WAL_ARCHIVE=off", "s3:PutObject", "nothing has been restored"):
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
