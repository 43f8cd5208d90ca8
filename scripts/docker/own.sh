# RUNTIME=docker: what is this cluster's and what only has its names, and the end of what is its. Sourced by
# docker-runtime.sh.

# Of a container of ours; nothing of one that is not there, or only has the name. Fails where Docker does
# not say which it is.
state_of() {
  local said
  {
    said=$(docker container inspect --format "{{if and (eq (index .Config.Labels \"pgrevive.cluster\") \"$name\")
      (eq (index .Config.Labels \"com.docker.compose.project\") \"$project\")}}$2{{end}}" \
      "$name-$1" 2>&1 >&3 3>&-) || [[ ${said,,} == *"no such container"* ]] || no_answer "$said"
  } 3>&1
}
no_answer() { fail "Docker does not say what there is of cluster $name: $1" "once it answers, do this again"; }
# Behind these nothing goes on where it does not say so, errexit or not.
exists() {
  local id
  id=$(state_of "$1" '{{.Id}}') || exit
  [ -n "$id" ]
}
runs() {
  local state
  state=$(state_of "$1" '{{.State.Running}}') || exit
  [ "$state" = true ]
}

# Those of Compose, and those that look at it.
our_containers() {
  docker ps -aq "${ours[@]}" || no_answer "ps failed"
  docker ps -aq --filter "label=$looks_at" || no_answer "ps failed"
}
our_volumes() { docker volume ls -q "${ours[@]}" || no_answer "volume ls failed"; }
our_network() { docker network ls -q "${ours[@]}" || no_answer "network ls failed"; }

# What has one of this cluster's names and is not this cluster's, one a line, with whose it is as far as
# that is known: Compose would take it over.
not_ours() {
  local said kind what whose of line told=
  said=$(under_our_names)
  while IFS= read -r line; do
    case "${line,,}" in
      container\|*|volume\|*|network\|*) ;;
      # Of what is not there, and of the client itself.
      ''|*'no such container: '*|*'no such volume'*|*'no such network: '*|*"network ${name,,}-network not found"|'warning: '*)
        continue ;;
      *) no_answer "$line" ;;
    esac
    IFS='|' read -r kind what whose of <<<"$line"
    what=${what#/}
    [ -n "$what" ] || continue  # which stands for what is not there
    [ "$whose" = "$name" ] && [ "$of" = "$project" ] && continue
    line="$kind $what"
    if [ -n "$whose" ] && [ "$whose" != "$name" ]; then line+=" (of cluster $whose)"
    elif [ -n "$of" ]; then line+=" (of the Compose project $of)"; fi
    case $'\n'$told in *$'\n'"$line"$'\n'*) continue ;; esac
    told+=$line$'\n'
  done <<<"$said"
  printf %s "$told"
}

# That, one a line, and between it what Docker says of the names that it does not have.
under_our_names() {
  local labels='{{index .Labels "pgrevive.cluster"}}|{{index .Labels "com.docker.compose.project"}}'
  local node services containers=() data=()
  for node in restore primary replica adminer console; do containers+=("$name-$node"); done
  for node in primary replica; do data+=("${volumes}_${node}_data" "${volumes}_${node}_logs"); done
  each_that_is_there container "{{.Name}}|{{with .Config}}$labels{{end}}" "${containers[@]}"
  each_that_is_there volume "{{.Name}}|$labels" "${data[@]}"
  each_that_is_there network "{{.Name}}|$labels" "$name-network"
  # What Compose would take for a service of this cluster: that of one whose name makes the same project.
  services=$(docker ps -a --filter "label=com.docker.compose.project=$project" --format \
    '{{.Label "com.docker.compose.service"}}|{{.Names}}|{{.Label "pgrevive.cluster"}}') || echo "ps failed"
  sed -n "s/^postgres-cluster-\(restore\|primary\|replica\|adminer\|console\)|\(.*\)/container|\2|$project/p" \
    <<<"$services"
}
# It ends with 1 where one of them is not.
each_that_is_there() {
  local code=0
  docker "$1" inspect --format "$1|$2" "${@:3}" 2>&1 || code=$?
  [ $code -le 1 ] || echo "$1 inspect failed"
}

# Before anything is made, or thrown away: Compose asks nobody.
refuse_others() {
  local found
  found=$(not_ours) || exit
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
cluster_volumes() {
  # Not the token of a start that has made nothing yet.
  docker volume ls -q "${ours[@]}" --filter label=com.docker.compose.volume || no_answer "volume ls failed"
}
need_cluster() {
  local found
  found=$(cluster_volumes)
  [ -n "$found" ] || fail "there is no cluster '$name' in this Docker" "\`$door start\` makes it" 23
}
# For who has waited: what somebody has removed is not made again by a call that found it there.
refuse_removed() {
  local found
  [ -n "$there" ] || return 0
  found=$(cluster_volumes)
  [ -n "$found" ] || fail "cluster $name was removed meanwhile" "\`$door start\` makes it anew" 31
}

# Of the one that the cluster was made of, as long as that is known.
our_image() {
  local node image=
  for node in restore primary replica console adminer; do
    image=$(state_of $node '{{.Image}}') || exit
    [ -z "$image" ] || break
  done
  echo "${image:-${DOCKER_IMAGE:-pgrevive}}"
}

# One at a time is to make what there is not, and to remove it again.
alone_here() {
  exec 8<"$here/docker-compose.yml"
  command -v flock >/dev/null || return 0
  flock -n 8 || { echo "waiting for another call, which makes or removes a cluster of $here" >&2; flock 8; }
}
not_alone_here() { exec 8<&-; }

# Where there was nothing of a cluster, but for that network: what is in use is no trace, and stays.
remove_traces() {
  local found
  ! exists restore || return 0
  found=$(docker ps -aq "${ours[@]}" --filter label=com.docker.compose.oneoff=True)
  [ -z "$found" ] || docker rm -f -v $found >/dev/null 2>&1 || true
  found=$(cluster_volumes)
  [ -z "$found" ] || docker volume rm $found >/dev/null 2>&1 || true
  [ -n "$1" ] || docker network rm "$name-network" >/dev/null 2>&1 || true
}

# What there is of it by name, one a line.
what_there_is() {
  docker ps -a "${ours[@]}" --format 'container {{.Names}}' || no_answer "ps failed"
  docker volume ls "${ours[@]}" --format 'volume {{.Name}}' || no_answer "volume ls failed"
  docker network ls "${ours[@]}" --format 'network {{.Name}}' || no_answer "network ls failed"
}

# Not by Compose, which goes by names alone.
remove_ours() {
  local found
  found=$(our_containers)
  if [ -n "$found" ]; then
    # As long as the local runtime's cleanup waits.
    stop_those $((SECONDS + 600)) $found
    # One that ends by itself is being removed by Docker for a moment.
    local i
    for ((i = 0; i < 30; i++)); do
      docker rm -f -v $found >/dev/null 2>&1 || true
      found=$(our_containers) || exit
      [ -n "$found" ] || break
      sleep 1
    done
    [ -z "$found" ] || quietly docker rm -f -v $found
  fi
  found=$(our_volumes)
  [ -z "$found" ] || quietly docker volume rm $found
  found=$(our_network)
  [ -z "$found" ] || quietly docker network rm $found
}

# Asks containers to end, of which some do so by themselves meanwhile, and waits until SECONDS is the first
# word. Not by `docker stop`, which kills a server that takes longer: that is to recover then, and whoever
# waits for it learns nothing of it. Docker leaves what got a signal from somebody as ended as what it was
# told to stop.
stop_those() {
  local end=$1 asked= id signal said trouble= running
  local -A of=()
  shift
  for id in "$@"; do asked+=" --filter id=$id"; done
  said=$(docker container inspect --format '{{or .Config.StopSignal "SIGTERM"}} {{.Id}}' "$@" 2>/dev/null) || true
  while read -r signal id; do [ -z "$id" ] || of[$signal]+=" $id"; done <<<"$said"
  for signal in "${!of[@]}"; do
    said=$(docker kill -s "$signal" ${of[$signal]} 2>&1) || trouble=$'\n'$said
  done
  while :; do
    running=$(docker ps --no-trunc $asked --format '{{.Names}}') || no_answer "ps failed"
    [ -n "$running" ] || return 0
    [ $SECONDS -lt "$end" ] || break
    sleep 0.3
  done
  running=${running%%$'\n'*}
  case "$running" in
    "$name-primary"|"$name-replica") said="the server of ${running#"$name-"} is still stopping" ;;
    *) said="the container $running is still stopping" ;;
  esac
  fail "$said$trouble" "its log: docker logs $running" 30
}

# Not by Compose, for which the settings have to be whole.
stop_services() {
  local found
  found=$(services)
  [ -z "$found" ] || stop_those $((SECONDS + $1)) $found
}
services() {
  docker ps -q "${ours[@]}" --filter label=com.docker.compose.oneoff=False || no_answer "ps failed"
}

# The containers that make a node anew.
makers() {
  docker ps -q --filter label=com.docker.compose.oneoff=True --filter "volume=${volumes}_primary_data" ||
    no_answer "ps failed"
}

# What of the cluster is in none of its volumes, one a line.
what_stays() {
  local volume
  volume=$(docker volume ls -q "${ours[@]}" --filter "name=^${volumes}_primary_data$")
  [ -n "$volume" ] || return 0
  docker run --rm --pull never --label "$looks_at" --network none -v "$volume:/pgrevive/primary" "${hand_over[@]}" \
    "$(our_image)" container check-cleanup ||
    echo "warning: what it has archived elsewhere cannot be told" >&2
}

# Before anything is stopped.
check_cleanup() {
  local found one
  found=$(our_volumes) || exit
  for one in $found; do refuse_users "volume $one" -a --filter "volume=$one"; done
  found=$(our_network) || exit
  for one in $found; do refuse_users "network $name-network" --filter "network=$one"; done
}
# Whose each is it says in one look: one that is ours may be gone by the next.
refuse_users() {
  local what=$1 user found
  shift
  found=$(docker ps "$@" --format '{{.Label "pgrevive.cluster"}}|{{.Label "com.docker.compose.project"}}|{{.Label "pgrevive.looks-at"}}|{{.Names}}') ||
    no_answer "ps failed"
  while IFS= read -r user; do
    case "$user" in "$name|$project|"*|*"|${looks_at#*=}|"*|'') continue ;; esac
    user=${user##*|}
    fail "the $what is in use by a container that is not of cluster $name: $user" \
      "remove that first: docker rm -f $user" 30
  done <<<"$found"
}

docker_cleanup() {
  local answer= others stays yes= word found there
  for word in "$@"; do
    case "$word" in -y|--yes) yes=yes ;; *) unknown cleanup "$word" ;; esac
  done
  others=$(not_ours) || exit
  if [ -z "$(our_containers)$(our_volumes)$(our_network)" ]; then
    [ -z "$others" ] || fail "there is no cluster '$name' in this Docker; what has its names is not its own:
  ${others//$'\n'/$'\n'  }" "docker rm, docker volume rm and docker network rm remove what you do not need" 23
    need_cluster
  fi
  check_cleanup
  stays=$(what_stays)
  if [ -z "$yes" ]; then
    there=$(what_there_is) || exit
    printf 'This removes cluster %s with all its data, and cannot be undone:\n  %s\n' "$name" "${there//$'\n'/$'\n'  }"
    [ -z "$stays" ] || printf 'What stays: %s\n' "$stays"
    printf 'The source repository is not touched. Type yes to go on: '
    read -r answer || echo
    [ "$answer" = yes ] || fail "nothing was removed" "type the word yes, or use --yes where nobody can be asked" 31
  fi
  # A start that goes on finds that it has nothing more to do, and what it makes at this moment is there first.
  found=$(tokens)
  drop_tokens "$found"
  alone_here
  found=$(tokens)
  drop_tokens "$found"
  there=$(what_there_is) || exit
  remove_ours
  not_alone_here
  [ -z "$there" ] || printf 'removed %s\n' "${there//$'\n'/$'\n'removed }"
  [ -z "$stays" ] || echo "kept    $stays"
  [ -z "$others" ] || printf 'kept    %s, which is not of this cluster\n' "${others//$'\n'/, }"
}

# The id of a service's container that runs: by its name there may be somebody else's.
container_of() {
  local state
  state=$(state_of "$1" '{{.Id}} {{.State.Running}}') || exit
  [ -n "$state" ] || fail "there is no container $name-$1" "\`$door start\` makes it" 23
  [ "${state#* }" = true ] || fail "$name-$1 does not run" "\`$door start\` starts it" 23
  echo "${state% *}"
}
