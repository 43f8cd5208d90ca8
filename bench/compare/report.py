"""The table, and what has to stand beside it to be worth anything."""

import os
import pathlib
import platform
import re

from rig.process import run

HEAD = ["row", "MB (stored)", "files", "pgBackRest 1 / 2", "pgrevive 1 / 2", "one node",
        "two nodes", "wanted", "2nd node: time, CPU", "CPU s", "memory MB", "spread"]


def machine(options, work, settings):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    disk = run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", work], check=False).stdout.split()
    version = run([options.program, "version"], check=False).stdout.split("\n")[0]
    return [
        f"machine: {os.cpu_count()} x {cpu[1] if cpu else platform.machine()}, "
        f"{int(memory[1]) >> 20} GiB, Linux {platform.release()}, disk {' '.join(disk)}",
        f"versions: {run([options.pgbackrest, 'version']).stdout.strip()}, {version}",
        f"settings: {settings} --rounds {options.rounds} --jobs {options.jobs}; "
        f"load when it began {os.getloadavg()[0]:.1f}",
    ]


def cells(row, facts, contest):
    def both(whose):
        return " / ".join(f"{contest.median(f'{whose} {count}'):.2f}"
                          for count in ("once", "twice"))

    def faster(count):
        return f"{contest.median(f'theirs {count}') / contest.median(f'ours {count}'):.2f} x"

    def second(field):
        more = contest.median("ours twice", field) / contest.median("ours once", field) - 1
        return f"{more * 100:+.0f} %"

    memory = max(contest.median(what, "memory") for what in ("ours once", "ours twice"))
    return [
        row.name, f"{facts['plain'] / 1e6:.0f} ({facts['stored'] / 1e6:.0f})", str(facts["files"]),
        both("theirs"), both("ours"), faster("once"), faster("twice"), row.wanted,
        f"{second('wall')}, {second('cpu')}",
        f"{contest.median('theirs twice', 'cpu'):.2f} : {contest.median('ours twice', 'cpu'):.2f}",
        f"{memory / 1e6:.0f}",
        f"{max(contest.spread(what) for what in contest.costs) * 100:.0f} %"]


def table(lines, head=HEAD):
    """Markdown that can be read as it is."""
    rows = [head, *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]

    def line(row):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"

    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|",
                      *(line(row) for row in lines)])
