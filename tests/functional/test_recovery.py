"""Where recovery ends, and where it must not: offline backups, targets, WAL that cannot be replayed."""

import hashlib
import json
import os
import re
import shutil
import signal

import pytest

from rig.backrest import BackrestRepo, write_conf
from rig.cluster import Cluster
from rig.console import Described
from rig.postgres import SourceCluster, binaries, server_user
from rig.process import run, wait_until
from rig.program import ROOT, message
from rig.restored import recovered
from rig.workspace import Workspace

USAGE, NOT_FOUND, CORRUPT = 21, 23, 24
MARKERS = SourceCluster.MARKERS


class Story:
    """A source with segments of 1 MB that is gone: an offline backup, an online one, WAL."""

    def __init__(self, directory):
        self.source = source = SourceCluster(directory / "source", segment_mb=1).create().start()
        self.repo = BackrestRepo(directory / "backups", source, compress="none").create_stanza()
        source.sql("create database testdb")
        source.sql("create table markers (id serial primary key, what text); "
                   "create table filler (what text)", "testdb")
        source.prepare_load("testdb", accounts=500)
        source.mark("before-offline")
        self.oid = source.sql("select oid from pg_database where datname = 'testdb'")
        source.stop()
        self.repo.pgbackrest("--no-online", "--type=full", "--no-expire-auto",
                             "--repo1-retention-full=9", "backup")
        source.start()
        source.work(100)
        source.mark("after-offline")
        self.here = source.sql("select pg_create_restore_point('here')", "testdb")
        source.mark("after-here")
        self.moment = source.sql("select clock_timestamp()")
        source.switch_wal()
        self.repo.backup("full")
        self.offline, self.online = [backup["label"] for backup in self.repo.info()[0]["backup"]]
        source.work(100)
        source.mark("after-online")
        self.later = source.sql("select pg_current_wal_insert_lsn()")
        source.switch_wal()
        # The middle one of these is nothing but one table's rows.
        for _ in range(3):
            self.filled = source.sql("select pg_walfile_name(pg_current_wal_lsn())")
            source.sql("insert into filler select repeat('x', 200) from generate_series(1, 5000)",
                       "testdb")
        source.mark("last")
        self.newest_wal = source.switch_wal()
        source.stop()
        for path in self.segments(self.repo.path):
            if path.name[:24] > self.newest_wal:
                path.unlink()
        shutil.rmtree(source.directory)
        self.repo.finished()

    @staticmethod
    def segments(repository):
        """The archived segments, in order."""
        return sorted(path for path in (repository / "archive").rglob("*")
                      if re.match(r"[0-9A-F]{24}-[0-9a-f]{40}$", path.name))

    def values(self, label, **more):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path, "PGBACKREST_STANZA": "main",
                "RESTORE_SET": label, "WAL_ARCHIVE": "off", "ADMINER_PORT": 0, **more}


@pytest.fixture(scope="module")
def story(session_workspace):
    return Story(session_workspace.directory("recovery"))


@pytest.fixture
def space():
    """Short paths, because sockets lie below."""
    workspace = Workspace("r")
    workspace.path.chmod(0o755)
    yield workspace
    workspace.remove()


@pytest.fixture
def make_cluster(pgrevive, space):
    made = []

    def make(values):
        cluster = Cluster(pgrevive, space.directory("h"), values)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.gone()


def rows(cluster):
    """The markers, which both nodes must agree on."""
    cluster.caught_up()
    found = {cluster.sql(node, MARKERS) for node in ("primary", "replica")}
    assert len(found) == 1, found
    return found.pop()


def test_offline_backup_replays_the_archive(make_cluster, story):
    """What was archived after the source was started again is there, and the proof of the end holds."""
    cluster = make_cluster(story.values(story.offline))
    cluster.start()
    assert rows(cluster) == "before-offline,after-offline,after-here,after-online,last"
    assert cluster.sql("replica", "select count(*) from filler") == "15000"
    end = cluster.status()["supervisor"]["recovery_end"]
    assert end["newest_archived_wal"] == story.newest_wal
    assert end["last_replayed_wal"] >= story.newest_wal
    cluster.run("test")


@pytest.mark.parametrize("target, expected", [
    (("immediate", None), "before-offline"),
    (("name", "here"), "before-offline,after-offline"),
    (("time", "moment"), "before-offline,after-offline,after-here"),
])
def test_offline_backup_with_a_target(make_cluster, story, target, expected):
    """A target is reached from an offline backup as from any other; given in .env or to `start`. Its
    progress is of the segments up to the target, and not of all that are archived."""
    kind, value = target
    value = story.moment if value == "moment" else value
    if value is None:
        cluster = make_cluster(story.values(story.offline, RECOVERY_TARGET_TYPE=kind))
        cluster.start()
    else:
        cluster = make_cluster(story.values(story.online, RECOVERY_TARGET_TYPE="immediate"))
        words = ("--set", story.offline, "--type", kind, "--target", value)
        cluster.start(*words)
        again = cluster.start(*words, check=False)
        assert again.returncode == USAGE and "is there already" in again.stderr, message(again)
        told = cluster.status()["supervisor"]
        names = [path.name[:24] for path in story.segments(story.repo.path)]
        begin = names.index(segment_after(story, story.repo.path))
        reached = names.index(told["recovery_end"]["last_replayed_wal"])
        assert told["wal_segments_done"] == told["wal_segments_total"]
        assert told["wal_segments_total"] in (reached - begin + 1, reached - begin + 2), told
        assert told["wal_segments_total"] < len(names) - begin - 4
    assert rows(cluster) == expected
    cluster.sql("primary", "insert into markers (what) values ('new line')")
    assert rows(cluster) == expected + ",new line"


def test_target_behind_an_offline_backup_is_looked_for(pgrevive, space, story, own_repository):
    """Its pg_control says where its WAL begins, so what cannot be reached is known before the first
    byte; so is that its POSTGRES_DB would be left out, whose name only its pg_database has."""
    def refused(**values):
        cluster = Cluster(pgrevive, space.directory("never"),
                          story.values(story.offline, REPO_PATH=own_repository, **values))
        result = cluster.start(check=False)
        assert result.returncode != 0 and not (cluster.root / "primary" / "data").exists()
        return result.stderr

    name = {"RECOVERY_TARGET_TYPE": "name"}
    said = refused(**name, RECOVERY_TARGET="nowhere")
    assert "restore point 'nowhere' is not in the archive" in said and "'here'" in said, said
    said = refused(DB_EXCLUDE=story.oid)
    assert "POSTGRES_DB=testdb would be left out" in said, said
    preview = Cluster(pgrevive, space.directory("look"), story.values(
        story.offline, **name, RECOVERY_TARGET="here")).run("start", "--preview").stdout
    assert f"restore point 'here' at {story.here}" in preview, preview
    lsn = {"RECOVERY_TARGET_TYPE": "lsn"}
    assert "whose newest record begins at" in refused(**lsn, RECOVERY_TARGET=unused_lsn(story))
    assert "lies before" in refused(**lsn, RECOVERY_TARGET="0/100000")
    time = {"RECOVERY_TARGET_TYPE": "time"}
    said = refused(**time, RECOVERY_TARGET="2099-01-01 00:00:00 UTC")
    assert "where the newest transaction is of" in said, said
    told = json.loads(Cluster(pgrevive, space.directory("see"), story.values(
        story.offline, **lsn, RECOVERY_TARGET=story.here)).run("start", "--preview", "--json").stdout)
    assert told["reachable"] is True and told["timeline"] == 1
    assert told["wal"]["first"] == segment_after(story, own_repository), told
    told = json.loads(Cluster(pgrevive, space.directory("see"), story.values(
        story.offline)).run("start", "--preview", "--json").stdout)
    assert told["reachable"] is True and told["timeline"] == 1
    assert told["wal"]["last"] == story.newest_wal, told
    # It is whole in itself, and nobody looks at its WAL; which is how the API describes it.
    told = json.loads(Cluster(pgrevive, space.directory("see"), story.values(
        story.offline, RECOVERY_TARGET_TYPE="immediate")).run("start", "--preview", "--json").stdout)
    assert told["timeline"] is None and told["wal"] is None, told
    Described(json.loads((ROOT / "src" / "console" / "openapi.json").read_text())).check(
        "/api/v1/preview", told)
    for path in story.segments(own_repository):
        if path.name[:24] == segment_after(story, own_repository):
            path.unlink()
    for target in ({**name, "RECOVERY_TARGET": "here"}, {**lsn, "RECOVERY_TARGET": story.here},
                   {**time, "RECOVERY_TARGET": "2099-01-01 00:00:00 UTC"}):
        said = refused(**target)
        assert "in which the WAL behind the offline backup" in said and "whole in itself" in said, said


@pytest.mark.parametrize("more", [{}, {"RECOVERY_TARGET_TYPE": "immediate"}])
def test_offline_backup_alone(make_cluster, story, own_repository, more):
    """Nothing was archived after it: it is whole in itself."""
    for path in story.segments(own_repository):
        path.unlink()
    cluster = make_cluster(story.values(story.offline, REPO_PATH=own_repository, **more))
    cluster.start()
    assert rows(cluster) == "before-offline"


def test_offline_backup_and_a_gap(make_cluster, story, own_repository):
    """A segment after it is lost, later ones are there: said before the first byte."""
    after = [path for path in story.segments(own_repository) if path.name[:24] < story.filled]
    after[-2].unlink()
    cluster = make_cluster(story.values(story.offline, REPO_PATH=own_repository))
    result = cluster.start(check=False)
    assert result.returncode == NOT_FOUND, message(result)
    assert "gap" in result.stderr and after[-2].name[:24] in result.stderr, message(result)
    assert not (cluster.root / "primary" / "data").exists()


@pytest.mark.thorough(kind=("offline",), which=("filled",))
@pytest.mark.thorough(kind=("online",), which=("newest_wal",))
@pytest.mark.parametrize("kind", ["offline", "online"])
@pytest.mark.parametrize("which", ["filled", "newest_wal"])
def test_segment_that_is_lost_during_the_restore(make_cluster, story, own_repository, kind, which):
    """It was there when the archive was looked at and is gone when it is its turn, between others or the
    newest, behind which nothing shows that it is missing: nothing is opened. Where it comes back, the
    next start goes on."""
    lost = next(path for path in story.segments(own_repository)
                if path.name[:24] == getattr(story, which))
    cluster = make_cluster(story.values(getattr(story, kind), REPO_PATH=own_repository))
    start = cluster.start_in_background()
    wait_until((cluster.root / "primary" / "data").exists, 60, "the restore begins", every=0.001)
    aside = lost.rename(own_repository / "aside")
    start.process.wait(60)
    result = cluster.start(check=False)
    assert result.returncode != 0 and lost.name[:24] in result.stderr, message(result)
    cluster.prove_unopened()
    assert unpromoted(cluster)
    aside.rename(lost)
    cluster.start()
    assert rows(cluster).endswith(",last")


@pytest.mark.parametrize("archived", [True, False])
def test_restore_of_an_offline_backup(pgrevive, space, story, own_repository, archived):
    """By itself `restore` means all that was archived, as `start` does; where there is nothing, it says
    so."""
    if not archived:
        for path in story.segments(own_repository):
            path.unlink()
    place = space.directory("alone", owner=server_user())
    conf = write_conf(space.path / "alone.conf", {"global": {"repo1-path": own_repository},
                                                  "main": {"pg1-path": place / "data"}})
    told = pgrevive.restore(conf, {"primary": place / "data"}, f"--set={story.offline}",
                            "--type=default", user=server_user()).stdout
    assert ("nothing was archived behind" in told) is not archived, told
    with recovered(place / "data", place) as server:
        assert server.sql(MARKERS, "testdb") == (
            "before-offline,after-offline,after-here,after-online,last" if archived
            else "before-offline")


def unpromoted(cluster):
    data = cluster.root / "primary" / "data"
    state = run(["/usr/lib/postgresql/15/bin/pg_controldata", data]).stdout
    return "recovery" in re.search(r"cluster state: +(.*)", state)[1] \
        and (data / "standby.signal").exists()


def break_segment(path):
    """Flips bytes in the middle of a record and gives the file the name that its bytes now have."""
    content = bytearray(path.read_bytes())
    assert len(content) == 1 << 20
    # Within a row, some way in.
    at = content.index(b"x" * 64, 60 * 8192)
    for i in range(at, at + 64):
        content[i] ^= 0x55
    broken = path.with_name(path.name[:25] + hashlib.sha1(content).hexdigest())
    broken.write_bytes(content)
    shutil.copystat(path, broken)
    return broken


def test_bad_record_in_a_whole_segment(make_cluster, story, own_repository):
    """Its checksum is right and PostgreSQL refuses it: said soon, by name, and nothing is opened."""
    good = next(path for path in story.segments(own_repository)
                if path.name.startswith(story.filled))
    kept = good.read_bytes()
    broken = break_segment(good)
    shutil.chown(broken, good.owner(), good.group())
    good.unlink()
    cluster = make_cluster(story.values(story.online, REPO_PATH=own_repository))

    result = cluster.start(check=False, timeout=120)

    assert result.returncode == CORRUPT, message(result)
    assert f"WAL segment {story.filled} is whole" in result.stderr, message(result)
    assert re.search(r"after [0-9A-F]+/[0-9A-F]+", result.stderr), message(result)
    assert "in record at" in result.stderr and "hint: " in result.stderr, message(result)
    assert unpromoted(cluster)
    assert cluster.status()["supervisor"]["phase"] == "failed"
    # A good copy is found, and start goes on where it was.
    broken.unlink()
    good.write_bytes(kept)
    shutil.chown(good, broken.parent.owner(), broken.parent.group())
    cluster.start()
    assert rows(cluster).endswith("after-online,last")
    assert cluster.sql("primary", "select count(*) from filler") == "15000"


def test_target_of_an_interrupted_start_holds_on(make_cluster, story, own_repository):
    """`start` told of a target fails on the way; `start` without words goes there, not to the end."""
    first = next(path for path in story.segments(own_repository)
                 if path.name[:24] >= segment_after(story, own_repository))
    kept = first.read_bytes()
    first.write_bytes(kept[:-40] + b"?" * 40)
    cluster = make_cluster(story.values(story.online, REPO_PATH=own_repository))
    result = cluster.start("--set", story.offline, "--type", "lsn", "--target", story.here,
                           check=False)
    assert result.returncode != 0 and first.name[:24] in result.stderr, message(result)
    first.write_bytes(kept)
    assert "still" in cluster.start().stdout
    assert rows(cluster) == "before-offline,after-offline"


def asked(cluster, statement):
    """What the primary says to one who comes through its socket while it recovers; None: nothing yet."""
    result = run([binaries() / "psql", "-X", "-A", "-t", "-h", cluster.root / "run", "-p",
                  str(cluster.primary_port), "-U", "postgres", "-d", "postgres", "-c", statement],
                 check=False)
    return result.stdout.rstrip("\n") if result.returncode == 0 else None


def leave_paused(cluster, lsn):
    """A start to that LSN whose supervisor dies while the server stands there."""
    start = cluster.start_in_background("--type", "lsn", "--target", lsn)
    wait_until(lambda: (cluster.root / "primary" / "data" / "postmaster.pid").exists(), 60,
               "its server is started", every=0.002)
    os.kill(int((cluster.root / "run" / "supervisor.lock").read_text()), signal.SIGSTOP)
    wait_until(lambda: asked(cluster, "select pg_get_wal_replay_pause_state()") == "paused", 60,
               "replay is at the target")
    cluster.kill_supervisor()
    start.process.wait(60)


def test_another_target_that_was_passed(make_cluster, story):
    """What files have gone past they are not turned back to, and no target behind it is either."""
    cluster = make_cluster(story.values(story.offline))
    leave_paused(cluster, story.later)
    assert asked(cluster, "checkpoint") == "CHECKPOINT"

    for words in (("lsn", "--target", story.here), ("name", "--target", "here"), ("immediate",),
                  ("time", "--target", story.moment)):
        result = cluster.start("--type", *words, check=False)
        assert result.returncode == USAGE, message(result)
        assert "cannot be reached any more" in result.stderr, message(result)
        assert "start --anew" in result.stderr, message(result)
        assert unpromoted(cluster)
    result = cluster.start("--set", story.online, "--type", "default", check=False)
    assert result.returncode == USAGE and f"not of {story.online}" in result.stderr, message(result)

    # What was refused counts no more.
    assert "still" in cluster.start().stdout
    assert rows(cluster).endswith("after-here,after-online")


def test_archive_that_ends_before_what_was_replayed(make_cluster, story, own_repository):
    """Of the segment that replay stood in only the beginning is there any more: no end of a recovery."""
    cluster = make_cluster(story.values(story.offline, REPO_PATH=own_repository))
    leave_paused(cluster, story.later)
    assert asked(cluster, "checkpoint") == "CHECKPOINT"
    cluster.kill_server("primary")
    place = int(story.later.split("/")[1], 16)
    stood_in = f"{1:08X}{0:08X}{place >> 20:08X}"
    behind = {path: path.read_bytes() for path in story.segments(own_repository)
              if path.name[:24] >= stood_in}
    first = min(behind)
    owner = first.owner(), first.group()
    cut = behind[first][:(place & 0xFFFFF) // 2 // 8192 * 8192].ljust(1 << 20, b"\0")
    partial = first.with_name(f"{stood_in}.partial-{hashlib.sha1(cut).hexdigest()}")
    partial.write_bytes(cut)
    shutil.chown(partial, *owner)
    for path in behind:
        path.unlink()

    result = cluster.start("--type", "default", "--target-timeline", "1", check=False)
    assert result.returncode == NOT_FOUND, message(result)
    assert f"only the beginning of WAL segment {stood_in}" in result.stderr, message(result)
    # What it had replayed last is the switch to the next.
    assert f"needs the WAL up to 0/{((place >> 20) + 1) << 20:X}" in result.stderr, message(result)
    assert unpromoted(cluster)

    partial.unlink()
    for path, content in behind.items():
        path.write_bytes(content)
        shutil.chown(path, *owner)
    cluster.start()
    assert rows(cluster).endswith("after-online,last")


def test_server_on_the_way_to_another_target(make_cluster, story):
    """It outlives its supervisor, paused at its target; a start with one further on goes there."""
    cluster = make_cluster(story.values(story.offline))
    leave_paused(cluster, story.here)

    cluster.start("--type", "time", "--target", story.moment)
    assert rows(cluster) == "before-offline,after-offline,after-here"
    assert "recovery goes on to time" in (cluster.root / "logs" / "supervisor.log").read_text()


def unused_lsn(story):
    """In what was left empty of the newest segment that is archived."""
    return f"0/{(int(story.newest_wal[16:], 16) + 1) * (1 << 20) - 8:X}"


def segment_after(story, repository):
    """The segment in which the offline backup's checkpoint lies."""
    data = repository / "backup" / "main" / story.offline / "pg_data"
    state = run(["/usr/lib/postgresql/15/bin/pg_controldata", data]).stdout
    return re.search(r"REDO WAL file: +(\w+)", state)[1]
