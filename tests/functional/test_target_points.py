"""Targets that only the WAL tells the place of: names of restore points and numbers of transactions are
looked for in the archive before the first byte, and decide which backup is restored."""

import concurrent.futures
import datetime
import itertools
import json
import threading

import pytest

from rig import repofiles
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import SourceCluster, server_user
from rig.process import wait_until
from rig.program import message
from rig.restored import ancestors, recovered
from rig.story import Target
from rig.values import lsn
from rig.workspace import give

NOT_FOUND, USAGE = 23, 21
# Which the source left, and of which is the newest backup.
FIRST_LINE = ["--target-timeline", "1"]
MARKERS = SourceCluster.MARKERS


class Points:
    """A stanza with two backups on timeline 1, and timeline 2, which leaves 1 before the second."""

    def __init__(self, directory):
        source = SourceCluster(directory / "source", segment_mb=1).create().start()
        self.source = source
        self.repo = repo = BackrestRepo(directory / "backups", source, compress="lz4").create_stanza()
        source.sql("create database testdb")
        source.sql("create table markers (id serial primary key, what text)", "testdb")
        source.prepare_load("testdb", accounts=500)
        self.lsns = {}  # of restore points, as the server told them
        self.xids = {}
        self.moments = {}  # behind restore points
        self.first = repo.backup("full")
        self.next_second(source)
        source.mark("one")
        self.xids["two"] = self.transaction(source, "two")
        self.point(source, "first")
        source.mark("three")
        source.work(20)
        self.point(source, "twice")
        self.xids["top"], self.xids["sub"] = source.sql(
            "begin; insert into markers (what) values ('four'); select txid_current(); "
            "savepoint a; insert into markers (what) values ('five'); "
            "select xmin from markers where what = 'five'; commit", "testdb").split()
        fork = source.sql("select pg_current_wal_insert_lsn()")
        source.mark("first-line")
        self.during = self.backup_under_load()
        self.next_second(source)
        source.mark("six")
        self.point(source, "twice")
        self.xids["seven"] = self.transaction(source, "seven")
        source.switch_wal()
        source.mark("eight")
        self.point(source, "late")
        source.mark("nine")
        source.switch_wal()
        source.stop()
        self.labels = [backup["label"] for backup in repo.info()[0]["backup"]]
        self.branch_off(directory / "branch", fork)

    @staticmethod
    def transaction(server, what):
        return server.sql(f"begin; insert into markers (what) values ('{what}'); "
                          "select txid_current(); commit", "testdb")

    @staticmethod
    def next_second(server):
        """Of a backup's end only the second is known, so that a time within it cannot be had."""
        server.sql("select pg_sleep_until(date_trunc('second', clock_timestamp()) + interval '1 second')")

    def point(self, server, name):
        self.lsns[name], self.moments[name] = server.sql(
            f"select pg_create_restore_point('{name}'), clock_timestamp()").split("|")

    def backup_under_load(self):
        """Takes the second backup; returns restore point and transaction that lie within it."""
        made = []
        over = threading.Event()

        def load():
            while not over.is_set():
                name = f"during {len(made)}"
                xid = self.source.sql("select txid_current()")
                made.append((name, xid, self.source.sql(
                    f"select pg_create_restore_point('{name}')")))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            # That it has the WAL with it that it needs says nothing of which line is the source's.
            self.second = self.repo.backup("full", "--archive-copy")
        finally:
            over.set()
            thread.join()
        backup = self.repo.info()[0]["backup"][-1]
        begin, end = (lsn(backup["lsn"][edge]) for edge in ("start", "stop"))
        within = [(name, xid) for (_, _, before), (name, xid, place) in zip(made, made[1:])
                  if begin < lsn(before) and lsn(place) < end]
        assert within, (backup, made)
        return within[0]

    def branch_off(self, directory, fork):
        source = self.source
        data = directory / "data"
        for path in (directory, data):
            path.mkdir(mode=0o700)
            give(path, server_user())
        self.repo.pgbackrest(f"--pg1-path={data}", f"--set={self.first}",
                             *Target("lsn", fork, timeline="current").backrest_options(), "restore")
        branch = SourceCluster(directory, data=data)
        push = directory / "pgbackrest-push.sh"
        push.write_text(f"#!/bin/sh\nexec pgbackrest --config={self.repo.conf} --stanza=main "
                        f"--pg1-path={data} archive-push \"$1\"\n")
        push.chmod(0o755)
        branch.start(archive_command=f"{push} %p")
        try:
            wait_until(lambda: branch.sql("select pg_is_in_recovery()") == "f", 60, "promotion")
            self.xids["of two"] = self.transaction(branch, "second-line")
            self.point(branch, "of two")
            source.load.on(branch).work(20)
            branch.mark("end-of-two")
            branch.switch_wal()
        finally:
            branch.stop()

    def values(self, **more):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path, "WAL_ARCHIVE": "off",
                "ADMINER_PORT": 0, **more}


@pytest.fixture(scope="module")
def points(session_workspace):
    return Points(session_workspace.directory("points", owner=server_user()))


_numbers = itertools.count()


@pytest.fixture
def make_cluster(pgrevive, space):
    made = []

    def make(values):
        cluster = Cluster(pgrevive, space.directory("h"), values, name=f"p{next(_numbers)}")
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


@pytest.fixture
def cluster(make_cluster, points):
    return make_cluster(points.values())


def preview(cluster, kind, target, *words, code=0):
    result = cluster.run("start", "--preview", "--json", "--type", kind, "--target", target, *words,
                         check=False)
    assert result.returncode == code, message(result)
    return json.loads(result.stdout)


def refused(cluster, kind, target, *words):
    """What the preview of a target says that cannot be reached."""
    told = preview(cluster, kind, target, *words, code=NOT_FOUND)
    assert told["reachable"] is False and told["point"] is None
    return told["problem"]["message"] + "; " + told["problem"]["hint"]


def test_the_backup_is_the_newest_before_the_point(cluster, points):
    """Of names and transactions alike; and what is needed is no more than up to there."""
    first, second = points.first, points.second
    for kind, target, label in (
            ("name", "first", first), ("name", "late", second), ("name", "twice", second),
            ("xid", points.xids["two"], first), ("xid", points.xids["seven"], second)):
        told = preview(cluster, kind, target, *(FIRST_LINE if label == second else ()))
        assert told["reachable"] is True and told["backup"]["label"] == label, (target, told)
        if kind == "name":
            assert told["point"]["end_lsn"] == points.lsns[target]
            assert told["point"]["what"] == "restore point"
        else:
            assert told["point"]["what"] == "commit"
        place = lsn(told["point"]["end_lsn"]) - 1
        last = told["wal"]["last"]
        assert (int(last[8:16], 16) << 32) + (int(last[16:], 16) << 20) == place >> 20 << 20
    text = cluster.run("start", "--preview", "--type", "name", "--target", "late", *FIRST_LINE).stdout
    assert f"restore point 'late' at {points.lsns['late']}, of 20" in text, text
    assert not cluster.root.exists()


def test_a_name_that_is_there_twice(cluster, points):
    """PostgreSQL stops at the first one behind the backup, so the backup decides."""
    told = preview(cluster, "name", "twice", *FIRST_LINE)
    assert told["point"]["again_lsn"] is None
    earlier = preview(cluster, "name", "twice", "--set", points.first, "--target-timeline", "1")
    assert earlier["backup"]["label"] == points.first
    assert lsn(earlier["point"]["end_lsn"]) < lsn(points.lsns["twice"])
    assert earlier["point"]["again_lsn"] == points.lsns["twice"]
    text = cluster.run("start", "--preview", "--type", "name", "--target", "twice", "--set",
                       points.first, "--target-timeline", "1").stdout
    assert f"Another restore point of that name is at {points.lsns['twice']}" in text, text


def test_a_point_within_a_backup_needs_an_older_one(cluster, points):
    name, xid = points.during
    for kind, target in (("name", name), ("xid", xid)):
        told = preview(cluster, kind, target, "--target-timeline", "1")
        assert told["backup"]["label"] == points.first, told
        assert f"within backup {points.second}" in refused(cluster, kind, target, "--set",
                                                           points.second)


def test_timelines(cluster, points):
    """Each has its own; a transaction's number is that of another one there."""
    xid = points.xids["of two"]
    for kind, target, words in (("name", "of two", []), ("xid", xid, ["--target-timeline", "2"])):
        told = preview(cluster, kind, target, *words)
        assert told["backup"]["label"] == points.first and told["point"]["timeline"] == 2, told
    assert told["point"]["what"] == "commit"
    other = preview(cluster, "xid", xid, "--target-timeline", "1")
    assert other["point"]["timeline"] == 1
    assert other["point"]["end_lsn"] != told["point"]["end_lsn"]
    text = refused(cluster, "name", "late", "--target-timeline", "2")
    assert "is not in the archive" in text and "it is on timeline 1" in text, text
    assert "it is on timeline 2" in refused(cluster, "name", "of two", "--target-timeline", "1")


def test_which_line_is_the_sources_is_not_guessed(cluster, points, space):
    """The newest backup is of a timeline that the newest one left before: production went on along one
    of both. Neither is taken without a word."""
    data = space.directory("which", owner=server_user()) / "data"
    restore = ["--stanza", "main", "restore", "--repo-path", points.repo.path, "--node",
               f"primary={data}"]
    late = points.xids["seven"]
    for words in ([], ["--type", "name", "--target", "late"], ["--type", "xid", "--target", late],
                  ["--type", "lsn", "--target", points.lsns["late"]]):
        asked = words if "--type" in words else ["--type", "default", *words]
        told = [cluster.run("start", "--preview", *words, check=False),
                cluster.start(*words, check=False), cluster.run("info", *asked, check=False),
                cluster.pgrevive(*restore, *words, check=False)]
        assert [result.returncode for result in told] == [USAGE] * 4, (words, told)
        for result in told:
            for part in ("the archive has timeline 2 too, which left timeline 1 at ",
                         f"before backup {points.second} ended", "--target-timeline",
                         f"2 begins with backup {points.first}, newest transaction 20",
                         f"1 with backup {points.second}, newest transaction 20"):
                assert part in result.stderr, message(result)
        assert not cluster.root.exists() and not data.exists()
    for wish, label, line in ((["--target-timeline", "1"], points.second, 1),
                              (["--target-timeline", "2"], points.first, 2),
                              (["--target-timeline", "latest"], points.first, 2),
                              (["--set", points.second], points.second, 1)):
        result = cluster.run("start", "--preview", "--json", "--type", "default", *wish)
        told = json.loads(result.stdout)
        assert (told["backup"]["label"], told["timeline"]) == (label, line), (wish, told)
    refused = cluster.run("start", "--preview", "--set", points.second, "--target-timeline", "latest",
                          check=False)
    assert refused.returncode == USAGE and "timeline 2 left timeline 1 before" in refused.stderr

    # Who names the backup has said it; but a server that is told no timeline would look for the newest,
    # and not start.
    cluster.pgrevive(*restore, "--set", points.second, "--type", "name", "--target", "late",
                     "--target-action", "promote")
    with recovered(data, data.parent) as server:
        assert server.sql(MARKERS, "testdb") == "one,two,three,four,five,first-line,six,seven,eight"


def test_which_of_two_lines_has_the_target_is_not_guessed(cluster, points, space):
    """The backup leads to both, and so does the target, behind where they part. What lies before that is
    the same on both."""
    data = space.directory("both", owner=server_user()) / "data"
    behind = preview(cluster, "xid", points.xids["of two"], "--target-timeline", "2")["point"]
    late = preview(cluster, "name", "late", "--target-timeline", "1")["point"]["time_us"]
    moment = datetime.datetime.fromtimestamp(late / 10**6, datetime.timezone.utc)
    for words in (["--type", "xid", "--target", points.xids["of two"]],
                  ["--type", "lsn", "--target", behind["end_lsn"]],
                  ["--type", "time", "--target", f"{moment:%Y-%m-%d %H:%M:%S.%f}+00",
                   "--set", points.first]):
        told = [cluster.run("start", "--preview", *words, check=False),
                cluster.start(*words, check=False), cluster.run("info", *words, check=False),
                cluster.pgrevive("--stanza", "main", "restore", "--repo-path", points.repo.path,
                                 "--node", f"primary={data}", *words, check=False)]
        for result in told:
            assert result.returncode == USAGE, (words, message(result))
            for part in ("timeline 1 goes on beside timeline 2 from 0/",
                         "is on both" if words[1] == "xid" else ", newest transaction 20",
                         "cannot be known from here", "RECOVERY_TARGET_TIMELINE): 2 or 1"):
                assert part in result.stderr, message(result)
        assert not cluster.root.exists() and not data.exists()
        for line in ("1", "2"):
            assert cluster.run("start", "--preview", *words, "--target-timeline", line).returncode == 0
    told = preview(cluster, "name", "first")
    before = datetime.datetime.fromtimestamp(told["point"]["time_us"] / 10**6, datetime.timezone.utc)
    preview(cluster, "time", f"{before:%Y-%m-%d %H:%M:%S.%f}+00", "--set", points.first)
    (beside,) = told["beside"]
    assert (told["timeline"], beside["timeline"]) == (2, 1)
    assert lsn(points.lsns["first"]) < lsn(beside["parts_at_lsn"]) < lsn(behind["begin_lsn"])
    assert lsn(beside["end_lsn"]) > lsn(points.lsns["late"])
    text = cluster.run("start", "--preview", "--type", "name", "--target", "first").stdout
    assert "  beside     timeline 1 goes on beside timeline 2 from 0/" in text, text


def test_refused_before_the_first_byte(cluster, points, space):
    """By preview, `start` and `restore`, and the nearest points are named."""
    unknown = str(int(points.xids["seven"]) + 100000)
    for kind, target, expected in (
            ("name", "nonesuch", ("restore point 'nonesuch' is not in the archive", "'late' ",
                                  points.lsns["late"], points.first)),
            ("name", "frist", ("did you mean 'first'?",)),
            ("xid", unknown, ("the next transaction is", "ends at"))):
        words = ["--type", kind, "--target", target]
        text = refused(cluster, kind, target)
        plain = cluster.run("start", "--preview", *words, check=False)
        start = cluster.start(*words, check=False)
        data = space.directory("data")
        restore = cluster.pgrevive("--stanza", "main", "restore", "--repo-path", points.repo.path,
                                   "--node", f"primary={data}", *words, check=False)
        assert (plain.returncode, start.returncode, restore.returncode) == (NOT_FOUND,) * 3, \
            message(restore)
        assert not cluster.root.exists() and not list(data.iterdir())
        for found in (text, plain.stderr, start.stderr, restore.stderr):
            for part in expected:
                assert part in found, found
    sub = refused(cluster, "xid", points.xids["sub"])
    assert f"part of transaction {points.xids['top']} " in sub, sub
    assert "ended before backup" in refused(cluster, "xid", points.xids["two"], "--set",
                                            points.second)


def test_gap(make_cluster, points, space):
    """What lies before it can be had, what lies behind it is refused before the first byte, whatever the
    target is; the gap is named, and how far one can come."""
    repository = repofiles.copy(points.repo.path, space.path / "gap")
    place = lsn(points.lsns["late"]) - 1
    lost = f"{1:08X}{place >> 32:08X}{(place & 0xffffffff) >> 20:08X}"
    before = [name for name in repofiles.segments(repository) if name < lost][-1]
    repofiles.archive(repository)[before].unlink()
    end = f"{int(before[8:16], 16):X}/{int(before[16:], 16) << 20:X}"
    cluster = make_cluster(points.values(REPO_PATH=repository))
    assert preview(cluster, "name", "first")["reachable"] is True
    text = refused(cluster, "name", "late")
    assert f"segment {before} is missing" in text and points.second in text, text

    late, seven = points.lsns["late"], points.xids["seven"]
    targets = {"name": ("late", "restore point 'late' is not in the archive"),
               "xid": (seven, f"transaction {seven} is not in the archive, which has a gap at {end}"),
               "lsn": (late, f"the target LSN {late} is not in the archive, which has a gap at {end}"),
               "time": (points.moments["late"], "is not in the archive, where the newest transaction "
                                                "before its gap is of 2")}
    # Each waits whether the gap closes.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        starts = {kind: (own, pool.submit(own.start, "--type", kind, "--target", target, *FIRST_LINE,
                                          check=False))
                  for kind, (target, _) in targets.items()
                  for own in [make_cluster(points.values(REPO_PATH=repository))]}
    for kind, (own, start) in starts.items():
        result = start.result()
        assert result.returncode == NOT_FOUND, (kind, message(result))
        for part in (targets[kind][1], f"segment {before} is missing", f"LSN {end}", points.second,
                     "can be recovered from", "on timeline 1"):
            assert part in result.stderr, (kind, part, message(result))
        assert not own.root.exists(), kind


def test_start_at_a_name(cluster, points):
    """The older backup, since the point lies before the newer; where it ends is what was said."""
    result = cluster.start("--type", "name", "--target", "first")
    assert f"target: restore point 'first' at {points.lsns['first']}" in result.stdout
    assert f"from backup {points.first}" in result.stdout
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == "one,two"
    end = cluster.status()["supervisor"]["recovery_end"]
    assert end["lsn"] == points.lsns["first"] and end["timeline"] == 2


def test_start_at_a_transaction_of_another_timeline(cluster, points):
    words = ["--target-timeline", "2"]
    told = preview(cluster, "xid", points.xids["of two"], *words)
    cluster.start("--type", "xid", "--target", points.xids["of two"], *words)
    for node in ("primary", "replica"):
        assert cluster.sql(node, MARKERS) == "one,two,three,four,five,second-line"
    end = cluster.status()["supervisor"]["recovery_end"]
    assert end["lsn"] == told["point"]["end_lsn"] and end["timeline"] == 2


SECOND_LINE = ["--target-timeline", "2"]


@pytest.mark.parametrize("kind, name, words, rows, line", [
    pytest.param("xid", "two", [], "one,two", [1, 2], id="xid"),
    pytest.param("xid", "two", ["--target-exclusive"], "one", [1, 2], id="xid, exclusive"),
    pytest.param("xid", "of two", SECOND_LINE, "one,two,three,four,five,second-line", [1, 2],
                 id="xid on timeline 2"),
    # The same number is that of another transaction there.
    pytest.param("xid", "of two", FIRST_LINE, "one,two,three,four,five,first-line", [1],
                 id="xid on timeline 1"),
    pytest.param("name", "first", [], "one,two", [1, 2], id="name"),
    pytest.param("lsn", "first", [], "one,two", [1, 2], id="lsn"),
    pytest.param("time", "first", [], "one,two", [1, 2], id="time")])
def test_restore_command_alone(pgrevive, points, space, kind, name, words, rows, line):
    """It takes the backup of the point by itself, which is not the newest, and a server that is started by
    hand on what it makes ends there, or just before it. Its new timeline comes of the one that was
    followed."""
    place = space.directory(f"alone-{next(_numbers)}", owner=server_user())
    target = {"xid": points.xids, "lsn": points.lsns, "time": points.moments,
              "name": {name: name}}[kind][name]
    result = pgrevive.restore(points.repo.conf, {"primary": place / "data"}, "--type", kind,
                              "--target", target, "--target-action", "promote", *words,
                              user=server_user())
    told = {"xid": f"commit of transaction {target} at ", "name": f"restore point '{name}' at "}
    assert told.get(kind, "") in result.stdout, message(result)
    assert f"restoring backup {points.first} " in result.stdout, message(result)
    with recovered(place / "data", place) as server:
        assert server.sql(MARKERS, "testdb") == rows
        assert ancestors(server) == line
