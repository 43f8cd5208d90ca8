"""WAL segments of other sizes than PostgreSQL's 16 MB and this rig's 1 MB."""

import hashlib
import shutil
import signal

from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, server_user
from rig.process import run
from rig.program import message
from rig.story import MARKERS, ROWS, Story


def test_a_cluster_of_64_megabytes(pgrevive, space):
    """Restored, recovered over segments behind the backup, promoted, and archiving its own."""
    story = Story(space.directory("source"), segment_mb=64)
    cluster = Cluster(pgrevive, space.directory("h"), story.values(), name="wide")
    try:
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == ROWS
            assert cluster.sql(node, "show wal_segment_size") == "64MB"
        text = cluster.run("test").stdout
        assert "WAL archiving works" in text
        assert cluster.status()["supervisor"]["recovery_end"]["newest_archived_wal"] == \
            story.newest_wal
    finally:
        cluster.gone()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_segment_of_one_gigabyte(pgrevive, workspace):
    """archive-get gives what pgBackRest's gives, and knows the names of segments of this size."""
    space = workspace.directory("s", owner=server_user())
    source = SourceCluster(space / "source", segment_mb=1024).create().start()
    repo = BackrestRepo(space / "backups", source, compress="zst",
                        options={"compress-level": 1}).create_stanza()
    try:
        source.prepare_load("postgres").work()
        name = source.switch_wal(120)
    finally:
        source.daemon.stop(signal.SIGQUIT)  # without another gigabyte to archive
    assert name == "000000010000000000000001"
    data = space / "pgdata"
    (data / "global").mkdir(parents=True)
    (data / "pg_wal").mkdir()
    shutil.copy(source.data / "global" / "pg_control", data / "global")
    shutil.copy(source.data / "PG_VERSION", data)
    shutil.rmtree(source.directory)
    run(["pgbackrest", f"--config={repo.conf}", "--stanza=main", f"--pg1-path={data}",
         "--log-level-console=warn", "archive-get", name, data / "expected"], cwd=data)
    expected = digest(data / "expected")
    (data / "expected").unlink()

    def get(segment):
        return pgrevive("archive-get", "--config", repo.conf, "--stanza", "main", segment,
                        "pg_wal/RECOVERYXLOG", cwd=data, check=False)

    result = get(name)
    assert result.returncode == 0, message(result)
    delivered = data / "pg_wal" / "RECOVERYXLOG"
    assert delivered.stat().st_size == 1 << 30
    assert digest(delivered) == expected
    delivered.unlink()
    # Four of them are to an xlogid: 3 may be, 4 is another one's first.
    for absent in ("000000010000000000000002", "000000010000000100000000"):
        result = get(absent)
        assert result.returncode == 1, message(result)
    result = get("000000010000000000000004")
    assert result.returncode > 125 and "hint" in result.stderr, message(result)
    assert not delivered.exists()
