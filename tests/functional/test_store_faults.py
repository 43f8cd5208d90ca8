"""A store that fails in the middle of replay, in ways that pass and in ways that stay."""

import json
import shutil

import pytest

from rig import repofiles
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
def cluster(pgrevive, space, service, story, bucket):
    ca_file = space.path / "faulty-ca.crt"
    shutil.copy(service.ca_file, ca_file)
    ca_file.chmod(0o644)
    made = Cluster(pgrevive, space.directory("h"), {
        **cluster_values(bucket, PREFIX), "S3_ENDPOINT": service.endpoint, "S3_CA_FILE": ca_file,
        "REPO_CIPHER_PASS": CIPHER_PASS,
        "RESTORE_SET": story.repo.labels[0], "WAL_ARCHIVE": "off", "ADMINER_PORT": 0})
    yield made
    made.gone()
    shutil.rmtree(made.home)


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


def unopened(cluster):
    status = cluster.status()["supervisor"]
    assert status["phase"] == "failed" and status["recovery_end"] is None, status
    record = json.loads((cluster.root / "primary" / "pgrevive-node.json").read_text())
    assert not record["promoted"] and not record["promoting"]


@pytest.mark.parametrize("kind", ["slow_down", "internal_error", "reset", "truncated", "flipped",
                                  "wrong_range", "error_in_200"])
def test_trouble_that_passes(cluster, service, story, segment, kind):
    """Recovery ends right by itself."""
    rule = service.add(Rule(segment, kind, times=1))
    cluster.start()
    assert rule.hits == 1
    whole(cluster, story)


@pytest.mark.parametrize("kind, words", [
    ("dies", ["Connection refused", "from https://localhost:"]),
    ("flipped", ["{segment}", "nothing was opened"]),
    ("truncated", ["{segment}", "nothing was opened"]),
    ("expired", ["{segment}", "nothing was opened", "ExpiredToken"])])
def test_trouble_that_stays(cluster, service, story, segment, kind, words):
    """Nothing is opened, the reason is named, and `start` goes on when the store is well again."""
    rule = service.add(Rule(segment, kind))
    result = cluster.start(check=False, timeout=400)
    assert rule.hits >= 1
    assert result.returncode == 22, message(result)
    for said in ("hint: ", *words):
        assert said.format(segment=segment) in result.stderr, message(result)
    unopened(cluster)
    service.clear()
    service.revive()
    cluster.start()
    whole(cluster, story)
