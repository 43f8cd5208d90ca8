"""A source that has failed over again and again: recovery to points on every one of its timelines.

    1 ── 2 ── 4 ── 5        archived by whoever was the primary at the time
          `── 3             a primary that was given up; what it wrote was archived as well
"""

import dataclasses
import json
import re
import shutil

import pytest

from rig import repofiles
from rig.backrest import write_conf
from rig.cluster import Cluster
from rig.line import first_line
from rig.postgres import binaries, server_user
from rig.process import run, wait_until
from rig.program import message
from rig.restored import ancestors, recovered
from rig.story import MARKERS, Target
from rig.values import moment


class Failovers:
    """What is left of such a source, with points on each timeline between its rows "b" and "c"."""

    def __init__(self, directory):
        line = first_line(directory)
        self.repo = line.repo
        self.at, self.lsn, self.names = {}, {}, {}
        for timeline in (1, 2, 4, 5):
            if timeline > 1:
                line.promote()
            line.mark(f"{timeline}a")
            if timeline in (2, 5):
                line.backup()
            line.work()
            line.mark(f"{timeline}b")
            self.lsn[timeline] = line.sql("select pg_current_wal_lsn()")
            self.at[timeline] = line.moment()
            self.names[timeline] = f"on {timeline}"
            line.sql(f"select pg_create_restore_point('on {timeline}')")
            line.mark(f"{timeline}c")
            # The next timeline begins in the segment of that moment (1, 4) or in a later one (2).
            if timeline in (2, 5):
                line.switch_wal()
            if timeline == 2:
                line.mark("2d")
            assert line.sql("select pg_walfile_name(pg_current_wal_lsn())")[:8] == f"{timeline:08X}"
            line.die()
            if timeline == 2:
                given_up = line.copy(directory / "source" / "given-up")
                given_up.promote()
                given_up.work()
                given_up.mark("3a")
                given_up.switch_wal()
                given_up.die()
        shutil.rmtree(directory / "source")
        self.labels = [backup["label"] for backup in self.repo.info()[0]["backup"]]
        self.repo.finished()

    def target(self, kind, timeline, label):
        """Where a timeline has its row "b" and not "c" yet."""
        value = {"time": self.at, "lsn": self.lsn, "name": self.names}[kind][timeline]
        return Target(kind, value, exclusive=kind == "lsn", label=label)

    def values(self):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path}


@pytest.fixture(scope="module")
def failovers(session_workspace):
    return Failovers(session_workspace.directory("failovers", owner=server_user()))


USAGE, NOT_FOUND = 21, 23
EVERY = ["1a", "1b", "1c", "2a", "2b", "2c", "2d", "4a", "4b", "4c", "5a", "5b", "5c"]
LATEST = ",".join(EVERY)


def rows_to(last, *more):
    return ",".join([*EVERY[:EVERY.index(last) + 1], *more])


def history(cluster, node="primary"):
    """The timelines that the cluster's own comes from, and where each was left."""
    timeline = cluster.status()["supervisor"]["recovery_end"]["new_timeline"]
    text = (cluster.root / node / "data/pg_wal" / f"{timeline:08X}.history").read_text()
    return [(int(words[0]), words[1]) for words in (line.split("\t") for line in text.splitlines())
            if words[0]]


def works(cluster, expected):
    """Both have these rows and the same history, and what the primary writes the replica gets."""
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == expected
    assert cluster.node("replica")["replication"] == "streaming"
    assert history(cluster) == history(cluster, "replica")
    cluster.sql("primary", "insert into markers (what) values ('own')")
    cluster.caught_up()
    assert cluster.sql("replica", MARKERS) == f"{expected},own"
    assert cluster.run("test").returncode == 0


@pytest.fixture
def make_cluster(pgrevive, space):
    made = []

    def make(name, values):
        cluster = Cluster(pgrevive, space.directory("h"), {"WAL_ARCHIVE": "off", "ADMINER_PORT": 0,
                          **values}, name=name.replace(" ", "-"))
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


@pytest.mark.parametrize("backup, target, expected, ancestors", [
    pytest.param(0, Target("default"), LATEST, [1, 2, 4, 5], id="latest"),
    pytest.param(2, Target("default"), LATEST, [1, 2, 4, 5], id="latest from the last backup",
                 marks=pytest.mark.thorough),
    pytest.param(1, Target("immediate"), rows_to("2a"), [1, 2], id="immediate on 2"),
    # 2d was archived on 2 itself only in the ".partial" of a segment.
    pytest.param(0, Target("default", timeline="2"), rows_to("2d"), [1, 2], id="timeline 2",
                 marks=pytest.mark.thorough),
    pytest.param(1, Target("default", timeline="3"), rows_to("2d", "3a"), [1, 2, 3], id="timeline 3"),
])
def test_end_of_a_line(make_cluster, failovers, backup, target, expected, ancestors):
    target = dataclasses.replace(target, label=failovers.labels[backup])
    cluster = make_cluster(f"end-{target.kind}-{target.timeline}-{backup}",
                           {**failovers.values(), **target.env()})
    cluster.start()
    works(cluster, expected)
    assert [timeline for timeline, _ in history(cluster)] == ancestors


def break_off_the_promotion(cluster):
    """As a power cut does that comes between two steps of the server: its standby.signal is gone, and
    nothing says yet that it is a primary."""
    start = cluster.start_in_background()
    cluster.wait_for_record("promoting")
    cluster.kill_supervisor()
    start.process.wait(60)
    cluster.kill_server("primary")
    data = cluster.root / "primary" / "data"
    said = run([binaries() / "pg_controldata", data], env={"LC_ALL": "C"}).stdout
    assert re.search("cluster state: +in archive recovery", said), said
    (data / "standby.signal").unlink()


@pytest.mark.parametrize("kind, timeline, backup, named", [
    ("time", 1, 0, False), ("time", 4, 1, False), ("lsn", 4, 1, False), ("name", 2, 0, True),
    pytest.param("time", 2, 0, True, marks=pytest.mark.thorough),
    pytest.param("time", 2, 1, False, marks=pytest.mark.thorough),
    pytest.param("time", 5, 0, True, marks=pytest.mark.thorough)])
def test_before_a_failover(make_cluster, failovers, kind, timeline, backup, named):
    """On the way to the latest timeline, which a point before its beginning is not part of: what is
    made of it left the timeline that the point lies on, and says so. From the newest backup before it,
    where none is named."""
    cluster = make_cluster(f"{kind}-on-{timeline}-from-{backup}", {
        **failovers.values(),
        **failovers.target(kind, timeline, failovers.labels[backup] if named else "").env()})
    if kind == "lsn":
        # Timeline 3 left 2 before, and may have gone on to that LSN as well.
        cluster.values["RECOVERY_TARGET_TIMELINE"] = "latest"
        cluster.write_env()
        break_off_the_promotion(cluster)
    cluster.start()
    assert cluster.status()["supervisor"]["backup_label"] == failovers.labels[backup]
    works(cluster, rows_to(f"{timeline}b"))
    ancestors = history(cluster)
    assert [timeline for timeline, _ in ancestors] == [t for t in (1, 2, 4, 5) if t <= timeline]
    fork = cluster.status()["supervisor"]["recovery_end"]["fork_lsn"]
    assert ancestors[-1] == (timeline, fork)


@pytest.mark.parametrize("backup, target, expected, line", [
    pytest.param(1, Target("default", timeline="current"), rows_to("2d"), [1, 2], id="current"),
    pytest.param(0, Target("default", timeline="3"), rows_to("2d", "3a"), [1, 2, 3], id="given up"),
    pytest.param(0, ("time", 2, "2"), rows_to("2b"), [1, 2], id="time on 2"),
    pytest.param(1, ("lsn", 4, "latest"), rows_to("4b"), [1, 2, 4, 5], id="lsn on the way to 5")])
def test_restore_command_alone(pgrevive, space, failovers, backup, target, expected, line):
    """`restore` with a timeline, and the server started by hand: there is nobody who would put the new
    timeline's history right, which is of the one that was followed."""
    if not isinstance(target, Target):
        kind, on, timeline = target
        target = dataclasses.replace(failovers.target(kind, on, ""), timeline=timeline)
    place = space.directory(f"alone-{target.kind}-{target.timeline}", owner=server_user())
    pgrevive.restore(failovers.repo.conf, {"primary": place / "data"},
                     *target.backrest_options(), f"--set={failovers.labels[backup]}",
                     user=server_user())
    with recovered(place / "data", place) as server:
        assert server.sql(MARKERS, "testdb") == expected
        assert ancestors(server) == line


def test_restore_of_several_repositories(pgrevive, space, failovers):
    """One has lost the newest timelines and another a segment. All that was archived is had from the
    one that reaches furthest, whose gap the other fills; a target from the one that leads there."""
    def copy(name, *lost):
        path = repofiles.copy(failovers.repo.path, space.path / name)
        for segment, file in repofiles.archive(path).items():
            if segment.startswith(lost):
                file.unlink()
        return path

    def restore(name, repositories, *words, check=True):
        conf = write_conf(space.path / f"{name}.conf", {
            "global": {f"repo{i}-path": path for i, path in enumerate(repositories, 1)},
            "main": {"pg1-path": space.path / "pg"}})
        place = space.directory(name, owner=server_user())
        return place, pgrevive.restore(conf, {"primary": place / "data"},
                                       f"--set={failovers.labels[0]}", *words,
                                       user=server_user(), check=check)

    stop = failovers.repo.info()[0]["backup"][0]["archive"]["stop"]
    missing = next(name for name in repofiles.segments(failovers.repo.path) if name > stop)
    assert missing.startswith("00000001")
    stale, broken = copy("stale", "00000004", "00000005"), copy("broken", missing)

    place, told = restore("joined", [stale, broken], "--type=default")
    assert f"repository 2: segment {missing} is missing; other repositories have" in told.stderr
    assert "repository 1 leads along timeline 3 to 0/" in told.stderr, message(told)
    assert "left out: repository 2 leads along timeline 5, which never was on that one" in told.stderr
    with recovered(place / "data", place) as server:
        assert server.sql(MARKERS, "testdb") == LATEST
        assert ancestors(server) == [1, 2, 4, 5]

    place, told = restore("one", [stale, failovers.repo.path], "--type=name", "--target=on 4")
    assert "repository 1: " in told.stderr and "target: restore point 'on 4'" in told.stdout
    assert "recovery_target_timeline = '5'" in (place / "data/postgresql.auto.conf").read_text()

    place, told = restore("none", [broken, broken], "--type=default", check=False)
    assert told.returncode == NOT_FOUND and f"gap: segment {missing}" in told.stderr, message(told)
    assert not (place / "data").exists()


@pytest.mark.parametrize("timeline, words", [
    ("3", ["timeline 3"]), ("7", ["00000007.history"])])
def test_timeline_that_is_not_on_the_way(make_cluster, failovers, timeline, words):
    """Of the backup that is named, or of any: said before the first byte."""
    cluster = make_cluster(f"no-{timeline}", {
        **failovers.values(),
        **Target("default", timeline=timeline, label=failovers.labels[2]).env()})
    result = cluster.start(check=False)
    assert result.returncode in (USAGE, NOT_FOUND) and "hint: " in result.stderr, message(result)
    for word in words:
        assert word in result.stderr, message(result)
    assert not cluster.root.exists()


def test_newest_commit_of_each(pgrevive, failovers):
    """Of what was archived on each timeline, also on the one that was given up."""
    report = json.loads(pgrevive("info", "--config", failovers.repo.conf, "--stanza", "main", "--json",
                                 "--newest-commit").stdout)
    newest = {each["id"]: each["newest-commit"] for each in report[0]["archive"][0]["timeline"]}
    # Of 4 the archive has no whole segment: the next timeline began in its first.
    assert list(newest) == [1, 2, 3, 5]
    at = {timeline: moment(text) for timeline, text in failovers.at.items()}
    # 1b lies in the segment in which the next timeline began.
    assert moment(newest[1]) < at[1]
    assert at[2] < moment(newest[2]) < moment(newest[3]) < at[4]
    assert moment(newest[5]) > at[5]


def test_clone_of_a_clone(make_cluster, failovers, space):
    """What came of a point before a failover archives and is cloned as if nothing had been."""
    target = failovers.target("time", 2, failovers.labels[0])
    first = make_cluster("first", {**failovers.values(), **target.env(), "WAL_ARCHIVE": "own",
                                   "REPLICA_REBUILD": "backup"})
    first.start()
    works(first, rows_to("2b"))
    conf = next(first.root.rglob("pgbackrest.conf"))
    run(["pgbackrest", f"--config={conf}", "--stanza=main", "--type=full", "backup"],
        user=server_user(), timeout=120)
    first.sql("primary", "insert into markers (what) values ('archived')")
    name = first.sql("primary", "select pg_walfile_name(pg_current_wal_lsn())")
    first.sql("primary", "select pg_switch_wal()")
    wait_until(lambda: first.sql("primary", "select last_archived_wal >= "
                                 f"'{name}' from pg_stat_archiver") == "t", 60, f"{name} archived")
    # One more replica, and one that is lost: the source's archive has newer WAL, of newer timelines, than
    # what both come from.
    first.values["REPLICAS"] = 2
    first.write_env()
    shutil.rmtree(first.root / "replica" / "data")
    first.run("restart")
    wait_until(lambda: all(first.node(node)["replication"] == "streaming"
                           for node in ("replica", "replica-2")), 30, "both stream")
    for node in ("replica", "replica-2"):
        assert first.node(node)["made_because"] == \
            f"restored from backup {failovers.labels[0]}: REPLICA_REBUILD=backup"
        first.caught_up(node=node)
        assert first.sql(node, MARKERS) == rows_to("2b", "own", "archived")
        assert history(first, node) == history(first)
    second = make_cluster("second", {"REPO_TYPE": "posix", "REPO_PATH": first.status()["archive"]})
    second.start()
    works(second, rows_to("2b", "own", "archived"))
