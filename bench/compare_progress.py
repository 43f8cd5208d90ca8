#!/usr/bin/env python3
"""What the progress display costs: a restore on a terminal beside the same one to /dev/null.

    cmake --workflow --preset release
    bench/compare_progress.py [--rounds 20] [--nodes 2]

Backs up 30,000 small files and restores them in memory, by turns. To /dev/null twice in each round,
so that one can see how far two restores are apart that do the same. Needs what the functional tests
need.
"""

import argparse
import fcntl
import os
import pathlib
import pty
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/functional")]

from compare.rows import Form, Row  # noqa: E402
from compare.sources import Repositories  # noqa: E402
from compare.targets import Targets  # noqa: E402
from rig.workspace import Workspace  # noqa: E402

REDRAWN = b"\r\x1b[K"


class Terminal:
    """A pseudo terminal of 100 columns whose screen somebody reads."""

    def __init__(self):
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.seen = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        try:
            while block := os.read(self._ours, 65536):
                self.seen += block
        except OSError:  # EIO: nobody has the other end open any more
            pass

    def close(self):
        os.close(self.theirs)
        self._reader.join()
        os.close(self._ours)


def measured(command, output):
    """Seconds of wall and of CPU."""
    begin = time.monotonic()
    child = subprocess.Popen([os.fspath(word) for word in command], stdin=subprocess.DEVNULL,
                             stdout=output, stderr=output, env={**os.environ, "TERM": "xterm"})
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command}: exit {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def compare(arguments, work):
    row = Row("local", "tmpfs", "tiny", Form("zst", bundle=True))
    repositories = Repositories(work, 0, os.cpu_count(),
                                lambda text: print(text, file=sys.stderr, flush=True))
    repositories.prepare([row])
    conf, facts = repositories.conf(row), repositories.facts(row)
    targets = Targets(row.targets, work, facts["plain"])
    redraws = []

    def restore(on_terminal):
        words = [f"--node={node.name}={node}" for node in targets.fresh()[:arguments.nodes]]
        command = [arguments.program, "restore", "--config", conf, "--stanza", "main",
                   "--type", "none", *words]
        if not on_terminal:
            return measured(command, subprocess.DEVNULL)
        terminal = Terminal()
        try:
            return measured(command, terminal.theirs)
        finally:
            terminal.close()
            redraws.append(terminal.seen.count(REDRAWN))

    sides = {"/dev/null": False, "/dev/null again": False, "terminal": True}
    costs = {side: [] for side in sides}
    load = os.getloadavg()[0]
    try:
        restore(False)  # warms the cache
        for number in range(arguments.rounds):
            # Each has each place in its turn.
            turns = list(sides)[number % 3:] + list(sides)[:number % 3]
            for side in turns:
                costs[side].append(restore(sides[side]))
    finally:
        targets.remove()

    print(f"{facts['files']} files, {facts['plain'] / 1e6:.0f} MB, {arguments.nodes} nodes; "
          f"{arguments.rounds} rounds; drawn {statistics.median(redraws):.0f} times; "
          f"load when it began {load:.1f}, at the end {os.getloadavg()[0]:.1f}")
    print("| | wall s | CPU s | wall : /dev/null (middle half) | CPU : /dev/null (middle half) |\n"
          "|---|---|---|---|---|")
    for side, of_side in costs.items():
        cells = [f"{statistics.median(cost[what] for cost in of_side):.3f}" for what in (0, 1)]
        for what in (0, 1):
            ratios = [cost[what] / base[what] for cost, base in zip(of_side, costs["/dev/null"])]
            low, middle, high = statistics.quantiles(ratios, n=4)
            cells.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        print(f"| {side} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--nodes", type=int, choices=[1, 2], default=2)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/pgrevive")
    arguments = parser.parse_args()
    os.umask(0o022)
    space = Workspace("progress")
    try:
        compare(arguments, space.path)
    finally:
        space.remove()


if __name__ == "__main__":
    main()
