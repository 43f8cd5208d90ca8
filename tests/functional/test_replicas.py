"""Replicas always join: any number of them, beside a source that lives, after losses and crashes."""

import shutil
import threading

import pytest

from rig import repofiles, seals, soundness, tree
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.console import Console
from rig.line import Line
from rig.postgres import Server, SourceCluster, server_user, trusting_hba
from rig.process import consecutive_ports, free_port, wait_until
from rig.program import message
from rig.story import MARKERS, ROWS
from rig.workspace import Workspace


@pytest.fixture
def space():
    workspace = Workspace("j")
    workspace.path.chmod(0o755)
    yield workspace
    workspace.remove()


@pytest.fixture
def make_cluster(pgrevive, space):
    made = []

    def make(values, replicas, name="trial"):
        cluster = Cluster(pgrevive, space.directory("h"), {
            "WAL_ARCHIVE": "off", "ADMINER_PORT": 0, **values, "REPLICAS": replicas}, name=name)
        cluster.replica_port = cluster.values["POSTGRES_REPLICA_PORT"] = consecutive_ports(4)
        cluster.write_env()
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


def names(count):
    return ["replica", *(f"replica-{i}" for i in range(2, count + 1))][:count]


def all_stream(cluster, count):
    nodes = {node["name"]: node for node in cluster.status()["nodes"]}
    assert set(nodes) == {"primary", *names(count)}
    return all(nodes[name]["replication"] == "streaming" for name in names(count))


@pytest.mark.parametrize("count", [0, 2, 4])  # and 1 all over, 3 below
def test_number_of_replicas(make_cluster, story, count):
    cluster = make_cluster(story.values(), count)
    cluster.start()
    assert all_stream(cluster, count)
    for name in ["primary", *names(count)]:
        assert cluster.sql(name, MARKERS) == ROWS
    assert cluster.run("test").returncode == 0


def test_more_and_fewer_later(make_cluster, story):
    """One that comes later has what the primary has; one that goes takes its slot along."""
    cluster = make_cluster(story.values(), 0)
    cluster.start()
    cluster.sql("primary", "insert into markers (what) values ('of the new line')")
    cluster.values["REPLICAS"] = 3
    cluster.write_env()
    cluster.run("restart")
    assert all_stream(cluster, 3)
    for name in names(3):
        assert cluster.sql(name, MARKERS) == ROWS + ",of the new line"
    slots = "select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots"
    assert cluster.sql("primary", slots) == "pgrevive_replica pgrevive_replica_2 pgrevive_replica_3"
    cluster.values["REPLICAS"] = 1
    cluster.write_env()
    cluster.run("restart")
    assert all_stream(cluster, 1)
    assert cluster.sql("primary", slots) == "pgrevive_replica"


def test_primary_that_is_started_with_more(make_cluster, story):
    """Its replica, which runs on, has to be started with as much: from 14 on it would pause for good."""
    cluster = make_cluster(story.values(), 1)
    cluster.start()
    cluster.sql("primary", "alter system set max_connections = 321")
    cluster.run("restart", "primary")
    cluster.sql("primary", "insert into markers (what) values ('with more')")
    cluster.caught_up()
    assert all_stream(cluster, 1)
    assert cluster.sql("replica", "show max_connections") == "321"
    assert "its WAL demands more than it was started with" in cluster.logs()


@pytest.mark.parametrize("running", [True, False])
def test_data_directory_that_is_lost(make_cluster, story, running):
    cluster = make_cluster(story.values(), 1)
    cluster.start()
    cluster.sql("primary", "insert into markers (what) values ('meanwhile')")
    if not running:
        cluster.stop()
    shutil.rmtree(cluster.root / "replica" / "data")
    cluster.run("restart" if running else "start")
    wait_until(lambda: all_stream(cluster, 1), 30, "it streams")
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == ROWS + ",meanwhile"
    why = cluster.node("replica")["made_because"]
    assert why.startswith("copied from the primary: about "), why
    assert why.endswith(f" for backup {story.label}"), why


@pytest.mark.parametrize("backup", [True, False])
def test_primary_that_is_lost(make_cluster, story, backup):
    """None is made in its place without a word, be it from the backup or empty. A replica that holds what
    it wrote is named; one that runs goes on, and once the directory is back so does all."""
    values = story.values() if backup else {"RESTORE_FROM_BACKUP": "false"}
    console = Console(free_port())
    cluster = make_cluster({**values, "CONSOLE_PORT": console.port}, 1)
    cluster.start()
    token = cluster.run("console", "--token").stdout.strip()
    cluster.sql("primary", "create table written as select 7 as i")
    cluster.caught_up()
    data, away = cluster.root / "primary" / "data", cluster.root / "away"
    pid = cluster.node("replica")["pid"]

    def refused(*words):
        result = cluster.run(*words, check=False)
        said = " ".join(message(result).split())
        assert result.returncode != 0, said
        assert f"{data} is gone, but replica still holds what the cluster wrote" in said, said
        assert "put that directory back" in said
        assert not data.exists()

    data.rename(away)  # its server does not notice for a while
    refused("start")
    refused("restart")
    refused("restart", "primary")
    refused("rebuild", "--yes", "replica")
    status, answer = console.act("restart", token)
    assert status == 409 and f"{data} is gone, but replica still" in answer["error"]["message"], answer
    assert cluster.node("replica")["pid"] == pid
    assert cluster.sql("replica", "select i from written") == "7"
    away.rename(data)

    cluster.stop()
    kept = tree.plain(cluster.root / "replica")
    data.rename(away)
    for replicas in (1, 0):
        cluster.values["REPLICAS"] = replicas
        cluster.write_env()
        refused("start")
        assert cluster.start(check=False).returncode == 23
        refused("restart")
        refused("start", "--preview")
        refused("doctor")
    assert tree.plain(cluster.root / "replica") == kept

    # Nobody else has it.
    (cluster.root / "replica").rename(cluster.root.parent / "replica")
    (cluster.root / "primary").rename(cluster.root.parent / "primary")
    for words in (["start"], ["restart"], ["start", "--preview"], ["doctor"]):
        result = cluster.run(*words, check=False)
        said = " ".join(message(result).split())
        assert result.returncode != 0, said
        assert f"{data} is gone, and with it what was written to the cluster since 20" in said, said
        assert "`start --anew` makes the cluster anew" in said, said
    assert not (cluster.root / "primary").exists()
    for node in ("replica", "primary"):
        (cluster.root.parent / node).rename(cluster.root / node)
    away.rename(data)
    cluster.values["REPLICAS"] = 1
    cluster.write_env()
    cluster.start()
    assert all_stream(cluster, 1)
    assert cluster.sql("replica", "select i from written") == "7"


def lose_replica(cluster):
    """Its data directory goes. Since it has all, its primary keeps nothing for it of what was archived."""
    cluster.sql("primary", "insert into markers (what) values ('meanwhile')")
    cluster.sql("primary", "alter system set wal_keep_size = 0")
    for _ in range(2):
        segment = cluster.sql("primary", "select pg_walfile_name(pg_switch_wal())")
        cluster.sql("primary", "create table if not exists w (i int); drop table w")
    wait_until(lambda: cluster.sql("primary", f"select last_archived_wal >= '{segment}' from "
                                   "pg_stat_archiver") == "t", 60, f"{segment} is archived")
    cluster.caught_up()
    cluster.sql("primary", "select pg_reload_conf()")
    wait_until(lambda: cluster.sql("primary", "checkpoint") == ""
               and not (cluster.root / "primary/data/pg_wal" / segment).exists(), 60,
               f"{segment} is removed")
    shutil.rmtree(cluster.root / "replica" / "data")
    return segment


def test_rebuilt_from_the_backup(make_cluster, story):
    """The source's WAL leads to the fork, and the cluster's own from there on. Where that breaks off,
    the replica is copied from its primary."""
    cluster = make_cluster(
        {**story.values(), "WAL_ARCHIVE": "own", "REPLICA_REBUILD": "backup"}, 1)
    cluster.start()
    lose_replica(cluster)
    cluster.run("restart")
    assert all_stream(cluster, 1)
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == ROWS + ",meanwhile"
    node = cluster.node("replica")
    assert node["backup_label"] == story.label
    assert node["made_because"] == f"restored from backup {story.label}: REPLICA_REBUILD=backup"
    assert node["made_because"] in cluster.run("status").stdout
    soundness.balances(cluster, "replica", "testdb")

    # In the archive by its name, and not what that says.
    segment = lose_replica(cluster)
    [stored] = (cluster.root / "archive").rglob(f"{segment}-*")
    stored.write_bytes(stored.read_bytes()[:-40] + b"?" * 40)
    cluster.run("restart")
    assert all_stream(cluster, 1)
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == ROWS + ",meanwhile" * 2
    node = cluster.node("replica")
    assert node["backup_label"] == ""
    why = node["made_because"]
    assert why.startswith("copied from the primary: not from the backup, because what was restored "
                          f"from it did not join: WAL file {segment} could not be fetched"), why
    assert any("it did not join and is copied from the primary instead" in warning
               for warning in cluster.status()["supervisor"]["warnings"])


@pytest.mark.parametrize("promoted", [True, False])
def test_replica_that_went_another_way(make_cluster, story, space, promoted):
    """Somebody opened it by hand: it can never stream again, and that is said at once. And one that streams
    and lets nobody in."""
    cluster = make_cluster(story.values(), 1)
    cluster.start()
    cluster.stop()
    data = cluster.root / "replica" / "data"
    place = space.directory("by-hand", owner=server_user())
    server = Server(data, sockets=place, log=place / "server.log")
    if not promoted:
        (data / "standby.signal").unlink()
    server.start(config_file=cluster.root / "replica" / "conf" / "postgresql.conf",
                 hba_file=trusting_hba(place), primary_conninfo="")
    try:
        if promoted:
            server.sql("select pg_promote()")
        server.sql("create table astray as select generate_series(1, 50000) i; checkpoint", "testdb")
    finally:
        server.stop()
    result = cluster.start(check=False)
    assert result.returncode == 27, message(result)
    for words in ("replica cannot stream from its primary: it ", "hint: it went another way"):
        assert words in result.stderr, message(result)
    assert cluster.sql("primary", MARKERS) == ROWS
    # The remedy that is named.
    cluster.stop()
    shutil.rmtree(data)
    cluster.start()
    assert all_stream(cluster, 1)
    if promoted:
        return

    # One that replays all and lets nobody in is not up.
    cluster.stop()
    filenodes = data / "global" / "pg_filenode.map"
    filenodes.write_bytes(b"?" * filenodes.stat().st_size)
    result = cluster.start(check=False)
    assert result.returncode == 27, message(result)
    assert "replica streams from its primary, but lets nobody in: " in result.stderr, message(result)
    assert "pg_filenode.map" in result.stderr and "`rebuild replica`" in result.stderr, message(result)
    cluster.run("rebuild", "--yes", "replica")
    assert all_stream(cluster, 1)


@pytest.mark.parametrize("when, alone", [
    ("promoting", True), ("promoted", False), ("set_up", False)])
def test_crash_in_the_middle_of_the_set_up(make_cluster, story, when, alone):
    """kill -9 of the primary once the record says so, alone (and while it replays, too) or with the
    supervisor; on the way to a point that the archive goes on behind."""
    target = story.targets["lsn"]
    cluster = make_cluster({**story.values(), **target.env()}, 1)
    start = cluster.start_in_background()
    if alone:
        cluster.wait_for_record("line")  # that it replays
        wait_until(lambda: (cluster.root / "primary/data/postmaster.pid").exists(), 30, "it runs")
        cluster.kill_server("primary")
    cluster.wait_for_record(when)
    if not alone:
        cluster.kill_supervisor()
    cluster.kill_server("primary")
    start.process.wait(60)
    cluster.start()
    assert all_stream(cluster, 1)
    cluster.caught_up()
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == ROWS[:ROWS.index(",by-name")]
    assert cluster.run("test").returncode == 0


def fail_over(source, repo):
    """Of a source that nobody writes to; what it does as the next timeline is archived, and it ends."""
    source.stop()
    successor = Line(repo, source.data, source.sockets).promote()
    try:
        successor.work()
        successor.mark("of the next timeline")
        successor.switch_wal()
    finally:
        successor.stop()


def latest_of_a_source_that_goes_on(make_cluster, source, repo):
    """There is always more: at its end it has what was archived when it began, and says what it left."""
    history = "select count(*) from pgbench_history"
    rows = int(source.sql(history, "testdb"))
    begun = source.switch_wal()
    cluster = make_cluster({"REPO_TYPE": "posix", "REPO_PATH": repo.path}, 1, name="latest")
    cluster.start()
    assert all_stream(cluster, 1)
    cluster.caught_up()
    for node in ("primary", "replica"):
        assert int(cluster.sql(node, history)) >= rows
        soundness.balances(cluster, node, "testdb")
    end = cluster.status()["supervisor"]["recovery_end"]
    archived = repofiles.segments(repo.path)
    newest, last = end["newest_archived_wal"], end["last_replayed_wal"]
    assert archived.index(newest) - archived.index(last) == end["wal_left"], end
    assert begun <= last <= newest < source.switch_wal()  # and it went on
    assert soundness.prove(cluster) == ["primary", "replica"]


def test_beside_a_source_that_lives(make_cluster, space):
    """It writes and archives before, while and after the clusters come up, of which one is to have the
    latest, and fails over to a timeline of the number that their own has."""
    source = SourceCluster(space.directory("source"), segment_mb=1).create().start().fill()
    repo = BackrestRepo(space.directory("backups"), source, compress="lz4").create_stanza()
    stop = threading.Event()

    def write():
        while not stop.is_set():
            source.work(100)
            source.switch_wal()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        repo.backup("full")
        source.mark("target")
        target = source.sql("select pg_current_wal_lsn()")
        source.switch_wal()
        seals.seal_living(repo.path)
        cluster = make_cluster({"REPO_TYPE": "posix", "REPO_PATH": repo.path, "WAL_ARCHIVE": "own"}, 1)
        result = cluster.start("--type", "lsn", "--target", target, check=False)
        assert result.returncode == 0, message(result)
        source.switch_wal()
        assert all_stream(cluster, 1)
        cluster.sql("primary", "insert into markers (what) values ('own')")
        cluster.caught_up()
        for node in ("primary", "replica"):
            assert cluster.sql(node, MARKERS) == "m1-filled,target,own"
            assert cluster.sql(node, "select sum(abalance) = (select sum(delta) from "
                               "pgbench_history) from pgbench_accounts") in ("t", "")
        # A replica that is started again finds nothing in the source's archive to follow.
        cluster.run("restart")
        wait_until(lambda: all_stream(cluster, 1), 30, "it streams")
        latest_of_a_source_that_goes_on(make_cluster, source, repo)
        # It was alive to the end. (Asked to switch right behind another switch, it has nothing to archive.)
        before = len(repofiles.segments(repo.path))
        wait_until(lambda: len(repofiles.segments(repo.path)) > before, 60, "the source archives")
        stop.set()
        writer.join()
        seals.end(repo.path)
        fail_over(source, repo)
    finally:
        stop.set()
        writer.join()
        source.stop()
    seals.seal_directory(repo.path)
    assert max(repofiles.segments(repo.path)).startswith("00000002")
    assert cluster.status()["supervisor"]["recovery_end"]["new_timeline"] == 2

    # Of pages that are nearly empty, so that there is more to copy than to restore; without WAL to replay.
    cluster.sql("primary", "create unlogged table grown with (fillfactor = 10) as "
                           "select repeat('x', 700) from generate_series(1, 40000)")
    lose_replica(cluster)
    cluster.run("restart")
    why = cluster.node("replica")["made_because"]
    assert why.startswith(f"restored from backup {repo.labels[-1]}: about "), why
    assert why.endswith(" for a copy of the primary"), why
    cluster.sql("primary", "drop table grown")
    cluster.caught_up()
    assert all_stream(cluster, 1)
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == "m1-filled,target,own,meanwhile"
    assert soundness.prove(cluster) == ["primary", "replica"]
    seals.end(repo.path)
