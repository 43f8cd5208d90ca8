"""A cluster under load whose processes are killed, and what has to be true each time it is up again.

Writers insert numbered rows one at a time and remember which were acknowledged; pgbench makes a crowd
beside them. After each kill and the `start` that follows, every acknowledged row is on the primary, and
the replica is not ahead of it and catches up.
"""

import contextlib
import os
import pathlib
import random
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
    """pgbench, begun again whenever its server goes away."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self._end = threading.Event()

    def stop(self):
        self._end.set()
        self.join(30)

    def run(self):
        while not self._end.is_set():
            session = subprocess.Popen(
                [binaries() / "pgbench", "-n", "-c", "2", "-T", "600", "--rate", "50",
                 "-h", "127.0.0.1", "-p", str(self.cluster.primary_port), "-U", "postgres", "testdb"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                **child_options(env={"PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": 5}))
            while session.poll() is None and not self._end.wait(0.2):
                pass
            session.kill()
            session.wait()
            self._end.wait(0.5)


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

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.chance = random.Random(seed)
        self.killed = []
        cluster.sql("primary", TABLE)
        self.writers = [Writer(cluster, number) for number in range(3)]
        self.crowd = Crowd(cluster)

    def run(self, seconds, pause):
        """Kills for so long; between two kills passes a time of `pause`: (least, most) seconds."""
        end = time.monotonic() + seconds
        threads = [*self.writers, self.crowd]
        for thread in threads:
            thread.start()
        try:
            # Each once in an order of chance, then each again.
            victims = []
            while time.monotonic() < end:
                time.sleep(self.chance.uniform(*pause))
                victims = victims or self.chance.sample(self.VICTIMS, len(self.VICTIMS))
                self._strike(victims.pop())
                self._prove()
        finally:
            for thread in threads:
                thread.stop()
        self._prove()
        self.cluster.caught_up(60)

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

    def _strike(self, victim):
        targets = []
        for pid in self._targets(victim):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, 9)
                targets.append(pid)
        if targets:
            self.killed.append((victim, len(targets)))
        print(f"killed {victim}", flush=True)
        wait_until(lambda: not any(map(_running, targets)), 10, "who was killed is gone")
        self.cluster.start()

    def _prove(self):
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
        self._prove_order()

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
