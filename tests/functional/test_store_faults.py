"""A store that fails in the middle of replay, in ways that pass and in ways that stay."""

import shutil

import pytest

from rig import repofiles
from rig.backrest import s3_options, write_conf
from rig.cluster import Cluster
from rig.faults import FaultyService, Rule
from rig.program import message
from rig.s3 import cluster_values
from rig.story import CIPHER_PASS, MARKERS, ROWS

PREFIX = "faults"


@pytest.fixture
def service(gateway, bucket, story, workspace):
    bucket.upload_once(story.repo.path, PREFIX)
    with FaultyService(gateway, workspace.path / "tls") as made:
        yield made


@pytest.fixture
def ca_file(space, service):
    path = space.path / "faulty-ca.crt"
    shutil.copy(service.ca_file, path)
    path.chmod(0o644)
    return path


@pytest.fixture
def make_cluster(pgrevive, space, story):
    made = []

    def make(values, **options):
        made.append(Cluster(pgrevive, space.directory("h"), {
            **values, "RESTORE_SET": story.repo.labels[0], "WAL_ARCHIVE": "off",
            "ADMINER_PORT": 0}, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.gone()
        shutil.rmtree(cluster.home)


@pytest.fixture
def cluster(make_cluster, service, ca_file, bucket):
    return make_cluster({**cluster_values(bucket, PREFIX), "S3_ENDPOINT": service.endpoint,
                         "S3_CA_FILE": ca_file, "REPO_CIPHER_PASS": CIPHER_PASS})


@pytest.fixture
def hasty(make_cluster, service, ca_file, bucket, gateway, space):
    """The same with a pgbackrest.conf, whose io-timeout is a second."""
    conf = write_conf(space.path / "hasty.conf", {"global": {
        **s3_options(gateway, bucket.name, PREFIX), "repo1-s3-endpoint": "localhost",
        "repo1-storage-port": service.port, "repo1-storage-ca-file": ca_file, "io-timeout": 1,
        "repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": CIPHER_PASS}})
    return make_cluster({}, options=["--config", conf, "--stanza", "main"])


@pytest.fixture
def segment(story):
    """Between the backup's own WAL and the newest, both of which are looked at before the restore."""
    stop = story.repo.info()[0]["backup"][0]["archive"]["stop"]
    name = next(name for name in repofiles.segments(story.repo.path) if name > stop)
    assert name < story.newest_wal
    return name


def whole(cluster, story):
    cluster.caught_up()
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == ROWS
    assert cluster.status()["supervisor"]["recovery_end"]["newest_archived_wal"] == story.newest_wal


@pytest.mark.thorough(kind=("internal_error", "truncated", "error_in_200"))
@pytest.mark.parametrize("kind", ["slow_down", "internal_error", "reset", "truncated", "flipped",
                                  "wrong_range", "error_in_200", "stall"])
def test_trouble_that_passes(cluster, service, story, segment, kind):
    """Recovery ends right by itself."""
    rule = service.add(Rule(segment, kind, times=1))
    cluster.start()
    assert rule.hits == 1
    whole(cluster, story)


def stays(cluster, service, story, segment, kind, words, within=None):
    """Nothing is opened, the reason is named, and `start` goes on when the store is well again."""
    rule = service.add(Rule(segment, kind))
    result = cluster.start(check=False, timeout=400)
    assert rule.hits >= 1, message(result)
    assert result.returncode == 22, message(result)
    for said in ("hint: ", "nothing was opened", *words):
        assert said.format(segment=segment) in result.stderr, message(result)
    cluster.prove_unopened()
    began = {phase["phase"]: phase["began_ms"] for phase in cluster.status()["supervisor"]["phases"]}
    assert within is None or began["failed"] - began["recovering"] < within * 1000, began
    service.clear()
    service.revive()
    cluster.start()
    whole(cluster, story)


@pytest.mark.thorough(kind=("truncated",))
@pytest.mark.parametrize("kind, words", [
    ("dies", ["Connection refused", "localhost:"]),
    ("flipped", ["{segment}"]),
    ("truncated", ["{segment}"]),
    ("expired", ["{segment}", "ExpiredToken"])])
def test_trouble_that_stays(cluster, service, story, segment, kind, words):
    stays(cluster, service, story, segment, kind, words)


def test_silence_that_stays(hasty, service, story, segment):
    """A store that sends no more is as bad as one that is gone, and not waited for without end: where
    the io-timeout did not count, recovery would fail after minutes."""
    stays(hasty, service, story, segment, "stall", ["{segment}", "bytes"], within=100)
