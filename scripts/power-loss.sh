#!/bin/bash
# Loses the power at many moments of a restore, and proves of each that what was announced is whole and
# that the next run goes on rightly; docs/failure-modes.md explains.
#
#   scripts/power-loss.sh [--seed N] [--moments N|all] [words for pytest]
#
# --seed      draws other moments, and what is left of what was not synced (default 1)
# --moments   how many before the last sync, beside all behind it (default 50; all: hours)
#
# PGREVIVE_PROGRAM names the program (default: build/check/pgrevive, built anew), PGREVIVE_TEST_TMPDIR where the
# directories lie.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

export PGREVIVE_POWER_MOMENTS=50
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seed) export PGREVIVE_POWER_SEED=$2; shift ;;
    --moments) PGREVIVE_POWER_MOMENTS=$2; shift ;;
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) words+=("$1") ;;
  esac
  shift
done
. scripts/build-for-tests.sh
exec /usr/bin/python3 -m pytest tests/functional/test_power_loss.py -q -s "${words[@]}"
