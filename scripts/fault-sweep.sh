#!/bin/bash
# Runs the whole job with one fault at a time, at points that a first run counts, and says what became
# of each; docs/failure-modes.md explains. Ends with 1 if anything was as it must never be.
#
#   scripts/fault-sweep.sh [--seed N] [--cases N|all] [--every] [--families "s3 calls starts kills"]
#                          [--points "NAME..."] [--table FILE] [words for pytest]
#
# --seed      draws other cases (default 1)
# --cases     how many of each family (default 10)
# --every     takes what repeats for a point each time, and not only the first, one in the middle and the last
# --points    only these, as the table names them: "starts:fork|start|,1:EAGAIN:once"
# --table     where the table goes, line by line (default build/fault-sweep.txt)
#
# PGREVIVE_PROGRAM names the program (default: build/check/pgrevive, built anew), PGREVIVE_TEST_TMPDIR where the
# clusters lie (default: /var/tmp, since on a real disk more of the ways to write are taken than in memory).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

table=build/fault-sweep.txt
export PGREVIVE_SWEEP_CASES=10
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seed) export PGREVIVE_SWEEP_SEED=$2; shift ;;
    --cases) export PGREVIVE_SWEEP_CASES=$2; shift ;;
    --every) export PGREVIVE_SWEEP_EVERY=1 ;;
    --families) export PGREVIVE_SWEEP_FAMILIES=$2; shift ;;
    --points) export PGREVIVE_SWEEP_POINTS=$2; shift ;;
    --table) table=$2; shift ;;
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) words+=("$1") ;;
  esac
  shift
done

export PGREVIVE_TEST_TMPDIR=${PGREVIVE_TEST_TMPDIR:-/var/tmp}
. scripts/build-for-tests.sh
mkdir -p "$(dirname "$table")"
: >"$table"
PGREVIVE_SWEEP_TABLE=$(readlink -f "$table")
export PGREVIVE_SWEEP_TABLE
result=0
/usr/bin/python3 -m pytest tests/functional/test_fault_sweep.py -k one_fault -q "${words[@]}" || result=$?
cat "$table"
exit $result
