#!/bin/bash
# Tells which share of the lines and branches of each module the tests reach.
#
#   scripts/coverage.sh                         by the unit tests, and by the inputs kept from fuzzing
#   scripts/coverage.sh --functional [WORD...]  by the functional tests too; words go to pytest
#   scripts/coverage.sh --report                what was counted so far, without running anything
#
# Lines that nothing reached are marked in build/coverage/html/index.html. Counts add up over runs; a
# file that is compiled anew forgets its own. Branches that only an exception takes are not counted.
# A process that is killed, or whose user may not write to build/coverage, leaves no counts.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

mode=${1:-}
case "$mode" in
  -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  --functional|--report) shift ;;
  '') ;;
  *) echo "coverage: what is '$mode'? See --help" >&2; exit 2 ;;
esac

groups=(unit coverage)
[ "$mode" != --functional ] || groups+=(run test)
scripts/install-packages.sh "${groups[@]}"

failed=0
if [ "$mode" != --report ]; then
  cmake --preset coverage >/dev/null
  cmake --build --preset coverage -j "$(nproc)"
  ctest --preset coverage || failed=1
fi
if [ "$mode" = --functional ]; then
  # Servers, whose users are others, run pgrevive too.
  find build/coverage -type d -name '*.dir' -exec chmod -R a+rwX {} +
  PGREVIVE_PROGRAM=$PWD/build/coverage/pgrevive \
    /usr/bin/python3 -m pytest tests/functional "$@" || failed=1
fi

mkdir -p build/coverage/html
gcovr --root . --filter src/ --exclude-throw-branches --exclude-unreachable-branches -j "$(nproc)" \
  --html-details build/coverage/html/index.html --json-summary build/coverage/summary.json build/coverage
/usr/bin/python3 - build/coverage/summary.json <<'EOF'
import collections, json, sys

KEYS = ("line_covered", "line_total", "branch_covered", "branch_total")
modules = collections.defaultdict(lambda: [0] * len(KEYS))
for file in json.load(open(sys.argv[1]))["files"]:
    for name in (file["filename"].split("/")[1], "all"):
        modules[name] = [a + file[key] for a, key in zip(modules[name], KEYS)]
modules["all"] = modules.pop("all")  # the last row
print(f"{'module':<12}{'lines':>8}{'reached':>9}{'branches':>10}{'reached':>9}")
for name, (lines, of_lines, branches, of_branches) in modules.items():
    print(f"{name:<12}{of_lines:>8}{100 * lines / max(of_lines, 1):>8.1f}%"
          f"{of_branches:>10}{100 * branches / max(of_branches, 1):>8.1f}%")
EOF
exit $failed
