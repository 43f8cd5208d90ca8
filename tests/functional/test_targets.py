"""Recovery to a point: both nodes have the rows that pgBackRest's own restore to that point gives."""

import dataclasses
import datetime
import json
import re
import time

import pytest

from rig import browser
from rig.browser import amount
from rig.backrest import BackrestRepo
from rig.cluster import Cluster
from rig.postgres import Server, SourceCluster, server_user, trusting_hba
from rig.process import free_port, wait_until
from rig.restored import recovered
from rig.story import MARKERS, Target
from rig.workspace import give

# Rows that a mistake (one transaction more or less, another timeline) would change.
EXPECTED = {
    "immediate": "m1-filled,before-backup",
    "xid": "after-diff,by-transaction",
    "xid, exclusive": "before-backup,after-full,after-diff",
    "time": "by-transaction,at-a-time",
    "time, exclusive": "after-diff,by-transaction",
    "lsn": "at-a-time,by-position",
    "lsn, exclusive": "by-transaction,at-a-time",
    "name": "by-position,by-name",
}


def rows_of_pgbackrest(repo, space, target):
    """What pgBackRest's own restore to the target gives, recovered and promoted."""
    for path in (space, space / "data", space / "ts"):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        give(path, server_user())
    repo.pgbackrest(f"--pg1-path={space / 'data'}", f"--tablespace-map-all={space / 'ts'}",
                    *target.backrest_options(), "restore")
    server = Server(space / "data", sockets=space, log=space / "server.log")
    try:
        server.start(archive_mode="off", hba_file=trusting_hba(space))
        wait_until(lambda: server.sql("select pg_is_in_recovery()") == "f", 60,
                   f"recovery ends; see {server.log}")
        return server.sql(MARKERS, "testdb")
    finally:
        server.stop()


def rows_of_cluster(pgrevive, space, name, values, target, look=None):
    """Of the primary and the replica, and the proof of the end, which is what a preview has said; and
    both still work after the fork. `look` is called with the cluster while it is up."""
    cluster = Cluster(pgrevive, space.directory("h"), {
        **values, **target.env(), "WAL_ARCHIVE": "off", "ADMINER_PORT": 0}, name=name)
    try:
        told = json.loads(cluster.run("start", "--preview", "--json").stdout)
        cluster.start()
        status = cluster.status()["supervisor"]
        end = status["recovery_end"]
        assert (told["backup"]["label"], told["timeline"], told["wal"]["last"]) == (
            status["backup_label"], end["timeline"], end["last_replayed_wal"])
        assert_told(cluster, target, end)
        found = {node: cluster.sql(node, MARKERS) for node in ("primary", "replica")}
        cluster.sql("primary", "insert into markers (what) values ('of the new line')")
        cluster.caught_up()
        assert cluster.sql("replica", MARKERS) == found["replica"] + ",of the new line"
        if look:
            look(cluster)
        return found, end
    finally:
        cluster.gone()


def assert_told(cluster, target, end):
    """The proof of the end, to people too: in the status, and in the log that stays."""
    log = (cluster.root / "logs" / "supervisor.log").read_text()
    # Said when replay ends, and once more with what the promotion made of it.
    line = [line for line in log.splitlines() if "recovery ended at" in line][-1]
    for text in (" ".join(cluster.run("status").stdout.split()), line):
        assert f"(target: {end['target']})" in text, text
        if target.kind == "time":
            commit = f"last commit {end['last_commit_time']}, "
            assert re.search(re.escape(commit) + (r"(?!0\.0 )[^;]* before the target" if target.exclusive
                                                  else "at the target"), text), text
        if target.kind == "immediate":
            left = end["wal_left"]
            assert (f"newest in the archive: {end['newest_archived_wal']}, {left} "
                    f"segment{'s' * (left != 1)} further") in text, text


@pytest.mark.thorough(name=("xid, exclusive", "lsn, exclusive"))
@pytest.mark.parametrize("name", EXPECTED)
def test_target(pgrevive, space, story, name):
    target = story.targets[name]
    short = name.replace(", ", "-")
    expected = rows_of_pgbackrest(story.repo, space.path / short, target)
    assert expected.endswith(EXPECTED[name])
    found, end = rows_of_cluster(pgrevive, space, short, story.values(), in_words(target))
    assert found == {"primary": expected, "replica": expected}
    # What lies between this end, the target, and the archive's end.
    assert end["newest_archived_wal"] == story.newest_wal
    last = int(end["last_replayed_wal"][8:], 16)
    assert end["wal_left"] == int(story.newest_wal[8:], 16) - last, end
    assert (end["wal_left"] > 0) == (name == "immediate"), end  # others lie in the newest segment
    if target.kind == "time":
        assert moment(end["target"].removeprefix("time ")) == moment(target.value), end
        before = moment(target.value) - moment(end["last_commit_time"])
        assert end["before_target_us"] == before / datetime.timedelta(microseconds=1)
        assert (end["before_target_us"] > 0) == target.exclusive
    else:
        assert end["before_target_us"] is None


def moment(text):
    """Of a time as PostgreSQL writes it in UTC."""
    return datetime.datetime.fromisoformat(f"{text}:00")


def in_words(target):
    """A time as people name it: in a zone by its name, or before another one."""
    if target.kind != "time":
        return target
    at = moment(target.value)
    if target.exclusive:
        at += datetime.timedelta(minutes=10)
        words = f"10 minutes before {at:%Y-%m-%d %H:%M:%S.%f}+00"
    else:
        at = at.astimezone(datetime.timezone(datetime.timedelta(hours=-3)))
        words = f"{at:%Y-%m-%d %H:%M:%S.%f} America/Sao_Paulo"
    return dataclasses.replace(target, value=words)


class Branched:
    """A stanza with two timelines, each with a backup: 2 leaves 1 behind the row 'common', and its
    backup builds on that of 1."""

    def __init__(self, directory):
        source = SourceCluster(directory / "source").create().start().fill()
        self.repo = repo = BackrestRepo(directory / "backups", source, compress="lz4",
                                        bundle=True).create_stanza()
        repo.backup("full")
        source.mark("common")
        fork = source.sql("select pg_current_wal_insert_lsn()")
        source.mark("first-line")
        self.on_first_line = source.sql("select clock_timestamp()")
        time.sleep(1)  # the page chooses whole seconds
        source.work()
        source.switch_wal()
        source.stop()
        data, tablespaces = directory / "branch" / "data", directory / "branch" / "ts"
        for path in (directory / "branch", data, tablespaces):
            path.mkdir(mode=0o700)
            give(path, server_user())
        repo.pgbackrest(f"--pg1-path={data}", f"--tablespace-map-all={tablespaces}",
                        *Target("lsn", fork).backrest_options(), "restore")
        branch = SourceCluster(directory / "branch", data=data)
        push = directory / "branch" / "pgbackrest-push.sh"
        push.write_text(f"#!/bin/sh\nexec pgbackrest --config={repo.conf} --stanza=main "
                        f"--pg1-path={data} archive-push \"$1\"\n")
        push.chmod(0o755)
        branch.start(archive_command=f"{push} %p")
        try:
            wait_until(lambda: branch.sql("select pg_is_in_recovery()") == "f", 60, "promotion")
            branch.mark("second-line")
            branch.load = source.load.on(branch)
            with branch.under_load():
                repo.pgbackrest(f"--pg1-path={data}", f"--pg1-socket-path={branch.sockets}",
                                f"--pg1-port={branch.port}", "--type=incr", "--no-expire-auto",
                                "--repo1-retention-full=9", "backup")
            branch.work()
            branch.switch_wal()
        finally:
            branch.stop()
        repo.finished()

    def values(self):
        return {"REPO_TYPE": "posix", "REPO_PATH": self.repo.path}


@pytest.fixture(scope="module")
def branched(session_workspace):
    return Branched(session_workspace.directory("branched", owner=server_user()))


def moments_of_both_timelines(cluster, branched):
    """On the page: the command for a moment of another timeline than the newest names it."""
    browser.install()
    url = f"http://127.0.0.1:{cluster.values['CONSOLE_PORT']}/"
    at = moment(branched.on_first_line) + datetime.timedelta(seconds=1)
    for along, words in (("1", r" --type time --target '[^']+\+00' --target-timeline 1"),
                         ("", " --type default")):
        looked = browser.look(url, preview=True, along=along,
                              moment=f"{at:%Y-%m-%dT%H:%M:%S}" if along else None)
        assert looked["violations"] == [], looked["violations"]
        reached = "The archive holds this moment." if along else "The archive leads to its end"
        assert reached in looked["preview"], looked["preview"]
        [command] = looked["command"]
        assert re.search(words + "$", command), command
    backups = branched.repo.info()[0]["backup"]
    full, incr = (backup["label"] for backup in backups)
    last, shown = looked["last"], looked["picture"]
    assert last["backups"] == [full, incr] == list(shown["marks"])
    assert last["types"] == ["full", "incremental"] and incr.endswith("I")
    assert last["built_on"] == [None, full] and shown["builds"] == [[incr, full]]
    for backup, sizes in zip(backups, last["sizes"], strict=True):
        assert [amount(size) for size in sizes] == pytest.approx(
            [backup["info"]["size"], backup["info"]["repository"]["size"]], rel=0.006), last
    told = json.loads(cluster.run("console", "--get", "api/v1/preview?type=time&timeline=1&target="
                                  + f"{at:%Y-%m-%d %H:%M:%S}%2B00".replace(" ", "%20")).stdout)
    assert told["timeline"] == 1 and told["reachable"] is True, told


@pytest.mark.parametrize("timeline, rows", [
    ("latest", "m1-filled,common,second-line"), ("1", "m1-filled,common,first-line"),
    ("2", "m1-filled,common,second-line"), ("current", "m1-filled,common,second-line")])
def test_timeline(pgrevive, space, branched, timeline, rows):
    """Also one that the newest backup is no part of: the newest that is, is taken."""
    target = Target("default", timeline=timeline)
    name = f"timeline-{timeline}"
    first, second = (backup["label"] for backup in branched.repo.info()[0]["backup"])
    label = first if timeline == "1" else second  # pgBackRest has to be told
    assert rows_of_pgbackrest(branched.repo, space.path / name,
                              dataclasses.replace(target, label=label)) == rows
    if timeline == "latest":
        found, end = rows_of_cluster(
            pgrevive, space, name, {**branched.values(), "CONSOLE_PORT": free_port()}, target,
            lambda cluster: moments_of_both_timelines(cluster, branched))
    else:
        found, end = rows_of_cluster(pgrevive, space, name, branched.values(), target)
    assert found == {"primary": rows, "replica": rows}
    assert end["wal_left"] == 0 and end["newest_archived_wal"] == end["last_replayed_wal"], end


@pytest.mark.parametrize("name", EXPECTED)
def test_restore_command_alone(pgrevive, space, story, name):
    """`restore` with a target and the server started by hand, without any supervisor; of two nodes in
    one case."""
    target = story.targets[name]
    place = space.directory("alone-" + name.replace(", ", "-"), owner=server_user())
    conf = place / "pgbackrest.conf"
    conf.write_text(story.repo.conf.read_text())
    give(conf, server_user())
    nodes = {node: place / node
             for node in ("primary", "replica")[:2 if name == "xid, exclusive" else 1]}
    words = in_words(target)
    pgrevive.restore(conf, nodes, "--type", words.kind, *(["--target", words.value] * bool(words.value)),
                     *(["--target-exclusive"] * words.exclusive),
                     *(["--set", words.label] * bool(words.label)), "--target-action", "promote",
                     tablespaces=place / "ts", user=server_user())
    expected = None
    for data in nodes.values():
        with recovered(data, place) as server:
            rows = server.sql(MARKERS, "testdb")
        assert rows.endswith(EXPECTED[name])
        assert expected in (None, rows)
        expected = rows
