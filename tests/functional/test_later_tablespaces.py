"""A source that lives on this host and made a tablespace after its backup: its WAL names a place that is
in use. Nobody may replay that there."""

import hashlib
import json
import re
import shutil

import pytest

from rig import seals
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, server_user
from rig.process import wait_until
from rig.program import Program, message
from rig.workspace import give

MARKERS = SourceCluster.MARKERS


class Living:
    """The source goes on; its tablespace `late` is of after the backup, and so is the row 'before'."""

    def __init__(self, directory, segment_mb):
        self.segment_mb = segment_mb
        self.source = source = SourceCluster(directory / "source", segment_mb=segment_mb)
        source.create().start().fill()
        self.repo = BackrestRepo(directory / "backups", source, compress="lz4").create_stanza()
        self.repo.backup("full")
        self.late = directory / "late"
        self.late.mkdir(mode=0o700)
        give(self.late, server_user())
        source.work()
        source.mark("before")
        source.sql(f"create tablespace late location '{self.late}'")
        source.sql("create table late_t with (autovacuum_enabled = off) tablespace late as "
                   "select generate_series(1, 5000) i", "testdb")
        source.sql("vacuum freeze late_t", "testdb")  # nothing is left that reading would change
        source.mark("after")
        source.switch_wal()
        source.sql("checkpoint")
        seals.seal_living(self.repo.path)

    def values(self):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path, "WAL_ARCHIVE": "off",
                "ADMINER_PORT": 0}

    def files(self):
        """Path to content and inode of all in the tablespace, also of what is empty."""
        return {str(path.relative_to(self.late)): (path.stat().st_ino, path.stat().st_mtime_ns,
                hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else "")
                for path in self.late.rglob("*")}


@pytest.fixture(scope="module", params=[1, 16], ids=["1MB", "16MB"])
def living(request, session_workspace):
    made = Living(session_workspace.directory(f"living-{request.param}", owner=server_user()),
                  request.param)
    yield made
    made.source.stop()
    seals.end(made.repo.path)


def test_place_that_the_source_uses(pgrevive, space, living):
    before = living.files()
    assert len(before) >= 3
    cluster = Cluster(pgrevive, space.directory("h"), living.values(),
                      name=f"beside-{living.segment_mb}")
    try:
        result = cluster.start(check=False)
        assert result.returncode == 22, message(result)
        assert "makes tablespace" in result.stderr and str(living.late) in result.stderr
        assert "another host or in a container" in result.stderr, message(result)
        assert cluster.status()["supervisor"]["recovery_end"] is None
        # Again, from where it stopped, and from a server that was killed.
        assert cluster.start(check=False).returncode == 22
        assert living.files() == before
        # The remedy that is named, in its own words: all before the record, nothing of it.
        lsn = re.search(r"RECOVERY_TARGET=([0-9A-F/]+)\)", result.stderr)[1]
        cluster.values |= {"RECOVERY_TARGET_TYPE": "lsn", "RECOVERY_TARGET": lsn}
        cluster.write_env()
        cluster.start()
        cluster.sql("primary", "insert into markers (what) values ('of the new line')")
        cluster.caught_up()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == "m1-filled,before,of the new line"
            assert cluster.sql(node, "select count(*) from pg_tablespace where "
                               "spcname = 'late'") == "0"
        assert cluster.run("test").returncode == 0
        assert living.files() == before
        assert living.source.sql("select sum(i) from late_t", "testdb") == "12502500"
    finally:
        cluster.gone()


def test_without_a_prefetcher(space, living):
    """archive-get decides alone what may be replayed."""
    before = living.files()
    alone = Program(space.directory(f"alone-{living.segment_mb}"), alone=True)
    cluster = Cluster(alone, space.directory("h"), {**living.values(), "REPLICAS": 0},
                      name=f"alone-{living.segment_mb}")
    try:
        result = cluster.start(check=False)
        assert result.returncode == 22, message(result)
        assert "makes tablespace" in result.stderr and str(living.late) in result.stderr
        assert cluster.status()["supervisor"]["recovery_end"] is None
        assert living.files() == before
        # It was archive-get itself that was asked, and nobody else.
        assert " archive-get " in (cluster.root / "primary/conf/postgresql.conf").read_text()
        assert not (cluster.root / "logs" / "prefetch.log").exists()
    finally:
        cluster.gone()


@pytest.mark.parametrize("crash", [False, True])
def test_place_that_is_free(pgrevive, space, living, crash):
    """The source's is elsewhere now, as on another host: recovery goes on, also one that replays the
    record twice, which then finds its own directory."""
    away = living.late.with_name("moved")
    living.late.rename(away)
    living.late.mkdir(mode=0o700)
    give(living.late, server_user())
    cluster = Cluster(pgrevive, space.directory("h"), living.values(), name=f"free-{living.segment_mb}-{crash}")
    try:
        if crash:
            start = cluster.start_in_background()
            wait_until(lambda: any(living.late.iterdir()), 90, "the record is replayed", every=0.002)
            cluster.kill_supervisor()
            cluster.kill_server("primary")
            start.process.wait(60)
            record = json.loads((cluster.root / "primary" / "pgrevive-node.json").read_text())
            assert not record["promoting"], "it was too fast"
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == "m1-filled,before,after"
            assert cluster.sql(node, "select sum(i) from late_t") == "12502500"
    finally:
        cluster.gone()
        shutil.rmtree(living.late)
        away.rename(living.late)
