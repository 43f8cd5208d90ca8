#!/usr/bin/env python3
"""What it costs a restore that many look at it: `start` with fifty listeners beside the same one with none.

    cmake --workflow --preset release
    bench/compare_listeners.py [--rounds 12] [--listeners 50] [--size 1000]

Backs up business rows and starts a cluster of them by turns: watched by nobody, by nobody again, so
that one can see how far two restores are apart that do the same, and by listeners who are connected
before the first byte is there. The repository is on this host and the restore takes all its cores, so
that whatever the listeners take it has not. Needs what the functional tests need.
"""

import argparse
import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/functional")]

from compare.rows import Form, Row  # noqa: E402
from compare.sources import Repositories  # noqa: E402
from rig.cluster import Cluster  # noqa: E402
from rig.process import free_port, wait_until  # noqa: E402
from rig.program import Program  # noqa: E402
from rig.workspace import Workspace  # noqa: E402

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """Seconds of user and system, of the process with its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def listen(port, many):
    """Of a process of its own: reads what comes, until it is asked how many looks that were."""
    looks = 0

    def tell(*_):
        print(looks, flush=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, tell)
    ready = selectors.DefaultSelector()
    for _ in range(many):
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                time.sleep(0.005)
        connection.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ready.register(connection, selectors.EVENT_READ)
    while ready.get_map():
        for key, _ in ready.select():
            text = key.fileobj.recv(1 << 16)
            looks += text.count(b"event: status")
            if not text:
                ready.unregister(key.fileobj)


def restoring(cluster):
    """The phase's record, or None."""
    try:
        phases = json.loads((cluster.root / "run" / "status.json").read_text())["phases"]
    except (OSError, ValueError):
        return None
    return next((phase for phase in phases if phase["phase"] == "restoring"), None)


def restore(cluster, many):
    """Seconds of the restore by the clock, of its CPU and of the console's meanwhile; and how many
    looks at it were heard."""
    shutil.rmtree(cluster.root, ignore_errors=True)
    os.sync()
    port = cluster.values["CONSOLE_PORT"]
    listener = subprocess.Popen([sys.executable, __file__, "--listen", str(port), str(many)],
                                stdout=subprocess.PIPE) if many else None
    heard = 0
    try:
        cluster.start("--detach")
        wait_until(lambda: restoring(cluster), 60, "the restore begins", every=0.002)
        supervisor, console = (int((cluster.root / "run" / name).read_text())
                               for name in ("supervisor.lock", "console.pid"))
        began = cpu_of(supervisor), cpu_of(console)
        wait_until(lambda: restoring(cluster)["ended_ms"], 600, "and ends", every=0.01)
        ended = cpu_of(supervisor), cpu_of(console)
        phase = restoring(cluster)
        if listener:
            listener.terminate()
            heard = int(listener.communicate(timeout=10)[0])
        return ((phase["ended_ms"] - phase["began_ms"]) / 1000, ended[0] - began[0],
                ended[1] - began[1], heard)
    finally:
        if listener:
            listener.kill()
        cluster.stop(check=False)


def compare(arguments, space):
    row = Row("local", "disk", "events", Form("gz"))
    repositories = Repositories(space.path, arguments.size * 1_000_000, os.cpu_count(),
                                lambda text: print(text, file=sys.stderr, flush=True))
    repositories.prepare([row])
    facts, conf = repositories.facts(row), repositories.conf(row).read_text()
    os.environ["PGREVIVE_PROGRAM"] = str(arguments.program)
    cluster = Cluster(Program(space.directory("program")), space.directory("home"), {
        "REPO_TYPE": "posix", "REPO_PATH": re.search("^repo1-path=(.+)$", conf, re.M)[1],
        "PGBACKREST_STANZA": "main", "WAL_ARCHIVE": "off", "ADMINER_PORT": 0,
        "CONSOLE_PORT": free_port()})
    cluster.unproven = "its time is measured; others prove what such a restore makes"
    sides = {"nobody": 0, "nobody again": 0, f"{arguments.listeners} listeners": arguments.listeners}
    costs = {side: [] for side in sides}
    load = os.getloadavg()[0]
    try:
        restore(cluster, 0)  # warms the cache
        for number in range(arguments.rounds):
            # Each has each place in its turn.
            turns = list(sides)[number % 3:] + list(sides)[:number % 3]
            for side in turns:
                costs[side].append(restore(cluster, sides[side]))
                print(side, costs[side][-1], file=sys.stderr, flush=True)
    finally:
        cluster.gone()

    print(f"{facts['files']} files, {facts['plain'] / 1e6:.0f} MB, 2 nodes; {arguments.rounds} rounds; "
          f"load when it began {load:.1f}, at the end {os.getloadavg()[0]:.1f}")
    print("| watched by | wall s | CPU s | wall : nobody (middle half) | CPU : nobody (middle half) "
          "| console, % of a core | looks heard |\n|---|---|---|---|---|---|---|")
    for side, of_side in costs.items():
        cells = [f"{statistics.median(cost[what] for cost in of_side):.2f}" for what in (0, 1)]
        for what in (0, 1):
            ratios = [cost[what] / base[what] for cost, base in zip(of_side, costs["nobody"])]
            low, middle, high = statistics.quantiles(ratios, n=4)
            cells.append(f"{middle:.3f} ({low:.3f} to {high:.3f})")
        # All runs together, as the kernel counts in hundredths of a second.
        cells.append(f"{100 * sum(cost[2] for cost in of_side) / sum(cost[0] for cost in of_side):.2f}")
        cells.append(f"{statistics.median(cost[3] for cost in of_side):.0f}")
        print(f"| {side} | " + " | ".join(cells) + " |")


def main():
    if sys.argv[1:2] == ["--listen"]:
        listen(*map(int, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--size", type=int, default=1000, help="of the data, MB")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/pgrevive")
    arguments = parser.parse_args()
    os.umask(0o022)
    space = Workspace("listeners")
    try:
        compare(arguments, space)
    finally:
        space.remove()


if __name__ == "__main__":
    main()
