# RUNTIME=docker: the commands of cluster-manager.sh on containers. Sourced by it; needs nothing of
# this host but Docker and its Compose (v2 as `docker compose`, or v1 as `docker-compose`).
#
# What knows the cluster from the inside is pgrevive in a container that sees the volumes of all nodes
# (`look`); the rest is Docker's own.

# The value of a name in the settings, as far as a shell needs any: names, ports, users.
setting() {
  local value
  value=$(sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$env_file" |
    tail -n 1 | sed "s/[[:space:]]*$//" | sed "s/^'\([^']*\)'.*/\1/; t; s/^\"\([^\"]*\)\".*/\1/; t; s/[[:space:]]#.*//; s/[[:space:]]*$//")
  echo "${value:-${2:-}}"
}

docker_prepare() {
  command -v docker >/dev/null || fail "RUNTIME=docker needs docker" "install Docker, or set RUNTIME=local"
  docker info >/dev/null 2>&1 || fail "Docker's daemon does not answer: $(docker info 2>&1 | tail -n 1)" \
    "start it, or run this as a user who may use it"
  if docker compose version >/dev/null 2>&1; then
    compose_program=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose_program=(docker-compose)
  else
    fail "RUNTIME=docker needs Docker Compose" "install docker-compose, or Docker's plugin for it"
  fi
  name=$(setting CLUSTER_NAME postgres-cluster)
  for ((i = 0; i < ${#globals[@]}; i++)); do
    case "${globals[i]}" in
      --cluster) [ "${globals[i + 1]}" = "$name" ] || wrong_cluster ;;
      --cluster=*) [ "${globals[i]#*=}" = "$name" ] || wrong_cluster ;;
      --config*|--stanza*) fail "RUNTIME=docker takes its settings from .env alone" "leave ${globals[i]%%=*} out" 21 ;;
    esac
  done
  export PGREVIVE_ENV_FILE=$env_file
  prepare_hand_over
  tell_compose
  # A second cluster of this checkout must not take the first one's containers and volumes for its own.
  if [ "$name" != postgres-cluster ]; then
    export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-$name}
    export DOCKER_VOLUMES=${DOCKER_VOLUMES:-${name//-/_}}
  fi
  volumes=${DOCKER_VOLUMES:-postgres_cluster}
}

wrong_cluster() {
  fail "with RUNTIME=docker the cluster is the one of .env, $name" "name its .env with --env-file" 21
}

# Compose gets from .env what docker-compose.yml names, and does not read the file itself: both of its
# generations have a grammar of their own for it, v2 stops at a password that holds "${", and both let
# the shell's variables count before it.
settings_of_compose="POSTGRES_PRIMARY_PORT POSTGRES_REPLICA_PORT ADMINER_PORT ADMINER_LISTEN DOCKER_LISTEN
  DOCKER_POSTGRES_MAJOR S3_CA_FILE WAL_ARCHIVE_S3_CA_FILE REPO_PATH"
tell_compose() {
  local variable value
  export CLUSTER_NAME=$name
  for variable in $settings_of_compose; do
    value=$(setting "$variable")
    if [ -n "$value" ]; then export "$variable=$value"; else unset "$variable"; fi
  done
  # The one thing for which a local repository is written to.
  [ "$(setting WAL_ARCHIVE)" != source ] || export DOCKER_REPO_READ_ONLY=false
  # Of a person's shell too.
  for variable in DOCKER_IMAGE DOCKER_VOLUMES COMPOSE_PROJECT_NAME; do
    value=$(setting "$variable")
    [ -n "${!variable:-}" ] || [ -z "$value" ] || export "$variable=$value"
  done
}

compose() {
  "${compose_program[@]}" --project-directory "$here" --env-file "$here/docker/env" "$@"
}

# Compose tells at length what it does; that is news only where it fails.
quietly() {
  local output
  output=$("$@" 2>&1) && return
  printf '%s\n' "$output" >&2
  fail "Compose failed"
}

# Builds the image where there is none.
need_image() {
  local image log
  image=${DOCKER_IMAGE:-pgrevive}
  ! docker image inspect "$image" >/dev/null 2>&1 || return 0
  log=$(mktemp /tmp/pgrevive-image.XXXXXX)
  echo "building the image $image (some minutes the first time; log: $log)" >&2
  if ! compose build postgres-cluster-restore >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "the image could not be built" "the whole output is in $log"
  fi
  rm -f "$log"
}

# What tells pgrevive in a container of ours: how it was called, and how large the terminal is that
# its output is passed on to.
hand_over=()
prepare_hand_over() {
  local size
  hand_over=(-e "PGREVIVE_FRONT_DOOR=$0")
  [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] || return 0
  size=$(stty size </dev/tty 2>/dev/null) || return 0
  [ "$size" = "0 0" ] || hand_over+=(-e "PGREVIVE_TERMINAL=${size#* }x${size% *}")
}

exists() { docker container inspect "$name-$1" >/dev/null 2>&1; }
state_of() { docker container inspect --format "$2" "$name-$1" 2>/dev/null; }

need_cluster() {
  exists restore || fail "there is no cluster '$name' in this Docker" "\`$0 start\` makes it" 23
}

# pgrevive with everybody's volumes, beside the running nodes.
look() {
  local input=()
  need_cluster
  [ "$1" != follow ] || input=(-i)
  docker run --rm "${input[@]}" --volumes-from "$name-restore" --network "$name-network" \
    "${hand_over[@]}" "$(state_of restore '{{.Image}}')" container "$@"
}

# pgrevive as the restore service would run it, in a container of its own. Where there is no cluster,
# nothing stays of what Compose makes for that.
alone() {
  local made code=0
  need_image
  made=$(our_volumes)
  {
    compose run --rm --no-deps -T "${hand_over[@]}" postgres-cluster-restore "$@" 2>&1 >&3 3>&- |
      grep -vE '^(Creating|Starting) |^ ?(Network|Volume|Container) [^ ]+ +[A-Z]' >&2 3>&- || code=${PIPESTATUS[0]}
  } 3>&1
  [ -n "$made" ] || exists restore || quietly compose down --volumes
  return $code
}

our_volumes() {
  docker volume ls -q --filter "name=^${volumes}_(primary|replica)_(data|logs)$"
}

is_up() {
  local node
  for node in primary replica adminer; do
    [ "$(state_of $node '{{.State.Health.Status}}')" = healthy ] || return
  done
}

# Before a restore that takes hours, and not behind it as Docker does.
check_ports() {
  local entry node names port listen address
  for entry in primary:POSTGRES_PRIMARY_PORT:5433:DOCKER_LISTEN replica:POSTGRES_REPLICA_PORT:5434:DOCKER_LISTEN \
      adminer:ADMINER_PORT:8081:ADMINER_LISTEN; do
    IFS=: read -r node names port listen <<<"$entry"
    port=$(setting "$names" "$port")
    address=$(setting "$listen" 127.0.0.1)
    [ "$address" != 0.0.0.0 ] || address=127.0.0.1
    [ "$(state_of "$node" '{{.State.Running}}')" != true ] || continue
    ! (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null ||
      fail "port $port ($names) cannot be used: something listens there already" \
        "set $names to a free port, or stop what uses it" 30
  done
}

# Once there is something to run. The log stays where it has something to say: that a restore failed
# is said by that.
start_nodes() {
  local code=0
  trap '' HUP
  compose up -d >"$1" 2>&1 </dev/null || code=$?
  if [ "$(state_of restore '{{.State.ExitCode}}')" != 0 ]; then
    rm -f "$1"
    exit $code
  fi
  # Another start may have made the same containers at the same moment.
  [ $code = 0 ] || { code=0; compose up -d >"$1" 2>&1 </dev/null || code=$?; }
  [ $code != 0 ] || rm -f "$1"
  exit $code
}

docker_start() {
  local detach= preview= words=() began ran= rest code log
  for word in "$@"; do
    case "$word" in
      -d|--detach) detach=yes ;;
      --preview) preview=yes ;;
      --json) words+=(--json) ;;
      *) fail "with RUNTIME=docker start does not know $word" "what to restore is said in .env" 21 ;;
    esac
  done
  if [ -n "$preview" ]; then
    alone container preview "${words[@]}"
    return
  fi
  [ ${#words[@]} -eq 0 ] || fail "--json requires --preview" "" 21
  need_image
  ! is_up || ran=yes
  check_ports
  if [ -n "$ran" ] && [ -n "$detach" ]; then
    quietly compose up -d
    echo "$name is being looked after already"
    return
  fi
  [ -n "$ran" ] || [ -n "$detach" ] || echo "starting $name in containers"
  began=$(date +%s)000
  # What can be wrong with image and file shows here, also where nobody waits for the rest.
  quietly compose up -d --no-deps postgres-cluster-restore
  # Whoever stops looking, or goes away with his terminal, must not keep the nodes from being started:
  # a process group of its own hears of neither.
  log=$(mktemp /tmp/pgrevive-start.XXXXXX)
  set -m
  start_nodes "$log" >/dev/null 2>&1 </dev/null &
  rest=$!
  set +m
  if [ -n "$detach" ]; then
    echo "$name is being brought up; \`$0 status\` shows how far it is"
    return
  fi
  trap : INT
  code=0
  docker wait "$name-restore" 2>/dev/null | look follow --since-ms "$began" || code=$?
  [ $code != 31 ] || exit $code
  if ! wait $rest; then
    [ $code = 0 ] || exit $code
    cat "$log" >&2
    rm -f "$log"
    fail "Compose failed"
  fi
  [ $code = 0 ] || exit $code
  trap - INT
  wait_for_health
  [ -z "$ran" ] || echo "$name was running already"
  look report
}

wait_for_health() {
  local node health first
  for node in primary replica adminer; do
    first=$(state_of $node '{{.RestartCount}}')
    while health=$(state_of $node '{{.State.Health.Status}}') && [ "$health" != healthy ]; do
      if [ "$(state_of $node '{{.RestartCount}}')" != "$first" ] || [ "$health" = unhealthy ]; then
        docker logs --tail 20 "$name-$node" >&2
        fail "$name-$node does not come up" "its log is above: docker logs $name-$node"
      fi
      sleep 1
    done
  done
}

# stop [--timeout S]
docker_stop() {
  local seconds=120
  case "${1:-}" in
    --timeout) seconds=${2:?} ;;
    --timeout=*) seconds=${1#*=} ;;
    ?*) fail "stop does not know $1" "" 21 ;;
  esac
  need_cluster
  local node ran=
  for node in restore primary replica adminer; do
    [ "$(state_of $node '{{.State.Running}}')" != true ] || ran=yes
  done
  quietly compose stop -t "$seconds"
  [ -n "$ran" ] && echo stopped || echo "nothing was running"
}

docker_restart() {
  # What is wrong in .env has to be known while the cluster still runs.
  alone container check
  docker_stop "$@"
  docker_start
}

docker_cleanup() {
  local answer=
  exists restore || [ -n "$(our_volumes)" ] || need_cluster
  case "${1:-}" in
    -y|--yes) ;;
    *)
      printf 'This removes cluster %s with its containers and volumes, and cannot be undone.\n' "$name"
      printf 'The source repository is not touched. Type yes to go on: '
      read -r answer || echo
      [ "$answer" = yes ] || fail "nothing was removed" "type the word yes, or use --yes where nobody can be asked" 31 ;;
  esac
  quietly compose down --volumes --timeout 120
  echo "removed the containers, volumes and network of $name"
}

docker_logs() {
  local node= options=()
  while [ $# -gt 0 ]; do
    case "$1" in
      -f|--follow) options+=(--follow) ;;
      -n) options+=(--tail "${2:?}"); shift ;;
      -n*) options+=(--tail "${1#-n}") ;;
      *) node=$1 ;;
    esac
    shift
  done
  need_cluster
  if [ -n "$node" ]; then
    docker logs "${options[@]}" "$name-$node" 2>&1
  else
    compose logs "${options[@]}"
  fi
}

# exec NODE [COMMAND...]
docker_exec() {
  local node=${1:-}
  case "$node" in primary|replica) ;; *) fail "there is no node '$node'" "it is primary or replica" 21 ;; esac
  shift
  need_cluster
  local terminal=(-i)
  [ ! -t 0 ] || [ ! -t 1 ] || terminal+=(-t)
  docker exec "${terminal[@]}" --env "PGUSER=$(setting POSTGRES_USER postgres)" \
    --env "PGDATABASE=$(setting POSTGRES_DB testdb)" "$name-$node" "${@:-bash}"
}

docker_psql() {
  local node=${1:-}
  [ $# -eq 0 ] || shift
  [ "${1:-}" != -- ] || shift
  docker_exec "$node" psql "$@"
}

docker_command() {
  local command=$1 word
  shift
  docker_prepare
  case "$command" in psql|exec) ;; *)
    for word in "$@"; do
      case "$word" in --help|-h) alone "$command" --help; return ;; esac
    done ;;
  esac
  case "$command" in
    start) docker_start "$@" ;;
    stop) docker_stop "$@" ;;
    restart) docker_restart "$@" ;;
    switchover|rebuild)
      fail "$command is not there with RUNTIME=docker" "RUNTIME=local has it" 21 ;;
    status|test) look "$command" "$@" ;;
    logs) docker_logs "$@" ;;
    exec) docker_exec "$@" ;;
    psql) docker_psql "$@" ;;
    cleanup) docker_cleanup "$@" ;;
    help|version|info) alone "$command" "$@" ;;
    doctor) alone container doctor "$@" ;;
    restore|archive-get|prefetch)
      fail "$command makes files of this host, which RUNTIME=docker leaves alone" \
        "docker run --rm -v DIR:DIR pgrevive $command ..., or RUNTIME=local" 21 ;;
    *) fail "there is no command '$command'" "\`$0 help\` lists all commands" 21 ;;
  esac
}
