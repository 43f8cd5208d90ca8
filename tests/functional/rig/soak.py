"""A cluster under load whose processes are killed, and what has to be true each time it is up again.

Writers insert numbered rows one at a time and remember which were acknowledged; pgbench makes a crowd
beside them, and another that only reads, on the replica. After each kill and the `start` that follows,
every acknowledged row is on the primary, the replica is not ahead of it and catches up, and both crowds
get on. `Report` says how long that took, and how far behind the replica was in between.
"""

import contextlib
import dataclasses
import os
import pathlib
import random
import re
import statistics
import subprocess
import threading
import time

from rig.cluster import PASSWORD
from rig.postgres import binaries
from rig.process import Failed, child_options, wait_until

TABLE = "create table soak (writer int, number int, primary key (writer, number))"


class Writer(threading.Thread):
    """Inserts 1, 2, 3... through psql until stop(). A number whose answer never came is not tried again:
    it may be there or not."""

    def __init__(self, cluster, name):
        super().__init__(daemon=True)
        self.cluster, self.number = cluster, name
        self.acknowledged = []
        self._end = threading.Event()

    def stop(self):
        self._end.set()
        self.join(30)

    def run(self):
        next_one = 1
        while not self._end.is_set():
            session = self._connect()
            try:
                while not self._end.is_set():
                    mine, next_one = next_one, next_one + 1
                    session.stdin.write(f"insert into soak values ({self.number}, {mine}) "
                                        "returning number;\n")
                    session.stdin.flush()
                    if session.stdout.readline().strip() != str(mine):
                        break
                    self.acknowledged.append(mine)
                    time.sleep(0.005)
            except OSError:
                pass
            session.kill()
            session.wait()
            self._end.wait(0.2)

    def _connect(self):
        return subprocess.Popen(
            [binaries() / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
             "-p", str(self.cluster.primary_port), "-U", "postgres", "-d", "testdb"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            **child_options(env={"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": 5}))


class Crowd(threading.Thread):
    """pgbench on a node, begun again whenever its server goes away; `transactions` are those it has done,
    by its own count. `words`: what it does."""

    def __init__(self, cluster, node, *words):
        super().__init__(daemon=True)
        self.cluster, self.node, self.words = cluster, node, words
        self.transactions = 0
        self.said = ""
        self._end = threading.Event()
        self._session = None

    def stop(self):
        self._end.set()
        while self.is_alive():
            if session := self._session:
                session.kill()
            self.join(0.2)

    def run(self):
        while not self._end.is_set():
            self._session = session = subprocess.Popen(
                [binaries() / "pgbench", "-n", *self.words, "-c", "2", "-T", "86400", "-P", "1",
                 "-h", "127.0.0.1", "-p", str(self.cluster.port(self.node)), "-U", "postgres", "testdb"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                **child_options(env={"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": 5}))
            before = 0.0
            for line in session.stderr:
                self.said = line
                # "progress: 2.0 s, 48.0 tps, lat ...": of the time since the last such line.
                if told := re.match(r"progress: ([\d.]+) s, ([\d.]+) tps", line):
                    now, rate = map(float, told.groups())
                    self.transactions += round(rate * (now - before))
                    before = now
            session.wait()
            self._end.wait(0.5)

    def gets_on(self):
        """Waits until it has done more than it has now."""
        before = self.transactions
        wait_until(lambda: self.transactions > before, 30,
                   f"pgbench on the {self.node} gets on; it said: {self.said}")


@dataclasses.dataclass(frozen=True)
class Kill:
    at: float        # seconds since the beginning
    victim: str
    processes: int
    back: float      # seconds until both servers answered, and all that was acknowledged was there
    caught_up: float # until the replica had all as well

    def __str__(self):
        return (f"{self.at:8.1f} s  {self.victim:27} {self.processes} killed, back in {self.back:5.1f} s, "
                f"replica caught up in {self.caught_up:5.1f} s")


class Lag(threading.Thread):
    """How far the replica is behind, once a second, while it streams."""

    _QUESTION = ("select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), "
                 "coalesce(extract(epoch from replay_lag), 0) from pg_stat_replication "
                 "where state = 'streaming' and replay_lsn is not null")

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.seen = []  # (bytes, seconds)
        self._end = threading.Event()

    def stop(self):
        self._end.set()
        self.join(30)

    def run(self):
        while not self._end.wait(1):
            answer = self.cluster.sql("primary", self._QUESTION, check=False)
            for line in answer.stdout.splitlines():
                self.seen.append(tuple(map(float, line.split("|"))))

    def __str__(self):
        if not self.seen:
            return "lag of the replica: never seen"
        amounts, times = map(sorted, zip(*self.seen))
        return (f"lag of the replica, {len(self.seen)} looks: {statistics.median(amounts):.0f} bytes and "
                f"{statistics.median(times):.3f} s in the middle, {amounts[-1]:.0f} bytes and "
                f"{times[-1]:.3f} s at most")


class Report:
    """A line for each kill as it comes, then what it was altogether; into a file too, where one is
    named."""

    def __init__(self, path=None):
        self.path = path
        if path:
            pathlib.Path(path).write_text("")

    def line(self, what):
        print(what, flush=True)
        if self.path:
            with open(self.path, "a", encoding="utf-8") as out:
                print(what, file=out)

    def end(self, soak, seconds):
        kills = soak.kills
        self.line(f"{len(kills)} kills in {seconds:.0f} s")
        for what in ("back", "caught_up"):
            times = sorted(getattr(kill, what) for kill in kills) or [0]
            self.line(f"{what.replace('_', ' ')}: {statistics.median(times):.1f} s in the middle, "
                      f"{times[-1]:.1f} s at most")
        self.line(str(soak.lag))
        acknowledged = sum(len(writer.acknowledged) for writer in soak.writers)
        self.line(f"{acknowledged} commits acknowledged, none lost; " + ", ".join(
            f"{crowd.transactions} transactions of pgbench on the {crowd.node}" for crowd in soak.crowds))


def _children(pid, title):
    """Processes of that server whose title has those words."""
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if title in pathlib.Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "):
                found.append(int(child))
        except OSError:
            continue
    return found


class Soak:
    """`cluster` is up and pgbench's tables are in testdb."""

    VICTIMS = ("primary", "replica", "supervisor", "a backend", "the walreceiver", "the walsender",
               "primary and supervisor", "all servers and supervisor")

    def __init__(self, cluster, seed, report=None):
        self.cluster = cluster
        self.chance = random.Random(seed)
        self.kills = []
        self.report = Report(report)
        cluster.sql("primary", TABLE)
        self.writers = [Writer(cluster, number) for number in range(3)]
        self.crowds = [Crowd(cluster, "primary", "--rate", "50"),
                       Crowd(cluster, "replica", "-S", "--rate", "100")]
        self.lag = Lag(cluster)

    @property
    def killed(self):
        return [(kill.victim, kill.processes) for kill in self.kills]

    def run(self, seconds, pause, least=3):
        """Kills for so long, and so many times at least; between two kills passes a time of `pause`:
        (least, most) seconds."""
        began = time.monotonic()
        threads = [*self.writers, *self.crowds, self.lag]
        for thread in threads:
            thread.start()
        try:
            # Each once in an order of chance, then each again.
            victims = []
            while time.monotonic() < began + seconds or len(self.kills) < least:
                time.sleep(self.chance.uniform(*pause))
                victims = victims or self.chance.sample(self.VICTIMS, len(self.VICTIMS))
                self._strike(victims.pop(), began)
            for crowd in self.crowds:
                crowd.gets_on()
        finally:
            for thread in threads:
                thread.stop()
        self._prove()
        self.cluster.caught_up(60)
        self.report.end(self, time.monotonic() - began)

    def _pid(self, node):
        return int((self.cluster.root / node / "data" / "postmaster.pid").read_text().split()[0])

    def _targets(self, victim):
        if victim in ("primary", "replica"):
            return [self._pid(victim)]
        if victim == "a backend":
            return _children(self._pid("primary"), "testdb")[:1]
        if victim == "the walreceiver":
            return _children(self._pid("replica"), "walreceiver")
        if victim == "the walsender":
            return _children(self._pid("primary"), "walsender")
        supervisor = int((self.cluster.root / "run" / "supervisor.lock").read_text())
        return {"supervisor": [supervisor],
                "primary and supervisor": [supervisor, self._pid("primary")],
                "all servers and supervisor": [supervisor, self._pid("primary"),
                                               self._pid("replica")]}[victim]

    def _strike(self, victim, began):
        targets = []
        for pid in self._targets(victim):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, 9)
                targets.append(pid)
        struck = time.monotonic()
        print(f"killed {victim}", flush=True)
        wait_until(lambda: not any(map(_running, targets)), 10, "who was killed is gone")
        self.cluster.start()
        back, caught_up = self._prove()
        if targets:
            self.kills.append(Kill(struck - began, victim, len(targets), back - struck,
                                   caught_up - struck))
            self.report.line(self.kills[-1])

    def _prove(self):
        """Returns when the rows were there, and when the replica had them all."""
        # Before the question, so that none is asked for that came meanwhile.
        acknowledged = {writer.number: set(writer.acknowledged) for writer in self.writers}
        wait_until(lambda: self._answers("primary") and self._answers("replica"), 60,
                   "both servers answer")
        rows = {}
        for row in self.cluster.sql("primary", "select writer, number from soak").splitlines():
            writer, number = map(int, row.split("|"))
            rows.setdefault(writer, set()).add(number)
        for writer, numbers in acknowledged.items():
            lost = numbers - rows.get(writer, set())
            if lost:
                raise Failed(f"writer {writer} was told that {sorted(lost)[:10]} were there, {len(lost)} "
                             f"in all, and they are not; killed: {self.killed}")
        back = time.monotonic()
        self._prove_order()
        return back, time.monotonic()

    def _prove_order(self):
        """The replica, asked first, has nothing that the primary, asked afterwards, has not flushed."""
        replica = self.cluster.sql("replica", "select greatest(pg_last_wal_receive_lsn(), "
                                   "pg_last_wal_replay_lsn())")
        behind = self.cluster.sql("primary", "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), "
                                  f"'{replica}') >= 0")
        if behind != "t":
            raise Failed(f"the replica, at {replica}, is ahead of its primary; killed: {self.killed}")
        self.cluster.caught_up(60)

    def _answers(self, node):
        return self.cluster.sql(node, "select 1", check=False).returncode == 0


def _running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
