"""One restore, with what it took."""

import dataclasses
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import threading
import time

from rig import tree
from rig.process import Failed, shown


@dataclasses.dataclass(frozen=True)
class Cost:
    wall: float    # seconds, the sync of the targets included
    cpu: float     # user and system, of the program and its children
    memory: int    # the largest resident set of the program itself, bytes

    def __add__(self, other):
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.memory, other.memory))


class PeakMemory:
    """Looks every now and then at the most memory that a process has had.

    What wait4() says of it will not do: a child's account begins with the memory of the one that
    started it, before exec().
    """

    def __init__(self, pid):
        self.bytes = 0
        self._status = pathlib.Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._ended.wait(0.05):
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", self._status.read_text())
            except OSError:
                return
            if found:
                self.bytes = int(found[1]) << 10

    def end(self):
        self._ended.set()
        self._thread.join()


def run_measured(command, sync):
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("PG", "PGBACKREST_"))}
    with tempfile.TemporaryFile() as output:
        begin = time.monotonic()
        child = subprocess.Popen([os.fspath(part) for part in command], cwd="/", env=environment,
                                 stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        memory = PeakMemory(child.pid)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.terminate()
            child.wait()
            raise
        finally:
            memory.end()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            output.seek(0)
            raise Failed(f"{' '.join(map(str, command))}: exit {child.returncode}\n"
                         f"{shown(output.read())}")
        sync()
        return Cost(time.monotonic() - begin, usage.ru_utime + usage.ru_stime,
                    memory.bytes)


class Contest:
    """Both programs restore one backup to fresh targets, by turns."""

    def __init__(self, conf, options, targets):
        self.conf = conf
        self.program = options.program
        self.pgbackrest = options.pgbackrest
        self.jobs = options.jobs
        self.targets = targets
        self.costs = {"theirs once": [], "theirs twice": [], "ours once": [], "ours twice": []}

    def theirs(self):
        nodes = self.targets.fresh()
        costs = []
        for node in nodes:
            node.mkdir(mode=0o700)
            tablespaces = self.targets.tablespaces(node.name)
            tablespaces.mkdir()
            costs.append(run_measured(
                [self.pgbackrest, f"--config={self.conf}", "--stanza=main", f"--pg1-path={node}",
                 f"--tablespace-map-all={tablespaces}", f"--process-max={self.jobs}",
                 "--type=none", "restore"], self.targets.sync))
        self.costs["theirs once"].append(costs[0])
        self.costs["theirs twice"].append(costs[0] + costs[1])
        return nodes

    def ours(self, count):
        nodes = self.targets.fresh()[:count]
        words = [f"--node=n{i}={node}" for i, node in enumerate(nodes)]
        self.costs["ours once" if count == 1 else "ours twice"].append(run_measured(
            [self.program, "restore", "--config", self.conf, "--stanza", "main", "--type", "none",
             "--tablespace-map-all", self.targets.tablespaces("ours"), "--jobs", str(self.jobs),
             *words], self.targets.sync))
        return nodes

    def round(self, number, compare):
        """`compare`: prove that all nodes are equal to what pgBackRest made, file by file."""
        expected = None

        def them():
            nonlocal expected
            nodes = self.theirs()
            if compare:
                expected = tree.data_directory(nodes[0])

        # The other one goes first every other time, so that neither has the better place. Only the
        # first round compares, and needs theirs before.
        turns = [them, lambda: self.ours(2), lambda: self.ours(1)]
        for turn in turns if number % 2 == 0 else reversed(turns):
            nodes = turn()
            if compare and nodes is not None:
                for node in nodes:
                    tree.assert_equal(expected, tree.data_directory(node), f"{node}")

    def median(self, what, field="wall"):
        return statistics.median(getattr(cost, field) for cost in self.costs[what])

    def spread(self, what):
        """The widest distance from the median, in parts of it."""
        middle = self.median(what)
        return max(abs(cost.wall - middle) for cost in self.costs[what]) / middle
