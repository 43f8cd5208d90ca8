# RUNTIME=docker: the commands of cluster-manager.sh on containers. Sourced by it, behind env-file.sh; needs nothing of
# this host but Docker and its Compose (v2 as `docker compose`, or v1 as `docker-compose`).
#
# What knows the cluster from the inside is pgrevive in a container that sees the volumes of all nodes
# (`look`); the rest is Docker's own.

for part in compose own start logs; do
  . "${BASH_SOURCE[0]%/*}/docker/$part.sh"
done

# How this is called for the same cluster: what is told to be done next works as it stands.
door=$0
[ "${env_file:-}" = "$(readlink -f "${here:-.}/.env")" ] || printf -v door '%s --env-file %q' "$0" "${env_file:-}"

docker_prepare() {
  command -v docker >/dev/null || fail "RUNTIME=docker needs docker" "install Docker, or set RUNTIME=local"
  local why
  why=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) ||
    fail "Docker's daemon does not answer: ${why##*$'\n'}" "start it, or run this as a user who may use it"
  if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose_program=(docker-compose)
  else
    fail "RUNTIME=docker needs Docker Compose" "install docker-compose, or Docker's plugin for it"
  fi
  unset PGREVIVE_START_WORDS
  name=$(setting CLUSTER_NAME postgres-cluster)
  # Containers are called by it, and hosts.
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,54}$ ]] ||
    fail "CLUSTER_NAME=$name cannot be the name of containers" \
      "write letters, digits, '-', '_' and '.', 55 at most, a letter or digit first" 21
  for ((i = 0; i < ${#globals[@]}; i++)); do
    case "${globals[i]}" in
      --cluster) [ "${globals[i + 1]}" = "$name" ] || wrong_cluster ;;
      --cluster=*) [ "${globals[i]#*=}" = "$name" ] || wrong_cluster ;;
      --config*|--stanza*) fail "RUNTIME=docker takes its settings from .env alone" "leave ${globals[i]%%=*} out" 21 ;;
    esac
  done
  [[ ! $(setting DOCKER_POSTGRES_APT) =~ ://[^/[:blank:]]*@ ]] ||
    fail "DOCKER_POSTGRES_APT names a user, and what it says can be read in the image by whoever has that" \
      "name a mirror that asks for no password" 21
  export PGREVIVE_ENV_FILE=$env_file
  TZ=$(zone_of_host)
  export TZ
  prepare_hand_over
  tell_compose
  # A second cluster of this checkout must not take the first one's containers and volumes for its own.
  local project_words=${here##*/}
  if [ "$name" != postgres-cluster ]; then
    project_words=$name
    export DOCKER_VOLUMES=${DOCKER_VOLUMES:-${name//-/_}}
  fi
  project=$(project_name "${COMPOSE_PROJECT_NAME:-$project_words}")
  export COMPOSE_PROJECT_NAME=$project
  volumes=${DOCKER_VOLUMES:-postgres_cluster}
  ours=(--filter "label=pgrevive.cluster=$name" --filter "label=com.docker.compose.project=$project")
  looks_at=pgrevive.looks-at=$project/$name
  wanted=(primary replica)
  left_out=()
  local port node
  for node in adminer console; do
    port=${node^^}_PORT
    if [[ ${!port:-} =~ ^0+$ ]]; then
      left_out+=(--scale "postgres-cluster-$node=0")
    else
      wanted+=("$node")
    fi
  done
}

# A node's name, of which there are two.
check_node() {
  case "$1" in primary|replica) ;; *) fail "there is no node '$1'" "it is primary or replica" 21 ;; esac
}

# That many seconds, as the local runtime takes them.
check_seconds() {
  local number=${2#"${2%%[!0]*}"}
  [[ $number =~ ^[0-9]{1,5}$ ]] && [ "$number" -le 86400 ] ||
    fail "--timeout: Value $2 not in range 1 to 86400" "\`$door $1 --help\` explains it" 21
}

# stop [--timeout S] [--json]
docker_stop() {
  local seconds=120 json= end
  while [ $# -gt 0 ]; do
    case "$1" in
      --timeout)
        [ $# -gt 1 ] || fail "--timeout: 1 required S missing" "\`$door stop --help\` explains it" 21
        seconds=$2
        shift ;;
      --timeout=*) seconds=${1#*=} ;;
      --json) json=yes ;;
      *) unknown stop "$1" ;;
    esac
    shift
  done
  check_seconds stop "$seconds"
  end=$((SECONDS + 10#$seconds))
  local ran= found
  found=$(tokens)
  # One that is being made has no volumes yet.
  [ -n "$found" ] || need_cluster
  [ -z "$found" ] || ran=yes
  drop_tokens "$found"
  found=$(services)
  [ -z "$found" ] || { ran=yes; stop_those $end $found; }
  # Behind the primary, so that who makes a replica anew does not start it then.
  found=$(makers)
  [ -z "$found" ] || { ran=yes; stop_those $end $found; }
  # What was started meanwhile.
  found=$(services)
  [ -z "$found" ] || { ran=yes; stop_those $end $found; }
  if [ -n "$json" ]; then
    printf '{\n  "done": "stop",\n  "ran": %s\n}\n' "$([ -n "$ran" ] && echo true || echo false)"
  elif [ -n "$ran" ]; then echo stopped
  else echo "nothing was running"; fi
}

# restart [NODE] [--json] [--timeout S]
docker_restart() {
  local node= json= limit=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --json) json=yes ;;
      --timeout)
        [ $# -gt 1 ] || fail "--timeout: 1 required S missing" "\`$door restart --help\` explains it" 21
        limit=("--timeout=$2")
        shift ;;
      --timeout=*) limit=("$1") ;;
      -*) unknown restart "$1" ;;
      *)
        [ -z "$node" ] || unknown restart "$1"
        node=$1 ;;
    esac
    shift
  done
  [ ${#limit[@]} -eq 0 ] || check_seconds restart "${limit[0]#*=}"
  if [ -n "$node" ]; then
    check_node "$node"
    look restart "$node" ${json:+--json}
    return
  fi
  # What is wrong has to be known while the cluster still runs.
  part alone container check
  check_ports primary replica adminer console
  local there=yes
  if [ -n "$json" ]; then
    docker_stop "${limit[@]}" >&2
    act=restart docker_start --json
  else
    docker_stop "${limit[@]}"
    docker_start
  fi
}

# rebuild [NODE] [--yes] [--json]: the primary serves on, the replica's container makes room meanwhile.
docker_rebuild() {
  local node= yes= json= answer= word code=0 log rest
  for word in "$@"; do
    case "$word" in
      -y|--yes) yes=yes ;;
      --json) json=yes ;;
      -*) unknown rebuild "$word" ;;
      *)
        [ -z "$node" ] || unknown rebuild "$word"
        node=$word ;;
    esac
  done
  node=${node:-replica}
  need_cluster
  refuse_others
  check_node "$node"
  runs primary ||
    fail "the primary's container does not run, and a replica is made anew from a primary that serves" \
      "\`$door start\` brings the cluster up" 23
  [ "$node" = replica ] || fail "rebuild is for a replica" "name the replica" 21
  if [ -z "$yes" ]; then
    printf 'This throws the data of %s away and makes it anew. Type yes to go on: ' "$node"
    read -r answer || echo
    [ "$answer" = yes ] || fail "nothing was changed" "type the word yes, or use --yes where nobody can be asked" 31
  fi
  log=$(mktemp -d /tmp/pgrevive-rebuild.XXXXXX)
  # Whoever stops looking, or goes away with his terminal, does not stop the work, as in start.
  trap 'interrupted=yes' INT
  set -m
  make_anew "$node" "$json" >"$log/output" 2>"$log/errors" 4>&1 </dev/null &
  rest=$!
  set +m
  echo "making $node anew" >&2
  [ -n "$interrupted" ] || wait $rest || code=$?
  [ -z "$interrupted" ] || leave_to_itself
  trap - INT
  cat "$log/output"
  cat "$log/errors" >&2
  rm -rf "$log"
  return $code
}

# Its container comes back whatever happens: one that is not whole says so, and is made by the next
# start or rebuild.
make_anew() {
  local code=0 id
  trap '' HUP
  id=$(state_of "$1" '{{.Id}}') || exit
  [ -n "$id" ] || fail "there is no container $name-$1" "\`$door start\` makes it" 23
  (stop_those $((SECONDS + 120)) "$id") || code=$?
  # One that is still stopping has not been touched, and ends.
  [ $code != 30 ] || return $code
  [ $code != 0 ] || alone container rebuild "$1" ${2:+--json} || code=$?
  # But not where all was stopped meanwhile.
  ! runs primary || quietly docker start "$name-$1" >/dev/null
  return $code
}

# exec [NODE] [--] [COMMAND...]: as the servers' user, with the environment that it has in the local runtime.
# Where the node's container does not run, in one of its own on the same volume, as there too it needs no
# server.
docker_exec() {
  local node=${1:-primary} container terminal=(-i) state said image network=none environment words
  check_node "$node"
  [ $# -eq 0 ] || shift
  [ "${1:-}" != -- ] || shift
  need_cluster
  words=("${@:-bash}")
  [ ! -t 0 ] || [ ! -t 1 ] || terminal+=(-t)
  environment=(--user postgres --env PGHOST=/var/run/postgresql --env PGPORT=5432
    --env "PGUSER=$(setting POSTGRES_USER postgres)" --env "PGDATABASE=$(setting POSTGRES_DB testdb)")
  # Passwords of clients are in the primary's volume alone.
  [ "$node" != primary ] ||
    environment+=(--env PGPASSFILE=/var/lib/postgresql/data/pgrevive/secrets/user.pgpass)
  state=$(state_of "$node" '{{.Id}} {{.State.Running}}{{.State.Restarting}}') || exit
  if [ "${state#* }" = truefalse ]; then
    docker exec "${terminal[@]}" "${environment[@]}" "${state% *}" \
      pgrevive container exec "$node" -- "${words[@]}"
    return
  fi
  said=$(cluster_volumes) || exit
  [[ $'\n'$said$'\n' == *$'\n'"${volumes}_${node}_data"$'\n'* ]] ||
    fail "there is no volume of $node" "\`$door start\` makes it" 23
  image=$(our_image) || exit
  [ -z "$(our_network)" ] || network=$name-network
  docker run --rm --pull never --init "${terminal[@]}" --label "$looks_at" --network "$network" "${environment[@]}" \
    -v "${volumes}_${node}_data:/var/lib/postgresql/data" -v "${volumes}_${node}_data:/pgrevive/$node" \
    -v "${volumes}_${node}_logs:/var/log/pgbackrest" "$image" container exec "$node" -- "${words[@]}"
}

docker_psql() {
  local node=${1:-primary}
  [ $# -eq 0 ] || shift
  [ "${1:-}" != -- ] || shift
  docker_exec "$node" -- psql "$@"
}

# console [--token | --get PATH] [--json]
docker_console() {
  local words=() url container
  while [ $# -gt 0 ]; do
    [ "$1" = --json ] || [ ${#words[@]} -eq 0 ] || fail "console: $1 is one word too many" "" 21
    case "$1" in
      --token) words=(token) ;;
      --get)
        [ $# -gt 1 ] || fail "--get: 1 required PATH missing" "" 21
        words=(get "$2")
        shift ;;
      --get=*) words=(get "${1#*=}") ;;
      --json) ;;
      *) unknown console "$1" ;;
    esac
    shift
  done
  need_cluster
  [[ " ${wanted[*]} " == *" console "* ]] ||
    fail "cluster $name has no console (CONSOLE_PORT=0)" "give it a port in .env, then \`$door restart\`" 23
  if [ ${#words[@]} -gt 0 ]; then
    container=$(container_of console) || exit
    docker exec "$container" pgrevive container "${words[@]}"
    return
  fi
  url="http://$(address_here CONSOLE_LISTEN):$(setting CONSOLE_PORT 8080)/"
  if ! runs console; then
    echo "$url  (does not run)"
    return 1
  fi
  echo "$url"
}

# What `fail` says, for programs, as the program itself does it: on the output that the command was called
# with, whatever is made of that by now. Who works on without being looked at has it no more.
json_error() {
  { : >&4; } 2>/dev/null || return 0
  local kinds=(internal usage unavailable not_found corrupt unsupported target_not_empty postgres denied system
    busy cancelled) code=${3:-29} kind=system
  [ "$code" -lt 20 ] || kind=${kinds[code - 20]:-system}
  printf '{\n  "error": {\n    "kind": "%s",\n    "exit_code": %s,\n    "message": %s,\n    "frames": [],\n    "hint": %s\n  }\n}\n' \
    "$kind" "$code" "$(json_text "$1")" "$(json_text "${2:-}")" >&4
}
json_text() {
  local text=${1//\\/\\\\} code byte escaped
  text=${text//\"/\\\"}
  for code in {1..31}; do
    printf -v escaped '\\u%04x' "$code"
    printf -v byte "\\x${escaped: -2}"
    text=${text//"$byte"/$escaped}
  done
  printf '"%s"' "$text"
}

# Runs what is no more than a part of the command: with --json its error is the command's, and all that a
# person would be shown goes where messages go.
part() {
  if [ -z "$json_errors" ]; then
    "$@"
    return
  fi
  "$@" --json | {
    trap '' INT  # which ends who writes
    local line to=2
    while IFS= read -r line || [ -n "$line" ]; do
      [ "$line" != '{' ] || to=4
      printf '%s\n' "$line" >&$to
    done
  }
}

# Words that a command has no place for.
unknown() { fail "$1 does not know $2" "\`$door $1 --help\` lists the options" 21; }

# Sorts the words behind a command: what is any command's goes to those that stood before it. Of psql and exec
# what stands behind the node is for others.
sort_words() {
  rest=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --env-file|--cluster|--config|--stanza)
        [ $# -gt 1 ] || fail "$1 needs a value" "" 21
        globals+=("$1" "$2")
        shift ;;
      --env-file=*|--cluster=*|--config=*|--stanza=*) globals+=("$1") ;;
      -*) rest+=("$1") ;;
      *)
        case "$command" in psql|exec) rest+=("$@"); return ;; esac
        rest+=("$1") ;;
    esac
    shift
  done
}

docker_command() {
  local command=$1 word rest
  shift
  sort_words "$@"
  set -- "${rest[@]}"
  case "$command" in psql|exec) set -- "${1:-}" ;; esac
  for word in "$@"; do
    [ "$word" != --json ] || { json_errors=yes; exec 4>&1; }
  done
  docker_prepare
  for word in "$@"; do
    case "$word" in --help|-h) image_says "$command" --help; return ;; esac
  done
  set -- "${rest[@]}"
  case "$command" in
    start) docker_start "$@" ;;
    stop) docker_stop "$@" ;;
    restart) docker_restart "$@" ;;
    rebuild) docker_rebuild "$@" ;;
    switchover)
      fail "switchover exchanges the directories of two nodes, and with RUNTIME=docker each is a volume of its own" \
        "\`$door restart primary\` starts its server anew, \`$door rebuild\` makes the replica anew; for one that takes over use RUNTIME=local" 21 ;;
    status|test)
      for word in "$@"; do
        case "$command $word" in
          *' --json'|'status -w'|'status --watch') ;;
          *) unknown "$command" "$word" ;;
        esac
      done
      look "$command" "$@" ;;
    logs) docker_logs "$@" ;;
    exec) docker_exec "$@" ;;
    psql) docker_psql "$@" ;;
    cleanup) docker_cleanup "$@" ;;
    help|version) image_says "$command" "$@" ;;
    info) alone "$command" "$@" ;;
    doctor) alone container doctor "$@" ;;
    console) docker_console "$@" ;;
    restore|archive-get|prefetch)
      fail "$command makes files of this host, which RUNTIME=docker leaves alone" \
        "docker run --rm -v DIR:DIR pgrevive $command ..., or RUNTIME=local" 21 ;;
    *) fail "there is no command '$command'" "\`$door help\` lists all commands" 21 ;;
  esac
}
