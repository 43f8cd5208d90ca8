"""A stanza that went on with another database cluster: two archive ids, backups of both."""

import pytest

from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster
from rig.story import MARKERS
from test_info import assert_same, ours


class Upgraded:
    """Two sources one after the other in one place, as after pg_upgrade; both are gone."""

    def __init__(self, directory):
        self.systems = []
        self.repo = None
        for number in (1, 2):
            source = SourceCluster(directory / "source").create()
            if self.repo is not None:
                source.port = self.repo.source.port
                (source.archive_to / "backups.conf").symlink_to(self.repo.conf)
            source.start().fill()
            if self.repo is None:
                self.repo = BackrestRepo(directory / "backups", source, compress="lz4",
                                         bundle=True).create_stanza()
            else:
                self.repo.pgbackrest("stanza-upgrade")
            self.systems.append(str(source.system_identifier()))
            self.repo.backup("full")
            source.mark(f"of-system-{number}")
            source.switch_wal()
            source.stop()
            source.directory.rename(directory / f"gone-{number}")
        self.repo.finished()

    def values(self):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path}


@pytest.fixture(scope="module")
def upgraded(session_workspace):
    return Upgraded(session_workspace.directory("upgraded"))


def test_info(pgrevive, upgraded):
    """Both histories and their archives, as pgBackRest tells them."""
    expected = upgraded.repo.info()
    assert [entry["id"] for entry in expected[0]["archive"]] == ["15-1", "15-2"]
    assert_same(expected, ours(pgrevive, upgraded.repo.conf, "--stanza", "main"))
    text = pgrevive("info", "--config", upgraded.repo.conf, "--stanza", "main").stdout
    for label in upgraded.repo.labels:
        assert label in text


@pytest.mark.parametrize("number", [1, 2])
def test_start(pgrevive, space, upgraded, number):
    """Each backup with the WAL of its own system; the newest where none is named."""
    label = {} if number == 2 else {"RESTORE_SET": upgraded.repo.labels[0]}
    cluster = Cluster(pgrevive, space.directory("h"), {
        **upgraded.values(), **label, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0},
        name=f"system-{number}")
    try:
        cluster.start()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == f"m1-filled,of-system-{number}"
            assert cluster.sql(node, "select system_identifier from pg_control_system()") == \
                upgraded.systems[number - 1]
    finally:
        cluster.gone()
