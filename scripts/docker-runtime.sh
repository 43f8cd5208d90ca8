# RUNTIME=docker: the commands of cluster-manager.sh on containers. Sourced by it, behind env-file.sh; needs nothing of
# this host but Docker and its Compose (v2 as `docker compose`, or v1 as `docker-compose`).
#
# What knows the cluster from the inside is pgrevive in a container that sees the volumes of all nodes
# (`look`); the rest is Docker's own.

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

# A project's name as both generations of Compose take it, and as they make it of a directory's:
# v1 drops from a name what does not belong there, v2 refuses it.
project_name() {
  local LC_ALL=C text=${1,,}
  text=${text//[^a-z0-9_-]/}
  while [[ $text == [_-]* ]]; do text=${text#?}; done
  echo "${text:-pgrevive}"
}

# In which a time without a zone is meant, as the host's C library has it; empty where no name of it is
# to be found.
zone_of_host() {
  local zone=${TZ:-}
  zone=${zone#:}
  if [ -z "$zone" ] && [ ! -e /etc/localtime ]; then zone=UTC; fi
  [ -n "$zone" ] || zone=$(readlink -f /etc/localtime)
  case "$zone" in
    */zoneinfo/*)
      zone=${zone##*/zoneinfo/}
      zone=${zone#posix/} ;;
    /*) zone=$(cat /etc/timezone 2>/dev/null || true) ;;
  esac
  echo "$zone"
}

wrong_cluster() {
  fail "with RUNTIME=docker the cluster is the one of .env, $name" "name its .env with --env-file" 21
}

# Compose gets from .env what docker-compose.yml names, and does not read the file itself: both of its
# generations have a grammar of their own for it, v2 stops at a password that holds "${", and both let
# the shell's variables count before it. Those of a person's shell are of his other work, and none counts.
settings_of_compose="POSTGRES_PRIMARY_PORT POSTGRES_REPLICA_PORT ADMINER_PORT ADMINER_LISTEN
  CONSOLE_PORT CONSOLE_LISTEN DOCKER_LISTEN DOCKER_IMAGE DOCKER_VOLUMES
  DOCKER_POSTGRES_MAJOR DOCKER_POSTGRES_APT DOCKER_LOCALES DOCKER_PACKAGES S3_CA_FILE WAL_ARCHIVE_S3_CA_FILE REPO_PATH
  COMPOSE_PROJECT_NAME COMPOSE_FILE COMPOSE_PROFILES"
tell_compose() {
  local variable value
  unset DOCKER_REPO_READ_ONLY COMPOSE_PATH_SEPARATOR COMPOSE_ENV_FILES COMPOSE_DISABLE_ENV_FILE
  export CLUSTER_NAME=$name
  for variable in $settings_of_compose; do
    value=$(setting "$variable")
    # Before a port an IPv6 address stands in brackets.
    case "$variable$value" in *_LISTEN*:*) value="[${value//[\[\]]/}]" ;; esac
    if [ -n "$value" ]; then export "$variable=$value"; else unset "$variable"; fi
  done
  # Left over beside another kind of source it is nothing to be mounted.
  [ "$(setting REPO_TYPE)" = posix ] || unset REPO_PATH
  # Mounted once is enough, and twice in the same place is refused.
  [ "${S3_CA_FILE:-}" != "${WAL_ARCHIVE_S3_CA_FILE:-}" ] || unset WAL_ARCHIVE_S3_CA_FILE
  # The one thing for which a local repository is written to.
  [ "$(setting WAL_ARCHIVE)" != source ] || export DOCKER_REPO_READ_ONLY=false
}

compose() {
  "${compose_program[@]}" --project-directory "$here" --env-file "$here/docker/env" "$@"
}

# Compose and Docker tell at length what they do; that is news only where it fails.
quietly() {
  local output
  output=$("$@" 2>&1) && return
  printf '%s\n' "$output" >&2
  fail "this failed: $*" "what it says of that is above"
}

# What of the compose file is to run on volumes that are filled; what .env has a port of 0 for is not, and
# goes if it was there.
bring_up() {
  compose up -d --no-deps "${left_out[@]}" postgres-cluster-{primary,replica,adminer,console}
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

# What tells pgrevive in a container of ours: how it was called, in which zone, and how large the
# terminal is that its output is passed on to.
hand_over=()
prepare_hand_over() {
  local size
  hand_over=(-e "PGREVIVE_FRONT_DOOR=$0" -e "TZ=$TZ")
  [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] || return 0
  size=$(stty size </dev/tty 2>/dev/null) || return 0
  [ "$size" = "0 0" ] || hand_over+=(-e "PGREVIVE_TERMINAL=${size#* }x${size% *}")
}

# Of a container of ours; nothing of one that is not there, or only has the name.
state_of() {
  docker container inspect --format "{{if and (eq (index .Config.Labels \"pgrevive.cluster\") \"$name\")
    (eq (index .Config.Labels \"com.docker.compose.project\") \"$project\")}}$2{{end}}" \
    "$name-$1" 2>/dev/null || true
}
exists() { [ -n "$(state_of "$1" '{{.Id}}')" ]; }

# Those of Compose, and those that look at it.
our_containers() {
  local format=${1:-}
  [ -n "$format" ] || format='{{.ID}}'
  docker ps -a --format "$format" "${ours[@]}"
  docker ps -a --format "$format" --filter "label=pgrevive.looks-at=$project/$name"
}
our_volumes() { docker volume ls -q "${ours[@]}"; }
our_network() { docker network ls -q "${ours[@]}"; }

# What has one of this cluster's names and is not this cluster's, one a line, with whose it is as far as
# that is known: Compose would take it over.
not_ours() {
  local node kind what whose of line told=
  local labels='{{index .Labels "pgrevive.cluster"}}|{{index .Labels "com.docker.compose.project"}}'
  local containers=() data=()
  for node in restore primary replica adminer console; do containers+=("$name-$node"); done
  for node in primary replica; do data+=("${volumes}_${node}_data" "${volumes}_${node}_logs"); done
  while IFS='|' read -r kind what whose of; do
    what=${what#/}
    [ -n "$what" ] || continue  # which stands for what is not there
    [ "$whose" = "$name" ] && [ "$of" = "$project" ] && continue
    line="$kind $what"
    if [ -n "$whose" ] && [ "$whose" != "$name" ]; then line+=" (of cluster $whose)"
    elif [ -n "$of" ]; then line+=" (of the Compose project $of)"; fi
    case $'\n'$told in *$'\n'"$line"$'\n'*) continue ;; esac
    told+=$line$'\n'
  done < <({
    docker container inspect --format "container|{{.Name}}|{{with .Config}}$labels{{end}}" "${containers[@]}"
    docker volume inspect --format "volume|{{.Name}}|$labels" "${data[@]}"
    docker network inspect --format "network|{{.Name}}|$labels" "$name-network"
    # What Compose would take for a service of this cluster: that of one whose name makes the same project.
    docker ps -a --filter "label=com.docker.compose.project=$project" --format \
      '{{.Label "com.docker.compose.service"}}|{{.Names}}|{{.Label "pgrevive.cluster"}}' |
      sed -n "s/^postgres-cluster-\(restore\|primary\|replica\|adminer\|console\)|\(.*\)/container|\2|$project/p"
  } 2>/dev/null)
  printf %s "$told"
}

# Before anything is made, or thrown away: Compose asks nobody.
refuse_others() {
  local found
  found=$(not_ours)
  [ -z "$found" ] || fail "the names of cluster $name are in use here by what is not this cluster's:
  ${found//$'\n'/$'\n'  }" "give this cluster a CLUSTER_NAME of its own in .env (and ports); or where it is this cluster, made by \
Compose without this script or before the checkout was moved, $(as_it_was_made) in .env; or remove what is not needed any more \
(docker rm, docker volume rm, docker network rm)" 26
  refuse_other_volumes
}

# What .env has to say for the containers of that name to be this cluster's.
as_it_was_made() {
  local found
  found=$(docker container inspect --format '{{index .Config.Labels "pgrevive.cluster"}}|{{index .Config.Labels "com.docker.compose.project"}}|{{range .Mounts}}{{.Name}} {{end}}' \
    "$name-restore" 2>/dev/null || true)
  if [[ $found =~ ^"$name|"(.+)"|"(.* )?([^ ]+)_primary_data\  ]]; then
    echo "COMPOSE_PROJECT_NAME=${BASH_REMATCH[1]} and DOCKER_VOLUMES=${BASH_REMATCH[3]}"
  else
    echo "its project's and its volumes' names as COMPOSE_PROJECT_NAME and DOCKER_VOLUMES"
  fi
}

# Of other volumes than it has Compose would make a second cluster under the same names, and a cleanup
# would remove the first one's.
refuse_other_volumes() {
  local node found=
  for node in restore primary; do
    found+=$(state_of $node '{{range .Mounts}}{{if .Name}}{{println .Name}}{{end}}{{end}}')$'\n'
  done
  [[ $found == *_primary_data* ]] || found=$(our_volumes)$'\n'
  [[ $'\n'$found != *$'\n'"${volumes}_primary_data"$'\n'* ]] || return 0
  if [[ $'\n'$found =~ $'\n'([^$'\n']+)_primary_data$'\n' ]]; then
    fail "cluster $name is on the volume ${BASH_REMATCH[1]}_primary_data, and its settings name ${volumes}_primary_data" \
      "set DOCKER_VOLUMES=${BASH_REMATCH[1]} in .env" 26
  fi
}

# The volumes are the cluster: containers that do not run are what `docker container prune` removes, and
# the restore's is one of them as long as the cluster runs.
need_cluster() {
  [ -n "$(our_volumes)" ] || fail "there is no cluster '$name' in this Docker" "\`$0 start\` makes it" 23
}

# Of the one that the cluster was made of, as long as that is known.
our_image() {
  local node image=
  for node in restore primary replica console adminer; do
    image=$(state_of $node '{{.Image}}')
    [ -z "$image" ] || break
  done
  echo "${image:-${DOCKER_IMAGE:-pgrevive}}"
}

# What the restore service sees, whose container may be gone.
tell_mounts() {
  local node path
  mounts=(--mount "type=bind,source=$env_file,target=/etc/pgrevive/env,readonly")
  for node in primary replica; do
    mounts+=(-v "${volumes}_${node}_data:/pgrevive/$node" -v "${volumes}_${node}_logs:/pgrevive/$node/logs")
  done
  for path in "${S3_CA_FILE:-}" "${WAL_ARCHIVE_S3_CA_FILE:-}" "${REPO_PATH:-}"; do
    [ ! -e "$path" ] || mounts+=(--mount "type=bind,source=$path,target=$path,readonly")
  done
}

# pgrevive with everybody's volumes, beside the running nodes.
look() {
  local input=() network=none mounts
  need_cluster
  refuse_other_volumes
  tell_mounts
  [ -z "$(our_network)" ] || network=$name-network
  [ "$1" != follow ] || input=(-i)
  docker run --rm "${input[@]}" --label "pgrevive.looks-at=$project/$name" "${mounts[@]}" --network "$network" \
    "${hand_over[@]}" "$(our_image)" container "$@"
}

# One at a time is to make what there is not, and to remove it again.
alone_here() {
  exec 8<"$here/docker-compose.yml"
  ! command -v flock >/dev/null || flock 8
}
not_alone_here() { exec 8<&-; }

# pgrevive as the restore service would run it, in a container of its own. Compose v1 adds its exit
# code as a line. Where there is no cluster, nothing stays of what Compose makes for that.
alone() {
  local made code=0
  refuse_others
  need_image
  made=$(our_volumes)
  if [ -z "$made" ]; then
    alone_here
    made=$(our_volumes)
  fi
  {
    compose run --rm --no-deps -T "${hand_over[@]}" postgres-cluster-restore "$@" 2>&1 >&3 3>&- </dev/null |
      grep -vE '^(Creating|Starting) |^ ?(Network|Volume|Container) [^ ]+ +[A-Z]|^[0-9]+$' >&2 3>&- || code=${PIPESTATUS[0]}
  } 3>&1
  [ -n "$made" ] || exists restore || remove_ours
  not_alone_here
  return $code
}

# What needs neither settings nor a cluster.
image_says() {
  need_image
  docker run --rm --network none "${hand_over[@]}" "${DOCKER_IMAGE:-pgrevive}" "$@"
}

# Not by Compose, which goes by names alone.
remove_ours() {
  local found
  found=$(our_containers)
  [ -z "$found" ] || { quietly docker stop -t 120 $found; quietly docker rm -f -v $found; }
  found=$(our_volumes)
  [ -z "$found" ] || quietly docker volume rm $found
  found=$(our_network)
  [ -z "$found" ] || quietly docker network rm $found
}

is_up() {
  local node
  for node in "${wanted[@]}"; do
    [ "$(state_of $node '{{.State.Health.Status}}')" = healthy ] || return
  done
}

# Where this host reaches what is published on the address of that setting.
address_here() {
  local address=${!1:-127.0.0.1}
  case "$address" in
    0.0.0.0) address=127.0.0.1 ;;
    '[::]') address='[::1]' ;;
  esac
  echo "$address"
}

published() { state_of "$1" '{{range .NetworkSettings.Ports}}{{range .}}{{.HostPort}} {{end}}{{end}}'; }

# Before a restore that takes hours, and not behind it as Docker does. Called with nodes that are going to
# be stopped before.
check_ports() {
  local entry node names port listen address freed=
  for node in "$@"; do freed+=" $(published "$node")"; done
  for entry in primary:POSTGRES_PRIMARY_PORT:5433:DOCKER_LISTEN replica:POSTGRES_REPLICA_PORT:5434:DOCKER_LISTEN \
      adminer:ADMINER_PORT:8081:ADMINER_LISTEN console:CONSOLE_PORT:8080:CONSOLE_LISTEN; do
    IFS=: read -r node names port listen <<<"$entry"
    [[ " ${wanted[*]} " == *" $node "* ]] || continue
    port=$(setting "$names" "$port")
    address=$(address_here "$listen")
    # What it uses itself. Of one that does not run there is nothing.
    case " $(published "$node")$freed" in
      *" $port "*) continue ;;
    esac
    ! (exec 3<>"/dev/tcp/${address//[\[\]]/}/$port") 2>/dev/null ||
      fail "port $port ($names) cannot be used: something listens there already" \
        "set $names to a free port, or stop what uses it" 30
  done
}

# Which `stop` takes away from every start that is under way: by that one knows that it has nothing more to
# do, wherever it runs.
take_token() {
  token=$(docker volume create --label "pgrevive.cluster=$name" --label "com.docker.compose.project=$project" \
    --label pgrevive.start=yes "${volumes}_start_$$_$(date +%s)")
}
tokens() { docker volume ls -q "${ours[@]}" --filter label=pgrevive.start=yes; }
has_token() { docker volume inspect "$token" >/dev/null 2>&1; }
drop_token() { docker volume rm "$token" >/dev/null 2>&1 || true; }

# Whoever looks into their logs is to find it there too. Those that run are none of its business.
let_nodes_say_why() {
  local node silent=()
  for node in primary replica; do
    [ "$(state_of $node '{{.State.Running}}')" = true ] || silent+=("postgres-cluster-$node")
  done
  [ ${#silent[@]} -eq 0 ] || compose up -d --no-deps "${silent[@]}" >/dev/null 2>&1 </dev/null || true
}

# Once there is something to run. The log stays where it has something to say: that a restore failed
# is said by that.
start_nodes() {
  local code
  trap '' HUP
  trap drop_token EXIT
  code=$(docker wait "$name-restore" 2>/dev/null) || code=$(state_of restore '{{.State.ExitCode}}')
  [ "$code" != 0 ] || has_token || code=31
  if [ "$code" != 0 ]; then
    rm -f "$1"
    # Not where it was stopped: then they are to be stopped too.
    case "$code" in 31|130|137|143) ;; *) let_nodes_say_why ;; esac
    exit "${code:-29}"
  fi
  rest_nodes
  # Another start may have made the same containers at the same moment.
  bring_up >"$1" 2>&1 </dev/null || bring_up >"$1" 2>&1 </dev/null || code=$?
  if ! has_token; then
    compose stop -t 120 >"$1" 2>&1 </dev/null || exit
    rm -f "$1"
    exit 31
  fi
  # The primary's container does it, now or as soon as it runs.
  [ $code != 0 ] || [ -z "$2" ] || look reindex >>"$1" 2>&1 || code=$?
  [ $code != 0 ] || rm -f "$1"
  exit $code
}

# Sorts the words of start: what pgrevive has to know of them goes into told, one word after the other.
start_options() {
  local word
  while [ $# -gt 0 ]; do
    word=$1
    shift
    case "$word" in
      -d|--detach) detach=yes ;;
      --preview) preview=yes ;;
      --json) json=yes ;;
      --reindex) reindex=yes ;;
      --anew) anew=yes ;;
      -y|--yes) yes=yes ;;
      --set|--type|--target|--target-timeline)
        [ $# -gt 0 ] || fail "$word: 1 required TEXT missing" "\`$0 start --help\` lists the options" 21
        told+=("$word=$1")
        shift ;;
      --set=*|--type=*|--target=*|--target-timeline=*|--target-exclusive) told+=("$word") ;;
      *) fail "start does not know $word" "\`$0 start --help\` lists the options" 21 ;;
    esac
  done
  for word in "${told[@]}"; do
    case "$word" in *$'\n'*) fail "${word%%=*} has more than one line" "" 21 ;; esac
  done
  [ -z "$yes" ] || [ -n "$anew" ] || fail "--yes requires --anew" "" 21
  [ -z "$preview" ] || [ -z "$reindex$anew" ] || fail "--preview excludes --reindex and --anew" "" 21
}

# What the restore service is to be made with: what was said now, or what it works on with.
tell_words() {
  if [ ${#told[@]} -gt 0 ]; then
    PGREVIVE_START_WORDS=$(printf '%s\n' "${told[@]}")
  elif [ -z "$anew" ] && exists restore &&
      [ "$(state_of restore '{{.State.Running}}{{.State.ExitCode}}')" != false0 ]; then
    # With others Compose would end it, and make another; one that failed has not told anybody yet.
    local environment
    environment=$(state_of restore '{{range .Config.Env}}{{println .}}{{end}}')
    PGREVIVE_START_WORDS=$(sed -n '/^PGREVIVE_START_WORDS=/,/^[^-]/{s/^PGREVIVE_START_WORDS=//; /^-/p}' <<<"$environment")
    # One that runs has read its target's time by now.
    [ "$(state_of restore '{{.State.Running}}')" != true ] || TZ=$(sed -n 's/^TZ=//p' <<<"$environment")
  fi
  export PGREVIVE_START_WORDS=${PGREVIVE_START_WORDS:-}
}

# Whoever stops looking does not stop the work.
interrupted=
leave_to_itself() {
  printf '\nleft to itself: it goes on. `%s status` shows how far it is, `%s stop` ends it\n' "$0" "$0"
  exit 31
}

docker_start() {
  local detach= preview= json= reindex= anew= yes= told=() began ran= rest code ended log services token
  start_options "$@"
  refuse_others
  tell_words
  if [ -n "$preview" ]; then
    alone container preview ${json:+--json}
    return
  fi
  # What a person would be shown goes where messages go.
  [ -z "$json" ] || exec 3>&1 1>&2
  check_ports
  [ -z "$anew" ] || make_way
  need_image
  ! is_up || ran=yes
  # What is wrong with them has to be known before anything is made.
  [ -n "$anew" ] || alone container check
  if [ -n "$ran" ] && [ -n "$detach" ]; then
    quietly bring_up
    [ -z "$reindex" ] || look reindex
    echo "$name is being looked after already"
    started
    return
  fi
  [ -n "$ran" ] || [ -n "$detach" ] || echo "starting $name in containers"
  began=$(date +%s)000
  alone_here
  take_token
  trap 'wake_rested; drop_token' EXIT
  rest_nodes
  # What can be wrong with image and file shows here, also where nobody waits for the rest.
  services=(postgres-cluster-restore)
  [[ " ${wanted[*]} " != *" console "* ]] || services+=(postgres-cluster-console)
  quietly compose up -d --no-deps "${services[@]}"
  not_alone_here
  # Whoever stops looking, or goes away with his terminal, must not keep the nodes from being started:
  # a process group of its own hears of neither.
  log=$(mktemp /tmp/pgrevive-start.XXXXXX)
  set -m
  start_nodes "$log" "$reindex" >/dev/null 2>&1 </dev/null &
  rest=$!
  trap - EXIT
  set +m
  if [ -n "$detach" ]; then
    echo "$name is being brought up; \`$0 status\` shows how far it is"
    started
    return
  fi
  trap 'interrupted=yes' INT
  code=0
  docker wait "$name-restore" 2>/dev/null | look follow --since-ms "$began" || code=$?
  [ $code != 31 ] || exit $code
  # A key that was pressed behind the last look of `follow` came to nobody else.
  [ -z "$interrupted" ] || leave_to_itself
  ended=0
  wait $rest || ended=$?
  if [ $ended != 0 ]; then
    [ -z "$interrupted" ] || leave_to_itself
    [ $code = 0 ] || exit $code
    [ $ended != 31 ] || fail "the cluster was stopped before it was up" "\`$0 start\` goes on" 31
    cat "$log" >&2
    rm -f "$log"
    fail "Compose failed" "what it says of that is above"
  fi
  [ $code = 0 ] || exit $code
  wait_for_health
  [ -z "$reindex" ] || look reindexing || code=$?
  [ $code = 0 ] || exit $code
  trap - INT
  [ -z "$ran" ] || echo "$name was running already"
  look report ${reindex:+--reindexed}
  started
}

# What came of it, for programs.
started() {
  [ -z "$json" ] || look "${act:-start}ed" ${ran:+--ran} >&3
}

# A node that Docker starts again and again waits for its volume to be made whole, and would be in the
# way of who does it. It is started behind that.
rested=()
rest_nodes() {
  local node
  for node in primary replica; do
    [ "$(state_of $node '{{.State.Restarting}}')" = true ] || continue
    quietly docker stop "$name-$node"
    rested+=("$name-$node")
  done
}

# Where nothing came of it they say again that their volumes are not whole.
wake_rested() {
  [ ${#rested[@]} -eq 0 ] || docker start "${rested[@]}" >/dev/null || true
}

# Whether a node that does not run was started before its volume was whole: that it ended says nothing of
# it then, and Docker waits up to a minute with its next start.
ended_too_early() {
  local LC_ALL=C begun whole
  begun=$(state_of "$1" '{{.State.StartedAt}}')
  whole=$(state_of restore '{{.State.FinishedAt}}')
  [[ ${begun%Z} < ${whole%Z} ]]
}

wait_for_health() {
  local node state health first waited
  for node in "${wanted[@]}"; do
    first=$(state_of $node '{{.RestartCount}}')
    waited=0
    while :; do
      state=$(state_of $node '{{.State.Status}} {{.RestartCount}} {{.State.Health.Status}}')
      health=${state##* }
      [ "$health" != healthy ] || break
      [ -z "$interrupted" ] || leave_to_itself
      [ -n "$state" ] || fail "the container $name-$node is gone" "\`$0 start\` makes it again" 23
      case "$state" in
        running\ "$first"\ *|created\ "$first"\ *)
          # One that recovers from a crash takes the time that it takes. Of one that is up the probes may
          # be late for a while.
          waited=$((waited + 1))
          [ "$health" = starting ] || waited=$((waited + 9))
          [ $waited -ge 600 ] || { sleep 1 || true; continue; }
          waited=0
          ! docker exec "$name-$node" pgrevive container coming-up "$node" 2>/dev/null || continue ;;
        exited\ *\ *)
          # By somebody else; one that ends by itself Docker starts again.
          ended_too_early "$node" || fail "$name-$node was stopped before it was up" "\`$0 start\` starts it" 31 ;;&
        restarting\ *|exited\ *)
          if ended_too_early "$node"; then
            quietly docker stop "$name-$node"
            quietly docker start "$name-$node"
            first=$(state_of $node '{{.RestartCount}}')
            continue
          fi ;;
      esac
      docker logs --tail 20 "$name-$node" >&2
      fail "$name-$node does not come up" "its log is above: docker logs $name-$node"
    done
    [ -z "$interrupted" ] || leave_to_itself
  done
}

# The cluster that is there makes way for one of the source's backups, as soon as it is known that
# that one can be made.
make_way() {
  local answer= code=0 up mounts
  need_cluster
  up=$(state_of primary '{{.State.Running}}')
  alone container check-anew
  if [ -z "$yes" ]; then
    printf 'This throws the data of cluster %s away and makes it anew of the source'"'"'s backups, which\n' "$name"
    printf "cannot be undone. Type the cluster's name to go on: "
    read -r answer || echo
    [ "$answer" = "$name" ] ||
      fail "nothing was changed" "type the name of the cluster, or use --yes where nobody can be asked" 31
  fi
  quietly compose stop -t 120
  alone container make-way || code=$?
  if [ $code != 0 ]; then
    tell_mounts
    if docker run --rm "${mounts[@]}" --entrypoint test "$(our_image)" \
        -e /pgrevive/primary/pgrevive/makes-way; then
      fail "the old data is not all gone yet" "\`$0 start\` goes on, and makes the new cluster" $code
    fi
    # It was not touched.
    [ "$up" != true ] || docker start "${wanted[@]/#/$name-}" >/dev/null || true
    exit $code
  fi
  # The volumes know the new one's target from here on. A service that had it as words would be told
  # of them again whenever somebody starts it.
  told=()
  unset PGREVIVE_START_WORDS
  tell_words
}

# A node's name, of which there are two.
check_node() {
  case "$1" in primary|replica) ;; *) fail "there is no node '$1'" "it is primary or replica" 21 ;; esac
}

# stop [--timeout S] [--json]
docker_stop() {
  local seconds=120 json=
  while [ $# -gt 0 ]; do
    case "$1" in
      --timeout)
        [ $# -gt 1 ] || fail "--timeout: 1 required S missing" "\`$0 stop --help\` lists the options" 21
        seconds=$2
        shift ;;
      --timeout=*) seconds=${1#*=} ;;
      --json) json=yes ;;
      *) fail "stop does not know $1" "\`$0 stop --help\` lists the options" 21 ;;
    esac
    shift
  done
  [[ $seconds =~ ^[0-9]+$ ]] || fail "--timeout=$seconds is no number of seconds" "" 21
  need_cluster
  local node ran= found
  for node in restore primary replica adminer console; do
    [ "$(state_of $node '{{.State.Running}}')" != true ] || ran=yes
  done
  found=$(tokens)
  if [ -n "$found" ]; then
    ran=yes
    docker volume rm $found >/dev/null 2>&1 || true  # one that ends now removes its own
  fi
  quietly compose stop -t "$seconds"
  # Behind the primary, so that who makes a replica anew does not start it then.
  for node in $(makers); do
    ran=yes
    quietly docker stop -t "$seconds" "$node"
  done
  # What was started meanwhile, and what Compose was not told of.
  found=$(docker ps -q "${ours[@]}" --filter label=com.docker.compose.oneoff=False)
  if [ -n "$found" ]; then
    ran=yes
    quietly docker stop -t "$seconds" $found
  fi
  if [ -n "$json" ]; then
    printf '{\n  "done": "stop",\n  "ran": %s\n}\n' "$([ -n "$ran" ] && echo true || echo false)"
  elif [ -n "$ran" ]; then echo stopped
  else echo "nothing was running"; fi
}

# The containers that make a node anew.
makers() {
  docker ps -q --filter label=com.docker.compose.oneoff=True --filter "volume=${volumes}_primary_data"
}

# restart [NODE] [--json] [--timeout S]
docker_restart() {
  local node= json= limit=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --json) json=yes ;;
      --timeout)
        [ $# -gt 1 ] || fail "--timeout: 1 required S missing" "\`$0 restart --help\` lists the options" 21
        limit=(--timeout "$2")
        shift ;;
      --timeout=*) limit=("$1") ;;
      -*) fail "restart does not know $1" "\`$0 restart --help\` lists the options" 21 ;;
      *) node=$1 ;;
    esac
    shift
  done
  if [ -n "$node" ]; then
    check_node "$node"
    look restart "$node" ${json:+--json}
    return
  fi
  # What is wrong has to be known while the cluster still runs.
  alone container check
  check_ports primary replica adminer console
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
  local node=replica yes= json= answer= word code=0 log rest
  for word in "$@"; do
    case "$word" in
      -y|--yes) yes=yes ;;
      --json) json=yes ;;
      -*) fail "rebuild does not know $word" "" 21 ;;
      *) node=$word ;;
    esac
  done
  need_cluster
  refuse_others
  check_node "$node"
  [ "$(state_of primary '{{.State.Running}}')" = true ] ||
    fail "the primary's container does not run, and a replica is made anew from a primary that serves" \
      "\`$0 start\` brings the cluster up" 23
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
  make_anew "$node" "$json" >"$log/output" 2>"$log/errors" </dev/null &
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
  local code=0
  trap '' HUP
  docker stop -t 120 "$name-$1" >/dev/null || code=$?
  [ $code != 0 ] || alone container rebuild "$1" ${2:+--json} || code=$?
  # But not where all was stopped meanwhile.
  [ "$(state_of primary '{{.State.Running}}')" != true ] || quietly docker start "$name-$1" >/dev/null
  return $code
}

# What of the cluster is in none of its volumes, one a line.
what_stays() {
  local volume
  volume=$(docker volume ls -q "${ours[@]}" --filter "name=^${volumes}_primary_data$")
  [ -n "$volume" ] || return 0
  docker run --rm --pull never --network none -v "$volume:/pgrevive/primary" "${hand_over[@]}" \
    "$(our_image)" container check-cleanup ||
    echo "warning: what it has archived elsewhere cannot be told" >&2
}

# Before anything is stopped.
check_cleanup() {
  local volume
  for volume in $(our_volumes); do
    refuse_users "volume $volume" "$(docker ps -a --filter "volume=$volume" --format '{{.Names}}')"
  done
  [ -z "$(our_network)" ] || refuse_users "network $name-network" \
    "$(docker network inspect --format '{{range .Containers}}{{.Name}}{{println}}{{end}}' "$name-network")"
}
refuse_users() {
  local others
  others=$(grep -vxF "$(our_containers '{{.Names}}')" <<<"$2" | grep . || true)
  [ -z "$others" ] ||
    fail "the $1 is in use by a container that is not of cluster $name: ${others%%$'\n'*}" \
      "remove that first: docker rm -f ${others%%$'\n'*}" 30
}

docker_cleanup() {
  local answer= others stays
  case "${1:-}" in
    -y|--yes|'') ;;
    *) fail "cleanup does not know $1" "\`$0 cleanup --help\` lists the options" 21 ;;
  esac
  others=$(not_ours)
  if [ -z "$(our_containers)$(our_volumes)$(our_network)" ]; then
    [ -z "$others" ] || fail "there is no cluster '$name' in this Docker; what has its names is not its own:
  ${others//$'\n'/$'\n'  }" "docker rm, docker volume rm and docker network rm remove what you do not need" 23
    need_cluster
  fi
  check_cleanup
  stays=$(what_stays)
  if [ -z "${1:-}" ]; then
    printf 'This removes cluster %s with its containers and volumes, and cannot be undone.\n' "$name"
    [ -z "$stays" ] || printf 'What stays: %s\n' "$stays"
    printf 'The source repository is not touched. Type yes to go on: '
    read -r answer || echo
    [ "$answer" = yes ] || fail "nothing was removed" "type the word yes, or use --yes where nobody can be asked" 31
  fi
  remove_ours
  echo "removed the containers, volumes and network of $name"
  [ -z "$stays" ] || echo "kept    $stays"
  [ -z "$others" ] || printf 'kept    %s, which is not of this cluster\n' "${others//$'\n'/, }"
}

docker_logs() {
  local node= options=()
  while [ $# -gt 0 ]; do
    case "$1" in
      -f|--follow) options+=(--follow) ;;
      -n|--lines)
        [ $# -gt 1 ] || fail "$1: 1 required N missing" "\`$0 logs --help\` lists the options" 21
        options+=(--tail "$2")
        shift ;;
      --lines=*) options+=(--tail "${1#*=}") ;;
      -n*) options+=(--tail "${1#-n}") ;;
      primary|replica|restore|adminer|console) node=$1 ;;
      -*) fail "logs does not know $1" "\`$0 logs --help\` lists the options" 21 ;;
      *) fail "there is no node '$1'" "it is primary, replica, restore, adminer or console" 21 ;;
    esac
    shift
  done
  need_cluster
  if [ -n "$node" ]; then
    exists "$node" || fail "there is no container $name-$node" "\`$0 start\` makes it" 23
    docker logs "${options[@]}" "$name-$node" 2>&1
  else
    compose logs "${options[@]}"
  fi
}

# exec NODE [--] [COMMAND...]: as the servers' user, with the environment that it has in the local runtime.
docker_exec() {
  local node=${1:-}
  check_node "$node"
  shift
  [ "${1:-}" != -- ] || shift
  need_cluster
  local terminal=(-i)
  [ ! -t 0 ] || [ ! -t 1 ] || terminal+=(-t)
  docker exec "${terminal[@]}" --user postgres --env PGHOST=/var/run/postgresql --env PGPORT=5432 \
    --env "PGUSER=$(setting POSTGRES_USER postgres)" --env "PGDATABASE=$(setting POSTGRES_DB testdb)" \
    "$name-$node" "${@:-bash}"
}

docker_psql() {
  local node=${1:-}
  [ $# -eq 0 ] || shift
  [ "${1:-}" != -- ] || shift
  docker_exec "$node" -- psql "$@"
}

# console [--token | --get PATH] [--json]
docker_console() {
  local words=() url
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
      *) fail "console does not know $1" "" 21 ;;
    esac
    shift
  done
  need_cluster
  [[ " ${wanted[*]} " == *" console "* ]] ||
    fail "cluster $name has no console (CONSOLE_PORT=0)" "give it a port in .env, then \`$0 restart\`" 23
  if [ ${#words[@]} -gt 0 ]; then
    docker exec "$name-console" pgrevive container "${words[@]}"
    return
  fi
  url="http://$(address_here CONSOLE_LISTEN):$(setting CONSOLE_PORT 8080)/"
  if [ "$(state_of console '{{.State.Running}}')" != true ]; then
    echo "$url  (does not run)"
    return 1
  fi
  echo "$url"
}

docker_command() {
  local command=$1 word
  shift
  docker_prepare
  case "$command" in psql|exec) ;; *)
    for word in "$@"; do
      case "$word" in --help|-h) image_says "$command" --help; return ;; esac
    done ;;
  esac
  case "$command" in
    start) docker_start "$@" ;;
    stop) docker_stop "$@" ;;
    restart) docker_restart "$@" ;;
    rebuild) docker_rebuild "$@" ;;
    switchover)
      fail "switchover exchanges the directories of two nodes, and with RUNTIME=docker each is a volume of its own" \
        "\`$0 restart primary\` starts its server anew, \`$0 rebuild\` makes the replica anew; for one that takes over use RUNTIME=local" 21 ;;
    status|test) look "$command" "$@" ;;
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
    *) fail "there is no command '$command'" "\`$0 help\` lists all commands" 21 ;;
  esac
}
