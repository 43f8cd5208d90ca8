#!/bin/bash
# Keeps a restored cluster under load for a while, kills something of it again and again, starts it, and
# proves each time that no acknowledged commit is lost, that the replica is never ahead of its primary
# and that it catches up; others only read on it. At the end all data is checked for soundness.
#
#   scripts/soak.sh [--minutes N] [--seed N] [--pause "LEAST MOST"] [--report FILE] [words for pytest]
#
# --minutes   how long (default 60)
# --seed      draws another order (default 1)
# --pause     seconds between two kills (default "20 60")
# --report    where it goes what was killed, how soon all was back, and how far behind the replica was
#             (default build/soak.txt)
#
# PGREVIVE_PROGRAM names the program (default: build/check/pgrevive, built anew).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

minutes=60
report=build/soak.txt
export PGREVIVE_SOAK_SEED=1 PGREVIVE_SOAK_PAUSE="20 60"
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) minutes=$2; shift ;;
    --seed) PGREVIVE_SOAK_SEED=$2; shift ;;
    --pause) PGREVIVE_SOAK_PAUSE=$2; shift ;;
    --report) report=$2; shift ;;
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) words+=("$1") ;;
  esac
  shift
done
. scripts/build-for-tests.sh
mkdir -p "$(dirname "$report")"
PGREVIVE_SOAK_SECONDS=$((minutes * 60)) PGREVIVE_SOAK_REPORT=$(readlink -f "$report")
export PGREVIVE_SOAK_SECONDS PGREVIVE_SOAK_REPORT
# The limit that a test has is not for this one: it takes as long as it was told, and some more at its end.
exec /usr/bin/python3 -m pytest tests/functional/test_soak.py -q -s --timeout $((minutes * 60 + 900)) "${words[@]}"
