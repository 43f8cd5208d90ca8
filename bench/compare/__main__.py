"""python3 -m compare: see bench/compare.sh, which sets the paths and has the help."""

import argparse
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

from rig.process import Failed, run

from compare import report
from compare.measure import Contest
from compare.rows import ROWS, choose
from compare.sources import Repositories
from compare.targets import Skipped, Targets

ROOT = pathlib.Path(__file__).resolve().parents[2]


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="bench/compare.sh", add_help=False)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--program", type=pathlib.Path, default=os.environ.get(
        "PGREVIVE_PROGRAM", ROOT / "build/release/pgrevive"))
    parser.add_argument("--pgbackrest", default="pgbackrest")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--no-compare", action="store_true")
    return parser.parse_args()


def check_programs(options):
    if not os.access(options.program, os.X_OK):
        raise SystemExit(f"compare: no {options.program}: build it with "
                         "'cmake --workflow --preset release', or name another with --program")
    options.program = options.program.resolve()
    # Repositories are made with Debian's, restored with the one that is named.
    for program in ("pgbackrest", options.pgbackrest):
        if shutil.which(program) is None:
            raise SystemExit(f"compare: no {program}; see scripts/install-packages.sh bench")
    options.pgbackrest = os.path.realpath(shutil.which(options.pgbackrest))


def check_blocks(row, options):
    version = re.search(r"(\d+)\.(\d+)", run([options.pgbackrest, "version"]).stdout)
    if row.form.block and (int(version[1]), int(version[2])) < (2, 46):
        raise Skipped(f"pgBackRest {version[0]} knows no block incremental backups; name one that "
                      "does with --pgbackrest")


def contest(row, repositories, options, work):
    check_blocks(row, options)
    facts = repositories.facts(row)
    conf = repositories.conf(row)
    targets = Targets(row.targets, work, facts["plain"])
    try:
        result = Contest(conf, options, targets)
        for number in range(options.rounds):
            say(f"{row.name}: round {number + 1} of {options.rounds}")
            result.round(number, compare=number == 0 and not options.no_compare)
        return report.cells(row, facts, result)
    finally:
        targets.remove()


def compare(options, rows, work):
    about = report.machine(options, work, f"--size {options.size}")
    repositories = Repositories(work, options.size * 1_000_000, options.jobs, say)
    lines, troubles = [], []
    try:
        repositories.prepare(rows)
        for row in rows:
            try:
                lines.append(contest(row, repositories, options, work))
                say(report.table(lines[-1:]))
            except Skipped as skipped:
                troubles.append(f"SKIPPED {row.name}: {skipped}")
                say(troubles[-1])
            except (AssertionError, Failed) as failed:
                troubles.append(f"FAILED {row.name}: {failed}")
                say(troubles[-1])
    finally:
        repositories.close()
    print("\n".join([*about, "", report.table(lines), *troubles]))
    return 1 if any(trouble.startswith("FAILED") for trouble in troubles) else 0


def main():
    options = parse()
    rows = choose(options.rows)
    if options.list:
        for row in ROWS if not options.rows else rows:
            print(f"{row.name:38}{'extra' if row.extra else row.wanted}")
        return 0
    check_programs(options)
    # So that what was begun is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.umask(0o022)
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
        return compare(options, rows, options.work.resolve())
    work = pathlib.Path(tempfile.mkdtemp(prefix="pgrevive-compare-", dir="/var/tmp"))
    work.chmod(0o755)
    try:
        return compare(options, rows, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
