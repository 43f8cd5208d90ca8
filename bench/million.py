#!/usr/bin/env python3
"""A backup of a million tiny files: what its manifest costs, in memory and in time to begin.

    cmake --workflow --preset release
    bench/million.py [--files 1000000] [--no-bundle] [--targets disk|tmpfs] [--memory 256MiB]

Makes such a backup (bench/compare/many_files.py) and restores it by turns with pgBackRest to one
node and with pgrevive to one node and to two, and once more onto a node that holds it all already,
as one whose restore was interrupted at its end does. Prints medians: time with the sync of the
targets, CPU, the largest resident set of the program itself (pgBackRest's other processes are not
counted), and the time from the start of the program until it opened the first object with file
data. A node of a million files takes 5 GB on a disk or in memory. Needs what bench/compare.sh does.
"""

import argparse
import ctypes
import os
import pathlib
import select
import shutil
import statistics
import struct
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/functional")]

from compare import report  # noqa: E402
from compare.many_files import BLOCK, ManyFiles  # noqa: E402
from compare.measure import run_measured  # noqa: E402
from compare.targets import Targets  # noqa: E402
from rig import tree  # noqa: E402

HEAD = ["restore of", "s", "CPU s", "memory MB", "first byte s", "pgBackRest : this"]
_IN_OPEN = 0x20
_IN_ISDIR = 0x40000000


def say(text):
    print(text, file=sys.stderr, flush=True)


class FirstOpen:
    """When a file in one of these directories is first opened, by whomever; inotify tells."""

    _libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, directories):
        self.at = None
        self._events = self._libc.inotify_init()
        for directory in directories:
            if self._libc.inotify_add_watch(self._events, os.fsencode(directory), _IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), f"cannot watch {directory}")
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while self._events in select.select([self._events, self._stop], [], [])[0]:
            now = time.monotonic()
            _, mask, _, _ = struct.unpack_from("iIII", os.read(self._events, 4096))
            if not mask & _IN_ISDIR:
                self.at = now
                return

    def end(self):
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        os.close(self._events)


class Contest:
    def __init__(self, options, repository, targets):
        self.options = options
        self.repository = repository
        self.conf = repository.conf(options.jobs)
        self.targets = targets
        self.runs = {}  # what: [(cost, seconds until the first byte)]

    def _measure(self, what, command):
        say(what)
        first = FirstOpen(self.repository.data_directories())
        try:
            begin = time.monotonic()
            cost = run_measured(command, self.targets.sync)
        finally:
            first.end()
        self.runs.setdefault(what, []).append((cost, first.at - begin))

    def theirs(self):
        node, _ = self.targets.fresh()
        node.mkdir(mode=0o700)
        self._measure("pgBackRest, one node", [
            self.options.pgbackrest, f"--config={self.conf}", "--stanza=main",
            f"--pg1-path={node}", "--type=none", "restore"])
        return [node]

    def _ours(self, what, nodes, *words):
        words = [*words, *(f"--node={node.name}={node}" for node in nodes)]
        if self.options.memory:
            words += ["--memory", self.options.memory]
        self._measure(f"pgrevive, {what}", [
            self.options.program, "restore", "--config", self.conf, "--stanza", "main",
            "--type", "none", "--jobs", str(self.options.jobs), *words])
        return nodes

    def one(self):
        nodes = self._ours("one node", self.targets.fresh()[:1])
        return self._ours("the same again, --delta", nodes, "--delta")

    def two(self):
        return self._ours("two nodes", self.targets.fresh())

    def round(self, number, compare):
        # The other one goes first every other time, so that neither has the better place.
        turns = [self.one, self.two] if self.options.no_pgbackrest else [
            self.theirs, self.one, self.two]
        expected = None
        for turn in turns if number % 2 == 0 else reversed(turns):
            nodes = turn()
            for node in nodes if compare else []:
                found = tree.data_directory(node)
                expected = expected or found
                tree.assert_equal(expected, found, node)

    def lines(self):
        def median(runs, field):
            return statistics.median(getattr(cost, field) for cost, _ in runs)

        theirs = self.runs.get("pgBackRest, one node")
        for what, runs in self.runs.items():
            yield [what, f"{median(runs, 'wall'):.1f}", f"{median(runs, 'cpu'):.1f}",
                   f"{median(runs, 'memory') / 1e6:.0f}",
                   f"{statistics.median(first for _, first in runs):.2f}",
                   f"{median(theirs, 'wall') / median(runs, 'wall'):.2f} x" if theirs else ""]


def compare(options, work):
    about = report.machine(options, work, f"--files {options.files}")
    repository = ManyFiles(work, options.files, options.databases, options.compress,
                           not options.no_bundle, say)
    targets = Targets(options.targets, work, options.files * BLOCK)
    try:
        contest = Contest(options, repository, targets)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            contest.round(number, compare=number == 0 and not options.no_compare)
    finally:
        targets.remove()
    print("\n".join([
        *about, f"backup: {options.files} files of {options.databases} databases, "
        f"{options.compress}, {'each an object' if options.no_bundle else 'in bundles'}; its "
        f"manifest has {repository.manifest.stat().st_size / 1e6:.0f} MB; targets: "
        f"{options.targets}", "",
        report.table(list(contest.lines()), HEAD)]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--databases", type=int, default=100)
    parser.add_argument("--no-bundle", action="store_true", help="an object for each file")
    parser.add_argument("--compress", choices=["zst", "none"], default="zst")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--memory", help="of pgrevive (default: its own)")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/pgrevive")
    parser.add_argument("--pgbackrest", default="pgbackrest", help="that restores")
    parser.add_argument("--targets", choices=["disk", "tmpfs", "xfs", "btrfs"], default="disk")
    parser.add_argument("--work", type=pathlib.Path,
                        help="where the repository and the targets on disk lie; the repository stays"
                             " for the next run (default: a new directory below /var/tmp)")
    parser.add_argument("--no-pgbackrest", action="store_true")
    parser.add_argument("--no-compare", action="store_true")
    options = parser.parse_args()
    os.umask(0o022)
    options.program = options.program.resolve()
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
        compare(options, options.work.resolve())
        return
    work = pathlib.Path(tempfile.mkdtemp(prefix="pgrevive-million-", dir="/var/tmp"))
    work.chmod(0o755)
    try:
        compare(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
