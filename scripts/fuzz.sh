#!/bin/bash
# Fuzzes the parsers of foreign bytes with libFuzzer, under address and undefined behaviour sanitizers.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]   SECONDS for each target (default 600), of all or of those named
#   scripts/fuzz.sh --minimize [TARGET...]  only makes the corpora as small as they can be
#
# What is new is added to tests/fuzz/corpus/TARGET. An input that breaks a target is kept in
# build/fuzz/found/TARGET, and its path is printed: mend what it shows, and put it into
# tests/fuzz/regressions/TARGET under a name that says what was wrong (docs/fuzzing.md).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

seconds=600
case "${1:-}" in
  -h|--help) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
  --minimize) seconds=0; shift ;;
  [0-9]*) seconds=$1; shift ;;
esac
if [ $# -eq 0 ]; then
  mapfile -t targets < <(sed -n 's/^fuzz_target(\([a-z0-9_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
else
  targets=("$@")
fi

# What a target may take of an input: more than this teaches it nothing and makes it slow.
max_len() {
  case "$1" in
    wal|target_records|catalog_file|role_files) echo 24576 ;;
    manifest|backup_info|info_file) echo 8192 ;;
    *) echo 4096 ;;
  esac
}

# Of what was found (its name is its SHA-1), keeps in `corpus` the smallest inputs that cover something
# new, 64 of them and 48 KiB at most: a run finds the others again. Those with names of their own stay.
minimize() {
  local target=$1 corpus=$2 small kept=0 bytes=0 size
  small=$(mktemp -d "${TMPDIR:-/tmp}/pgrevive-fuzz.XXXXXX")
  build/fuzz/tests/fuzz/fuzz_"$target" -merge=1 -max_len="$(max_len "$target")" -rss_limit_mb=2048 \
    "$small" "$corpus" >"build/fuzz/found/$target.merge.log" 2>&1
  find "$corpus" -type f -exec sha1sum {} + | { grep -vE '/[0-9a-f]{40}$' || true; } |
    while read -r sum file; do rm -f "$small/$sum"; done
  find "$corpus" -regextype posix-extended -type f -regex '.*/[0-9a-f]{40}' -delete
  while read -r size file; do
    kept=$((kept + 1)) bytes=$((bytes + size))
    [ $kept -le 64 ] && [ $bytes -le $((48 << 10)) ] || break
    mv "$file" "$corpus"
  done < <(find "$small" -type f -printf '%s %p\n' | sort -n)
  rm -rf "$small"
}

scripts/install-packages.sh build fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "$(nproc)" -- "${targets[@]/#/fuzz_}"

failed=0
for target in "${targets[@]}"; do
  corpus=tests/fuzz/corpus/$target
  found=build/fuzz/found/$target
  mkdir -p "$corpus" "$found"
  inputs=("$corpus")
  [ ! -d tests/fuzz/regressions/"$target" ] || inputs+=(tests/fuzz/regressions/"$target")
  if [ "$seconds" -gt 0 ]; then
    log=$found.log
    # A target that takes 10 seconds for one input or 2 GB of memory has found something as well.
    if ! build/fuzz/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=10 \
      -rss_limit_mb=2048 -max_len="$(max_len "$target")" -print_final_stats=1 \
      -artifact_prefix="$found/" "${inputs[@]}" >"$log" 2>&1; then
      failed=1
      echo "$target: FAILED, see $log; the input:"
      sed -n 's/.*Test unit written to /  /p' "$log"
      continue
    fi
    echo "$target: clean, $(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs in $seconds s"
  fi
  minimize "$target" "$corpus"
done
exit $failed
