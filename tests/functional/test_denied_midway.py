"""Keys that stop working in the middle of replay: nothing is opened, and `start` goes on later."""

import json
import shutil

import pytest

from rig import repofiles
from rig.cluster import Cluster
from rig.process import run
from rig.program import message
from rig.s3 import S3
from rig.story import CIPHER_PASS, MARKERS, ROWS

BUCKET = "midway"
READER = ("MIDWAYKEY00000000001", "midway-secret")


@pytest.fixture(scope="module")
def midway(session_workspace, gateway, story):
    """The story in a bucket of its own, and a function that says which object may not be read."""
    s3 = S3(gateway)
    s3.make_bucket(BUCKET)
    s3.upload(story.repo.path, BUCKET, "story")
    gateway.add_user("midway", *READER)
    policy = session_workspace.directory("midway") / "policy.json"

    def deny(*objects):
        everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
        user = {"AWS": ["arn:aws:iam:::user/midway"]}
        statements = [{"Effect": "Allow", "Principal": user, "Resource": everything,
                       "Action": ["s3:GetObject", "s3:ListBucket"]}]
        if objects:
            statements.append({"Effect": "Deny", "Principal": user, "Action": ["s3:GetObject"],
                               "Resource": [f"arn:aws:s3:::{BUCKET}/{name}" for name in objects]})
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}))
        run(["s3cmd", "-c", s3.config, "setpolicy", policy, f"s3://{BUCKET}"])

    return s3, deny


def test_denied_midway(pgrevive, space, gateway, story, midway):
    s3, deny = midway
    ca_file = space.path / "ca.crt"
    shutil.copy(gateway.ca_file, ca_file)
    ca_file.chmod(0o644)
    # Between the backup's own WAL and the newest, both of which are looked at before the restore.
    stop = story.repo.info()[0]["backup"][0]["archive"]["stop"]
    lost = next(name for name in repofiles.segments(story.repo.path) if name > stop)
    assert lost < story.newest_wal
    path = repofiles.archive(story.repo.path)[lost]
    deny(f"story/{path.relative_to(story.repo.path)}")
    cluster = Cluster(pgrevive, space.directory("h"), {
        "REPO_TYPE": "s3", "S3_BUCKET": BUCKET, "S3_ENDPOINT": gateway.endpoint,
        "S3_REGION": gateway.region, "S3_ACCESS_KEY": READER[0], "S3_SECRET_KEY": READER[1],
        "S3_PATH": "/story", "S3_URI_STYLE": "path", "S3_CA_FILE": ca_file,
        "REPO_CIPHER_PASS": CIPHER_PASS, "RESTORE_SET": story.repo.labels[0], "WAL_ARCHIVE": "off", "ADMINER_PORT": 0})
    before = s3.listing(BUCKET)
    try:
        result = cluster.start(check=False)
        assert result.returncode == 22, message(result)
        for words in (lost, "nothing was opened", "AccessDenied"):
            assert words in result.stderr, message(result)
        cluster.prove_unopened()
        again = cluster.start(check=False)
        assert again.returncode == 22, message(again)
        deny()
        cluster.start()
        cluster.caught_up()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
        end = cluster.status()["supervisor"]["recovery_end"]
        assert end["newest_archived_wal"] == story.newest_wal
        assert s3.listing(BUCKET) == before
    finally:
        cluster.gone()
