# RUNTIME=docker: what Compose is told, the image, and pgrevive in containers of its own. Sourced by docker-runtime.sh.

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
  unset DOCKER_REPO_READ_ONLY "${!COMPOSE_@}"
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

# Wherever it is called: v1 takes the compose file of the working directory, or of one above that, before
# the project's.
compose() {
  (cd "$here" && exec "${compose_program[@]}" --project-directory "$here" --env-file "$here/docker/env" "$@")
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
  hand_over=(-e "PGREVIVE_FRONT_DOOR=$door" -e "TZ=$TZ")
  [ -t 1 ] && [ -z "$json_errors" ] && [ "${TERM:-dumb}" != dumb ] || return 0
  size=$(stty size </dev/tty 2>/dev/null) || return 0
  [ "$size" = "0 0" ] || hand_over+=(-e "PGREVIVE_TERMINAL=${size#* }x${size% *}")
}

# What the restore service sees, whose container may be gone. Not a volume that there is not: Docker would make
# it, and as nobody's.
tell_mounts() {
  local node path said
  said=$(cluster_volumes) || exit
  mounts=()
  mount_bound "$env_file" /etc/pgrevive/env
  for node in primary replica; do
    mount_volume "${node}_data" "/pgrevive/$node"
    mount_volume "${node}_logs" "/pgrevive/$node/logs"
  done
  for path in "${S3_CA_FILE:-}" "${WAL_ARCHIVE_S3_CA_FILE:-}" "${REPO_PATH:-}"; do
    [ ! -e "$path" ] || mount_bound "$path" "$path"
  done
}
# Where it is among those that were said.
mount_volume() {
  [[ $'\n'$said$'\n' != *$'\n'"${volumes}_$1"$'\n'* ]] || mounts+=(-v "${volumes}_$1:$2")
}
# The words of a mount are a line of CSV, and a path may have commas.
mount_bound() {
  mounts+=(--mount "type=bind,readonly,\"source=${1//\"/\"\"}\",\"target=${2//\"/\"\"}\"")
}

# pgrevive with everybody's volumes, beside the running nodes; `test` on the host's own network, where users
# are, whose way is by the published ports.
look() {
  local input=() network=none mounts image address
  need_cluster
  refuse_other_volumes
  image=$(our_image) || exit
  docker image inspect "$image" >/dev/null 2>&1 ||
    fail "the image $image of cluster $name is not in this Docker" "\`$door start\` builds it"
  tell_mounts
  [ -z "$(our_network)" ] || network=$name-network
  [ "$1" != follow ] || input=(-i)
  if [ "$1" = test ]; then
    network=host
    address=$(address_here DOCKER_LISTEN)
    set -- "$@" --published "${address//[\[\]]/}"
  fi
  docker run --rm --pull never "${input[@]}" --label "$looks_at" "${mounts[@]}" --network "$network" \
    "${hand_over[@]}" "$image" container "$@"
}

# pgrevive as the restore service would run it, in a container of its own. Compose v1 adds its exit
# code as a line. Where there is no cluster, nothing stays of what Compose makes for that.
alone() {
  local volume network= code=0 cut_off=
  refuse_others
  need_image
  volume=$(cluster_volumes) || exit
  if [ -z "$volume" ]; then
    alone_here
    volume=$(cluster_volumes) || exit
    network=$(our_network) || exit
  fi
  if [ -z "$volume" ]; then
    # Which end what is asked, and not who removes its traces.
    trap 'cut_off=130' INT
    trap 'cut_off=129' HUP
    trap 'cut_off=143' TERM
  fi
  {
    compose run --rm --no-deps -T "${hand_over[@]}" postgres-cluster-restore "$@" 2>&1 >&3 3>&- </dev/null |
      (trap '' INT HUP TERM; exec grep -vE '^(Creating|Starting) |^ ?(Network|Volume|Container) [^ ]+ +[A-Z]|^[0-9]+$') \
        >&2 3>&- || code=${PIPESTATUS[0]}
  } 3>&1
  if [ -z "$volume" ]; then
    trap '' INT HUP TERM
    remove_traces "$network"
    trap - INT HUP TERM
    [ -z "$cut_off" ] || exit "$cut_off"
  fi
  not_alone_here
  return $code
}

# What needs neither settings nor a cluster.
image_says() {
  need_image
  docker run --rm --pull never --network none "${hand_over[@]}" "${DOCKER_IMAGE:-pgrevive}" "$@"
}
