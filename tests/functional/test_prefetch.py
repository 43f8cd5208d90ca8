"""`pgrevive prefetch`: WAL is fetched once for all servers and lies ready when it is asked for.

Whatever becomes of the prefetcher, archive-get gives the same answers: 0 delivered, 1 proven
absent, above 125 everything else.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import time

import pytest

from rig import repofiles
from rig.backrest import BackrestRepo
from rig.cluster import Cluster, command_lines
from rig.matrix import FORMS, copied_repository
from rig.postgres import SourceCluster, server_user
from rig.process import run, wait_until
from rig.program import message
from rig.workspace import Workspace, give

FORM = {form.name: form for form in FORMS}["zst-aes-bundle"]
ABSENT = "0000000100000000000000FE"


class Node:
    """A data directory in recovery, as far as archive-get and the prefetcher look at it."""

    def __init__(self, pgrevive, directory, source_data, conf):
        self.pgrevive = pgrevive
        self.data = directory
        self.conf = conf
        (self.data / "global").mkdir()
        (self.data / "pg_wal").mkdir()
        shutil.copy(source_data / "global" / "pg_control", self.data / "global")
        (self.data / "recovery.signal").touch()
        for path in (self.data / "global", self.data / "pg_wal",
                     self.data / "global" / "pg_control", self.data / "recovery.signal"):
            give(path, server_user())
        self.report = self.data / "report.json"

    @property
    def spool(self):
        return self.data / "pg_wal" / "pgrevive.spool"

    def get(self, name, *arguments):
        """What PostgreSQL would run; the client is a program of its own."""
        return run([self.pgrevive.archive_get, "--config", self.conf, "--stanza", "main",
                    "--report", self.report, *arguments, name, "pg_wal/RECOVERYXLOG"],
                   cwd=self.data, user=server_user(), check=False, timeout=60)

    def take(self, name):
        """The SHA-1 of what was delivered, which is part of its name in the archive; or None."""
        path = self.data / "pg_wal" / "RECOVERYXLOG"
        if not path.exists():
            return None
        content = path.read_bytes()
        path.unlink()
        return hashlib.sha1(content).hexdigest()

    def ready(self):
        return {path.name for path in self.spool.rglob("*")
                if re.fullmatch(r"[0-9A-F]{24}", path.name)}


@pytest.fixture
def repository(workspace, matrix):
    """A repository of one's own: path, configuration, and the SHA-1 of each segment."""
    return copied_repository(matrix, FORM, workspace.path)


@pytest.fixture
def nodes(pgrevive, workspace, matrix, repository):
    return [Node(pgrevive, workspace.directory(name, owner=server_user()), matrix.source.data,
                 repository[1]) for name in ("one", "two")]


def listens(spool):
    """A socket alone may have been left by one that was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        return client.connect_ex(str(spool / "socket")) == 0


@pytest.fixture
def prefetch(pgrevive, workspace, repository):
    """A function that starts a prefetcher for these nodes."""
    running = []

    def start(nodes, *arguments):
        words = [word for node in nodes for word in ("--node", f"{node.data.name}={node.data}")]
        daemon = pgrevive.launch("prefetch", "--config", repository[1], "--stanza", "main",
                                 *words, *arguments, log=workspace.path / "prefetch.log",
                                 user=server_user())
        running.append(daemon)
        wait_until(lambda: all(listens(node.spool) for node in nodes) or not daemon.running(), 30,
                   "the prefetcher listens")
        assert daemon.running(), daemon.tail()
        return daemon

    yield start
    for daemon in running:
        with contextlib.suppress(ProcessLookupError):
            daemon.process.send_signal(signal.SIGCONT)
        daemon.stop()


def sums(path):
    return {name: file.name[25:65] for name, file in repofiles.archive(path).items()
            if re.fullmatch(r"[0-9A-F]{24}", name)}


def test_one_download_for_both(nodes, prefetch, repository):
    """Both servers get every segment, each a file of its own, and each was read once."""
    expected = sums(repository[0])
    daemon = prefetch(nodes)
    for name in sorted(expected):
        for node in nodes:
            result = node.get(name)
            assert result.returncode == 0, message(result)
            assert (node.data / "pg_wal" / "RECOVERYXLOG").stat().st_nlink == 1
            assert node.take(name) == expected[name], name
    daemon.stop()
    count = len(expected)
    assert f"{count} segments fetched, {2 * count} files laid into spools, {2 * count} of them " \
        "taken" in daemon.tail()
    for node in nodes:
        assert not node.spool.exists()
        report = node.report.read_text()
        assert f'"delivered_count":{count},"last_delivered":"{max(expected)}"' in report


def test_bounded(nodes, prefetch, repository):
    """No more lies ready than there is room for, and what is taken makes room."""
    names = sorted(sums(repository[0]))
    assert len(names) > 8
    prefetch(nodes[:1], "--spool-size", "4MiB", "--from", names[0])
    for name in names:
        wait_until(lambda: name in nodes[0].ready(), 10, f"{name} is ready")
        assert len(nodes[0].ready()) <= 4
        assert nodes[0].get(name).returncode == 0


def test_killed_in_the_middle(nodes, prefetch, repository):
    """kill -9 takes nothing from recovery, and the next prefetcher begins with an empty spool."""
    expected = sums(repository[0])
    names = sorted(expected)
    daemon = prefetch(nodes)
    assert nodes[0].get(names[0]).returncode == 0
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.process.wait(10)
    for name in names:
        begin = time.monotonic()
        result = nodes[0].get(name)
        assert result.returncode == 0, message(result)
        assert time.monotonic() - begin < 4, "waited for the dead"
        assert nodes[0].take(name) == expected[name], name
    assert nodes[0].get(ABSENT).returncode == 1

    half = nodes[0].spool / f"{names[0]}.tmp"
    half.write_text("half")
    prefetch(nodes)
    assert not half.exists()
    assert nodes[0].get(names[0]).returncode == 0
    assert nodes[0].take(names[0]) == expected[names[0]]


def test_stuck(nodes, prefetch, repository):
    """One that does not answer is waited for once, for seconds; when it goes on, it helps again."""
    expected = sums(repository[0])
    names = sorted(expected)
    daemon = prefetch(nodes, "--spool-size", "2MiB")
    os.kill(daemon.pid, signal.SIGSTOP)
    begin = time.monotonic()
    assert nodes[0].get(names[-1]).returncode == 0
    assert 4 < time.monotonic() - begin < 15
    begin = time.monotonic()
    assert nodes[0].get(names[-2]).returncode == 0
    assert time.monotonic() - begin < 4
    os.kill(daemon.pid, signal.SIGCONT)
    wait_until(lambda: (nodes[0].spool / "socket").exists(), 10, "it listens again")
    assert nodes[0].get(names[0]).returncode == 0
    assert nodes[0].take(names[0]) == expected[names[0]]
    wait_until(lambda: nodes[0].ready(), 10, "it fetches again")


@pytest.mark.parametrize("trouble", ["absent", "gap", "damaged", "twice", "unreachable"])
def test_no_word_on_what_is_not_there(nodes, prefetch, repository, trouble):
    """The exit codes are archive-get's own with a prefetcher as without one."""
    path, conf = repository
    names = sorted(sums(path))
    middle = names[len(names) // 2]
    file = repofiles.archive(path)[middle]
    if trouble == "gap":
        file.unlink()
    elif trouble == "damaged":
        repofiles.flip(file)
    elif trouble == "twice":
        # Behind the good one, or the first that is looked at would be found wrong.
        shutil.copy(file, file.with_name(f"{middle}-{'f' * 40}{file.suffix}"))
    daemon = prefetch(nodes)
    assert nodes[0].get(names[0]).returncode == 0
    nodes[0].take(names[0])
    if trouble == "unreachable":
        wait_until(lambda: names[-1] in nodes[0].ready(), 20, "all is fetched")
        path.rename(path.with_name("gone"))
    asked = ABSENT if trouble in ("absent", "unreachable") else middle

    result = nodes[0].get(asked)
    if trouble == "absent":
        assert result.returncode == 1, message(result)
    else:
        assert result.returncode > 125, message(result)
        assert result.stderr.strip()
    assert nodes[0].take(asked) is None
    assert '"delivered_count":1,' in nodes[0].report.read_text()
    # What was fetched in time is there all the same.
    assert nodes[0].get(names[1]).returncode == 0
    assert nodes[0].take(names[1]) == sums(path if path.exists() else path.with_name("gone"))[names[1]]
    assert daemon.running()


def test_fork(nodes, prefetch, repository, workspace):
    """A replica is given nothing before its primary's fork is known, and nothing beyond it."""
    expected = sums(repository[0])
    names = sorted(expected)
    primary, replica = nodes
    fork = workspace.path / "fork"
    prefetch(nodes, "--fork", f"{replica.data.name}={fork}", "--from", names[0])
    for name in names:
        assert primary.get(name).returncode == 0
    assert replica.get(names[0], "--fork", fork).returncode > 125, "there is no such file yet"
    kept = replica.ready()
    assert names[0] in kept

    # In the midst of the fourth segment.
    switch = int(names[3][8:16], 16) << 32 | int(names[3][16:], 16) << 20 | 0x8000
    fork.write_text(f"2\n1\t{switch >> 32:X}/{switch & 0xFFFFFFFF:X}\tno recovery target\n")
    fork.chmod(0o644)
    wait_until(lambda: replica.ready() == kept & set(names[:3]), 10, "the rule is applied")
    for name in names[:3]:
        result = replica.get(name, "--fork", fork)
        assert result.returncode == 0, message(result)
        assert replica.take(name) == expected[name]
    for name in names[3:]:
        assert replica.get(name, "--fork", fork).returncode == 1
        assert replica.take(name) is None
    history = replica.get("00000002.history", "--fork", fork)
    assert history.returncode == 0, message(history)


def test_ends_with_the_recovery(nodes, prefetch):
    """When no server is in recovery any more there is nothing left to do."""
    daemon = prefetch(nodes)
    for node in nodes:
        (node.data / "recovery.signal").unlink()
    wait_until(lambda: not daemon.running(), 20, "it ends")
    assert daemon.process.returncode == 0
    assert not nodes[0].spool.exists()


@pytest.mark.parametrize("trouble", ["no node", "two of them", "no data directory", "bad size"])
def test_wrong_words(nodes, prefetch, pgrevive, repository, trouble):
    """Told before anything is made."""
    words = {"no node": [], "two of them": ["--node", f"a={nodes[0].data}"],
             "no data directory": ["--node", "a=/nosuch"],
             "bad size": ["--node", f"b={nodes[1].data}", "--spool-size", "much"]}[trouble]
    if trouble == "two of them":
        prefetch(nodes)
    result = pgrevive("prefetch", "--config", repository[1], "--stanza", "main", *words,
                      check=False, user=server_user())
    expected = {"no node": 21, "two of them": 30, "no data directory": 23, "bad size": 21}
    assert result.returncode == expected[trouble], message(result)
    if trouble != "two of them":
        assert not any(node.spool.exists() for node in nodes)


@pytest.fixture(scope="module")
def story(session_workspace):
    """A source that is gone; behind its backup lie a dozen segments of 1 MB."""
    directory = session_workspace.directory("prefetch")
    source = SourceCluster(directory / "source", segment_mb=1).create().start()
    repo = BackrestRepo(directory / "backups", source, compress="zst",
                        cipher_pass="never-in-a-process-list-77aa").create_stanza()
    source.sql("create database testdb")
    source.sql("create table markers (id serial primary key, what text)", "testdb")
    source.prepare_load("testdb", accounts=500)
    repo.backup("full")
    for number in range(12):
        source.mark(f"segment {number}")
        repo.newest = source.switch_wal()
    source.stop()
    return repo.finished()


def test_cluster(pgrevive, story):
    """A whole cluster: the replica replays what was fetched for the primary, and nothing is left."""
    with contextlib.ExitStack() as stack:
        space = Workspace("p")
        stack.callback(space.remove)
        space.path.chmod(0o755)
        cluster = Cluster(pgrevive, space.path / "h", {
            "REPO_TYPE": "posix", "REPO_PATH": story.path, "PGBACKREST_STANZA": "main",
            "REPO_CIPHER_PASS": "never-in-a-process-list-77aa", "WAL_ARCHIVE": "off",
            "ADMINER_PORT": 0})
        stack.callback(cluster.gone)
        cluster.start("--detach")
        seen = ""
        while cluster.status()["supervisor"]["phase"] not in ("running", "failed", "stopped"):
            seen += command_lines()
            time.sleep(0.05)
        assert cluster.status()["supervisor"]["phase"] == "running", cluster.logs()
        assert " prefetch --with-parent " in seen
        assert "never-in-a-process-list" not in seen
        log = (cluster.root / "logs" / "prefetch.log").read_text()
        fetched = re.findall(r" ([0-9A-F]{24}) for (.*)", log)
        together = [name for name, who in fetched if who == "primary, replica"]
        assert len(together) == len(set(together)) >= 12, log
        # PostgreSQL asks for the last segment once more when it is promoted.
        assert [(name, who) for name, who in fetched if who != "primary, replica"] in (
            [], [(max(together), "primary")]), log
        for node in ("primary", "replica"):
            assert not (cluster.root / node / "data" / "pg_wal" / "pgrevive.spool").exists()
            count = cluster.sql(node, "select count(*) from markers")
            assert count == "12"
        server_log = (cluster.root / "replica" / "logs" / "postgresql.log").read_text()
        assert "restored log file" in server_log
        assert not [line for line in cluster.processes().values() if " prefetch " in line]
