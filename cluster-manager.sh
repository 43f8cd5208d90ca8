#!/bin/bash
# The front door of pgrevive: sees to packages and the build, and hands over to the program.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
. "$here/scripts/env-file.sh"

usage() {
  cat <<TEXT
Usage: $0 [OPTIONS] COMMAND [WORDS]

A PostgreSQL primary and its replicas out of a pgBackRest repository.

  start           bring the cluster up: restore what is empty, start what is there  (--json)
  stop            stop it                                      (--json)
  restart         stop it and start it with what .env says; with a node, only its server
  switchover      let the replica and the primary change places  (--json)
  rebuild         throw the replica's data away and make it anew  (--yes)
  status          show every node and what it does             (--json)
  test            check that the cluster works                 (--json)
  console         where the cluster's page is                  (--token)
  logs            logs of everything                           (-f, -n LINES)
  logs-primary    logs of the primary                          (-f, -n LINES)
  logs-replica    logs of the replica                          (-f, -n LINES)
  psql-primary    psql on the primary; further words go to psql
  psql-replica    psql on the replica
  exec-primary    a shell, or a command, with the primary's environment
  exec-replica    the same for the replica
  cleanup         stop the cluster and remove it with all its data  (--yes)

  doctor          check repository and host before a start, changing nothing  (--json)
  demo            a whole round without any backup of your own (--clean removes it)
  info            what the repository holds                    (--output json)
  restore         make data directories out of a backup
  archive-get     fetch one WAL file (a restore_command)
  prefetch        fetch the WAL that recovering servers will ask for next
  version         print the version
  help [COMMAND]  this page, or that of a command

Options: --env-file FILE (default: $here/.env), --cluster NAME, --config pgbackrest.conf,
--stanza NAME. Settings: cp .env.cluster.example .env, and fill it in; variables of the
environment do not override it.
TEXT
}

# Whether what fails is told for programs, too: by RUNTIME=docker, as the program does it in the local one.
json_errors=
fail() {
  [ -z "$json_errors" ] || json_error "$@"
  echo "error: $1" >&2
  [ -z "${2:-}" ] || echo "  hint: $2" >&2
  exit "${3:-29}"
}

# The file of settings that the words name.
settings_file() {
  local file=${PGREVIVE_ENV_FILE:-$here/.env} previous= plain=() word
  for word in "${globals[@]}" "${words[@]}"; do
    case "$previous" in
      --env-file) file=$word ;;
      --cluster|--config|--stanza) ;;
      *)
        previous=$word
        case "$word" in
          --env-file=*) file=${word#*=} ;;
          -*) ;;
          *)
            plain+=("$word")
            # What stands behind the node of these is for others.
            case "${plain[*]}" in 'psql '*|'exec '*) break ;; esac ;;
        esac
        continue ;;
    esac
    previous=
  done
  echo "$file"
}

# Whether the settings say so.
is_set() {
  local env_file
  env_file=$(settings_file)
  [ "$(setting "$1")" = "$2" ]
}

# Options that stand before the command belong to the program.
globals=()
while [ $# -gt 0 ]; do
  case "$1" in
    --env-file|--cluster|--config|--stanza)
      [ $# -gt 1 ] || fail "$1 needs a value" "" 21
      globals+=("$1" "$2")
      shift 2 ;;
    --env-file=*|--cluster=*|--config=*|--stanza=*) globals+=("$1"); shift ;;
    *) break ;;
  esac
done
command=${1:-help}
[ $# -eq 0 ] || shift

groups=()
case "$command" in
  help|--help|-h)
    if [ $# -eq 0 ]; then
      usage
      exit 0
    fi
    words=(help "$@") ;;
  start|restart) words=("$command" "$@") groups=(run) ;;
  demo) words=(demo "$@") groups=(demo) ;;
  logs-primary|exec-primary|psql-primary) words=("${command%-primary}" primary "$@") ;;
  logs-replica|exec-replica|psql-replica) words=("${command%-replica}" replica "$@") ;;
  *) words=("$command" "$@") ;;  # the program knows them, and names the closest where it does not
esac
# Without Adminer its packages are not needed.
if [ "${groups[*]}" = run ] && ! is_set ADMINER_PORT 0; then groups+=(adminer); fi
# What is not going to run needs no packages.
for word in "$@"; do
  case "$word" in --help|-h|--clean) groups=() ;; esac
done

# Compose makes one where the file that it is to mount is missing.
[ ! -d "$(settings_file)" ] ||
  fail "$(settings_file) is a directory, and no file of settings" \
    "rmdir $(settings_file), then cp $here/.env.cluster.example $(settings_file), and fill it in" 21

if [ "$command" != demo ] && is_set RUNTIME docker; then
  env_file=$(readlink -f "$(settings_file)")
  . "$here/scripts/docker-runtime.sh"
  docker_command "${words[@]}"
  exit
fi

# Where the program is built: in the checkout, or where that cannot be written to, beside the
# user's other caches. PGREVIVE_BUILD overrides.
if [ -n "${PGREVIVE_BUILD:-}" ]; then
  build=$PGREVIVE_BUILD
elif [ -w "$here" ] && { [ ! -e "$here/build/release" ] || [ -w "$here/build/release" ]; }; then
  build=$here/build/release
elif [ -x "$here/build/release/pgrevive" ]; then
  build=$here/build/release
else
  build=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/pgrevive/build
fi
program=$build/pgrevive

is_current() {
  [ -x "$program" ] || return 1
  [ -w "$build" ] || return 0  # somebody else's build, which is all there is
  [ -z "$(find "$here/src" "$here/cmake" "$here/CMakeLists.txt" "$here/CMakePresets.json" \
      -newer "$program" -type f -print -quit)" ]
}

build_program() {
  mkdir -p "$build" || fail "cannot make $build" "set PGREVIVE_BUILD to a directory that can be written to"
  exec 9>"$build/.lock"
  flock 9
  if is_current; then  # another call has built it while we waited
    exec 9>&-
    return
  fi
  "$here/scripts/install-packages.sh" build

  local log=$build/build.log jobs memory
  jobs=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)
  [ "$memory" -ge "$jobs" ] || jobs=$((memory > 0 ? memory : 1))
  echo "building pgrevive (some minutes the first time; log: $log)" >&2
  if ! { (cd "$here" && cmake --preset release -B "$build") && cmake --build "$build" --target pgrevive -j "$jobs"; } \
      >"$log" 2>&1; then
    grep -E 'error|Error' "$log" | head -n 20 >&2 || true
    tail -n 5 "$log" >&2
    fail "pgrevive could not be built" "the whole output is in $log"
  fi
  touch "$program"  # it may have been linked from objects that a cache had
  exec 9>&-
}

[ ${#groups[@]} -eq 0 ] || "$here/scripts/install-packages.sh" "${groups[@]}"
is_current || build_program

export PGREVIVE_FRONT_DOOR=${PGREVIVE_FRONT_DOOR:-$0}
export PGREVIVE_ENV_FILE=${PGREVIVE_ENV_FILE:-$here/.env}
exec "$program" "${globals[@]}" "${words[@]}"
