"""Tablespaces on disks of their own: TABLESPACE_MAP and TABLESPACE_MAP_ALL."""

import shutil

import pytest

from rig import soundness
from rig.cluster import Cluster
from rig.postgres import server_user
from rig.process import wait_until
from rig.program import message
from rig.story import MARKERS, ROWS
from rig.workspace import give

WHERE = "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'"
CONTENT = "select count(*) || ' ' || sum(id) from fast_t"


@pytest.fixture
def disks(space, request):
    """Two directories, as of two disks, with something of somebody else's in each."""
    place = space.directory("disks" + request.node.name[-6:].strip("[]"), owner=server_user())
    made = []
    for name in ("ssd", "hdd"):
        disk = space.directory(f"{place.name}/{name}", owner=server_user())
        (disk / "of-somebody").write_text("stays")
        made.append(disk)
    return made


def begin(pgrevive, space, story, name, values):
    return Cluster(pgrevive, space.directory("h"), {**story.values(), "ADMINER_PORT": 0, **values},
                   name=name)


def streams(cluster):
    return cluster.sql("primary", "select count(*) from pg_stat_replication "
                                  "where state = 'streaming'") == "1"


def lost(cluster, node):
    """Its data directory is, but not what it had elsewhere."""
    cluster.stop()
    shutil.rmtree(cluster.root / node / "data")


def only_somebodys(disk):
    assert [path.name for path in disk.iterdir()] == ["of-somebody"], list(disk.rglob("*"))


def test_a_disk_for_each_node(pgrevive, space, story, disks):
    """Restored, lost and made again from the backup and from the primary, changed places, removed."""
    ssd, hdd = disks
    cluster = begin(pgrevive, space, story, "mapped", {
        "TABLESPACE_MAP": f"fast={ssd},replica:fast={hdd}/", "REPLICA_REBUILD": "backup"})
    try:
        cluster.start("--preview")
        only_somebodys(ssd)
        cluster.start()
        first, second = ssd / "mapped-primary/fast", hdd / "mapped-replica/fast"
        assert cluster.sql("primary", WHERE) == str(first)
        assert cluster.sql("replica", WHERE) == str(second)
        assert cluster.sql("primary", MARKERS) == cluster.sql("replica", MARKERS) == ROWS
        content = cluster.sql("primary", CONTENT)
        assert content != "0 " and cluster.sql("replica", CONTENT) == content
        # Nothing of it is in the cluster's own directory, and all of it is counted.
        assert not list((cluster.root / "primary").glob("tablespaces/*"))
        inside = sum(path.stat().st_size for path in first.rglob("*") if path.is_file())
        data = sum(path.stat().st_size for path in (cluster.root / "primary/data").rglob("*")
                   if path.is_file() and not path.is_symlink())
        assert cluster.node("primary")["data_bytes"] > data + inside / 2 > data
        assert not [text for text in cluster.status()["supervisor"]["warnings"] if "tablespace" in text]

        lost(cluster, "replica")
        cluster.start()
        wait_until(lambda: streams(cluster), 30, "the replica streams")
        assert cluster.node("replica")["made_because"].startswith("restored from backup")
        assert cluster.sql("replica", WHERE) == str(second)

        cluster.values["REPLICA_REBUILD"] = "primary"
        cluster.write_env()
        lost(cluster, "replica")
        cluster.start()
        wait_until(lambda: streams(cluster), 30, "the replica streams")
        assert cluster.node("replica")["made_because"].startswith("copied from the primary")
        assert cluster.sql("replica", WHERE) == str(second)
        assert cluster.sql("replica", CONTENT) == content

        # Each keeps what it has, and a replica that is made then goes beside it.
        cluster.run("switchover")
        assert cluster.sql("primary", WHERE) == str(second)
        assert cluster.sql("replica", WHERE) == str(first)
        lost(cluster, "replica")
        cluster.start()
        wait_until(lambda: streams(cluster), 30, "the replica streams")
        assert cluster.sql("replica", WHERE) == str(hdd / "mapped-replica.2/fast")
        cluster.caught_up()
        assert cluster.sql("replica", CONTENT) == content
        cluster.run("test")

        # Anew, in the room that the old ones leave.
        cluster.run("start", "--anew", "--yes")
        assert cluster.sql("replica", WHERE) == str(second)
        assert not (hdd / "mapped-replica.2").exists()
        assert soundness.prove(cluster) == ["primary", "replica"]
        cluster.run("cleanup", "--yes")
        only_somebodys(ssd)
        only_somebodys(hdd)
    finally:
        cluster.gone()


def test_a_restore_that_is_killed(pgrevive, space, story, disks):
    """It is gone on with, and a cleanup removes what is there."""
    ssd = disks[0]
    cluster = begin(pgrevive, space, story, "killed", {"TABLESPACE_MAP_ALL": ssd, "WAL_ARCHIVE": "off"})
    try:
        cluster.start_and_kill()
        cluster.start()
        assert cluster.sql("replica", WHERE) == str(ssd / "killed-replica/fast")
        assert cluster.sql("replica", MARKERS) == ROWS
        assert soundness.prove(cluster) == ["primary", "replica"]
        cluster.run("cleanup", "--yes")
        only_somebodys(ssd)

        cluster.start_and_kill()
        assert len(list(ssd.iterdir())) > 1
        cluster.run("cleanup", "--yes")
        only_somebodys(ssd)
    finally:
        cluster.gone()


@pytest.mark.parametrize("version", ["PG_15_202209061", "PG_14_202107181"])
def test_what_another_cluster_has_there(pgrevive, space, story, disks, version):
    """One of the same name may share the disk: nothing of it is touched by a start that is refused, by one
    that is told another place, by a replica that is wanted later, nor by a cleanup."""
    ssd, hdd = disks
    others = [ssd / f"shared-{node}/fast" / version / "5/1259" for node in ("primary", "replica")]
    for file in others:
        file.parent.mkdir(parents=True)
        file.write_text("of another cluster")
    for path in (ssd, *ssd.rglob("*")):
        give(path, server_user())
    refused = f"{ssd}/shared-primary/fast, for a tablespace of primary, holds files already: {version}"
    cluster = begin(pgrevive, space, story, "shared", {"TABLESPACE_MAP_ALL": ssd, "REPLICAS": 0})
    def stays():
        assert [file.read_text() for file in others] == ["of another cluster"] * 2
    try:
        for words in (("start",), ("start", "--preview"), ("doctor",), ("start",)):
            result = cluster.run(*words, check=False)
            assert refused in " ".join(f"{result.stdout} {result.stderr}".split()), message(result)
            assert result.returncode == (1 if words == ("doctor",) else 26), message(result)
            stays()
        cluster.run("cleanup", "--yes", check=False)
        stays()
        cluster.values["TABLESPACE_MAP_ALL"] = hdd
        cluster.write_env()
        cluster.start()
        assert cluster.sql("primary", WHERE) == str(hdd / "shared-primary/fast")
        # Neither a replica that comes later nor a cluster that is made anew takes what is there.
        cluster.values |= {"TABLESPACE_MAP_ALL": ssd, "REPLICAS": 1}
        cluster.write_env()
        result = cluster.run("restart", check=False)
        assert "shared-replica/fast, for a tablespace of replica, holds files already" in message(result)
        stays()
        result = cluster.run("start", "--anew", "--yes", check=False)
        assert result.returncode == 26 and refused in result.stderr, message(result)
        assert cluster.sql("primary", MARKERS) == ROWS
        stays()
        cluster.values["REPLICAS"] = 0
        cluster.write_env()
        cluster.run("restart")
        assert soundness.prove(cluster) == ["primary"]
        cluster.run("cleanup", "--yes")
        stays()
        only_somebodys(hdd)
    finally:
        cluster.gone()


def test_a_disk_that_is_not_there_at_the_cleanup(pgrevive, space, story, disks):
    """What is on it stays, and that is told."""
    ssd = disks[0]
    cluster = begin(pgrevive, space, story, "away", {"TABLESPACE_MAP_ALL": ssd, "REPLICAS": 0,
                                                     "WAL_ARCHIVE": "off"})
    try:
        cluster.start()
        assert soundness.prove(cluster) == ["primary"]
        cluster.stop()
        ssd.rename(ssd.parent / "unmounted")
        result = cluster.run("cleanup", "--yes")
        assert f"kept    {ssd}/away-primary/fast is not there" in result.stdout, message(result)
        assert list((ssd.parent / "unmounted/away-primary/fast").glob("PG_15_*"))
    finally:
        cluster.gone()


@pytest.mark.parametrize("value, code, text, hint", [
    ("slow={ssd}", 21, "the backup has no tablespace slow", "(fast)"),
    ("fast={ssd}/mount", 23, "mount, for tablespaces, is not there", "mount it or make it"),
    ("fast={closed}", 28, "cannot write into {closed}", "give it to the user"),
    ("fast={root}/tablespaces", 21, "the cluster's own and goes with it", "a directory elsewhere"),
    ("fast={repo}", 21, "lies in the repository", "a repository is only read"),
], ids=["unknown", "absent", "closed", "own", "source"])
def test_places_that_are_refused(pgrevive, space, story, disks, value, code, text, hint):
    """Before anything is made, by `doctor` too."""
    closed = disks[0] / "closed"
    closed.mkdir(mode=0o755)
    cluster = begin(pgrevive, space, story, "refused", {})
    names = {"ssd": disks[0], "closed": closed, "root": cluster.root, "repo": story.repo.path}
    cluster.values["TABLESPACE_MAP"] = value.format(**names)
    cluster.write_env()
    try:
        for words in (("start",), ("start", "--preview"), ("doctor",)):
            result = cluster.run(*words, check=False)
            assert result.returncode != 0, message(result)
            said = " ".join(f"{result.stdout} {result.stderr}".split())  # a table folds its lines
            assert text.format(**names) in said and hint in said, message(result)
            if words != ("doctor",):
                assert result.returncode == code, message(result)
        assert not (cluster.root / "primary").exists()
    finally:
        shutil.rmtree(cluster.root, ignore_errors=True)
        cluster.gone()
