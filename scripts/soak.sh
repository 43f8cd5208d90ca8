#!/bin/bash
# Keeps a restored cluster under load for a while, kills something of it again and again, starts it, and
# proves each time that no acknowledged commit is lost, that the replica is never ahead of its primary
# and that it catches up. At the end all data is checked for soundness.
#
#   scripts/soak.sh [--minutes N] [--seed N] [--pause "LEAST MOST"] [words for pytest]
#
# --minutes   how long (default 30)
# --seed      draws another order (default 1)
# --pause     seconds between two kills (default "20 60")
#
# PGREVIVE_PROGRAM names the program (default: build/check/pgrevive, built anew).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

minutes=30
export PGREVIVE_SOAK_SEED=1 PGREVIVE_SOAK_PAUSE="20 60"
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --minutes) minutes=$2; shift ;;
    --seed) PGREVIVE_SOAK_SEED=$2; shift ;;
    --pause) PGREVIVE_SOAK_PAUSE=$2; shift ;;
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) words+=("$1") ;;
  esac
  shift
done
. scripts/build-for-tests.sh
PGREVIVE_SOAK_SECONDS=$((minutes * 60))
export PGREVIVE_SOAK_SECONDS
exec /usr/bin/python3 -m pytest tests/functional/test_soak.py -q -s "${words[@]}"
