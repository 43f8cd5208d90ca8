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
  # A second cluster of this checkout must not take the first one's containers and volumes for its own.
  if [ "$name" != postgres-cluster ]; then
    export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-$(setting COMPOSE_PROJECT_NAME "$name")}
    export DOCKER_VOLUMES=${DOCKER_VOLUMES:-$(setting DOCKER_VOLUMES "${name//-/_}")}
  fi
}

wrong_cluster() {
  fail "with RUNTIME=docker the cluster is the one of .env, $name" "name its .env with --env-file" 21
}

compose() {
  "${compose_program[@]}" --project-directory "$here" --env-file "$env_file" "$@"
}

# Compose tells at length what it does; that is news only where it fails.
quietly() {
  local output
  output=$("$@" 2>&1) && return
  printf '%s\n' "$output" >&2
  fail "Compose failed"
}

exists() { docker container inspect "$name-$1" >/dev/null 2>&1; }
state_of() { docker container inspect --format "$2" "$name-$1" 2>/dev/null; }

need_cluster() {
  exists restore || fail "there is no cluster '$name' in this Docker" "\`$0 start\` makes it" 23
}

# pgrevive with everybody's volumes, beside the running nodes.
look() {
  need_cluster
  docker run --rm --volumes-from "$name-restore" --network "$name-network" \
    --env "PGREVIVE_FRONT_DOOR=$0" "$(state_of restore '{{.Image}}')" container "$@"
}

docker_start() {
  local began code
  for word in "$@"; do
    case "$word" in
      -d|--detach) ;;
      --preview|--json) compose run --rm --no-deps postgres-cluster-restore start "$@"; return ;;
      *) fail "with RUNTIME=docker start does not know $word" "what to restore is said in .env" 21 ;;
    esac
  done
  echo "starting $name in containers"
  began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  # What can be wrong with image and file shows here, also where nobody waits for the rest.
  quietly compose up -d --no-deps postgres-cluster-restore
  if [ $# -gt 0 ]; then
    (compose up -d >/dev/null 2>&1 </dev/null &)
    echo "$name is being brought up; \`$0 status\` shows how far it is"
    return
  fi
  docker logs --follow --since "$began" "$name-restore" 2>&1 | sed 's/^/  /'
  code=$(docker wait "$name-restore")
  [ "$code" = 0 ] || fail "$name could not be restored" "its log is above; \`$0 start\` goes on where it stopped" "$code"
  quietly compose up -d
  wait_for_health
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

docker_stop() {
  need_cluster
  quietly compose stop -t 120
  echo stopped
}

docker_cleanup() {
  local answer=
  exists restore || [ -n "$(docker volume ls -q --filter "name=^${DOCKER_VOLUMES:-postgres_cluster}_primary_data$")" ] || need_cluster
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
  local command=$1
  shift
  docker_prepare
  case "$command" in
    start) docker_start "$@" ;;
    stop) docker_stop ;;
    restart) docker_stop; docker_start ;;
    status|test) look "$command" "$@" ;;
    logs) docker_logs "$@" ;;
    exec) docker_exec "$@" ;;
    psql) docker_psql "$@" ;;
    cleanup) docker_cleanup "$@" ;;
    help) compose run --rm --no-deps postgres-cluster-restore help "$@" ;;
    version|info|doctor) compose run --rm --no-deps postgres-cluster-restore "$command" "$@" ;;
    restore|archive-get|prefetch)
      fail "$command makes files of this host, which RUNTIME=docker leaves alone" \
        "docker run --rm -v DIR:DIR pgrevive $command ..., or RUNTIME=local" 21 ;;
    *) fail "there is no command '$command'" "\`$0 help\` lists all commands" 21 ;;
  esac
}
