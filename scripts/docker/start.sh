# RUNTIME=docker: `start`. Sourced by docker-runtime.sh.

# An override of the compose file may have taken the health check away: it is up then as soon as it runs.
health_of='{{if .State.Health}}{{.State.Health.Status}}{{else if .State.Running}}healthy{{end}}'

is_up() {
  local node state
  for node in "${wanted[@]}"; do
    state=$(state_of $node "$health_of") || exit
    [ "$state" = healthy ] || return
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

# What comes in by IPv6 Docker's proxy hands on, as if it came from the containers' own network.
warn_of_proxy() {
  case "${DOCKER_LISTEN:-}" in
    '[::1]') ;;
    *:*) echo "warning: the servers listen on $DOCKER_LISTEN (DOCKER_LISTEN), and ALLOWED_NETWORKS keeps nobody out" \
      "who comes by IPv6: only the password does" >&2 ;;
  esac
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

# Which `stop` takes away from every start that is under way, from its first look at what there is on: by that
# one knows that it has nothing more to do, wherever it runs.
token=
take_token() {
  token=$(docker volume create --label "pgrevive.cluster=$name" --label "com.docker.compose.project=$project" \
    --label pgrevive.start=yes "${volumes}_start_$$_$(date +%s)")
}
tokens() { docker volume ls -q "${ours[@]}" --filter label=pgrevive.start=yes || no_answer "volume ls failed"; }
# Which a daemon that does not answer has not taken away.
has_token() {
  local said
  said=$(docker volume inspect "$token" 2>&1 >/dev/null) || [[ ${said,,} != *"no such volume"* ]]
}
stopped_meanwhile() { fail "the cluster was stopped before it was up" "\`$door start\` goes on" 31; }
drop_token() { docker volume rm "$token" >/dev/null 2>&1 || true; }
# One that ends now removes its own.
drop_tokens() { [ -z "$1" ] || docker volume rm $1 >/dev/null 2>&1 || true; }

# Waits until the restore's container has ended, and says its exit code. That `docker wait` fails is not
# that end: a daemon is restarted, or has too much to do.
end_of_restore() {
  local state unknown=0
  while [ $unknown -lt 600 ]; do
    docker wait "$name-restore" >/dev/null 2>&1 || sleep 1
    state=$(state_of restore '{{.State.Status}} {{.State.ExitCode}}' 2>/dev/null) || state=unknown
    case "$state" in
      exited\ *|dead\ *) echo "${state#* }"; return ;;
      '') echo 31; return ;;  # removed, by who wants no cluster
      running\ *|paused\ *) unknown=0 ;;
      *) unknown=$((unknown + 1)) && sleep 1 ;;
    esac
  done
  echo 29
}

# Whoever looks into their logs is to find it there too. Those that run are none of its business.
let_nodes_say_why() {
  local node silent=()
  for node in primary replica; do
    runs $node || silent+=("postgres-cluster-$node")
  done
  [ ${#silent[@]} -eq 0 ] || compose up -d --no-deps "${silent[@]}" >/dev/null 2>&1 </dev/null || true
}

# Once there is something to run. The log stays where it has something to say: that a restore failed
# is said by that.
start_nodes() {
  local code
  trap '' HUP
  trap drop_token EXIT
  code=$(end_of_restore)
  # Whoever removes the cluster waits for what is being made, and it for him.
  alone_here
  has_token || code=31
  if [ "$code" != 0 ]; then
    rm -f "$1"
    # Not where it was stopped: then they are to be stopped too. One that was killed was not.
    case "$code" in 31|130|143) ;; *) let_nodes_say_why ;; esac
    exit "$code"
  fi
  rest_nodes
  # Another start may have made the same containers at the same moment.
  bring_up </dev/null || { : >"$1"; bring_up </dev/null; } || code=$?
  if ! has_token; then
    take_back
    rm -f "$1"
    exit 31
  fi
  not_alone_here
  # The primary's container does it, now or as soon as it runs.
  [ $code != 0 ] || [ -z "$2" ] || look reindex || code=$?
  [ $code != 0 ] || rm -f "$1"
  exit $code
}

# What was brought up while somebody stopped the cluster; or, by another checkout and so beside the lock,
# removed it: then Compose has made its volumes anew, which nobody wants.
take_back() {
  local found image
  found=$(tokens) || exit
  image=$(our_image) || exit
  # Only what has no data in it is nobody's.
  if [ -z "$found" ] && ! exists restore && docker run --rm --pull never --network none --label "$looks_at" \
      -v "${volumes}_primary_data:/v" --entrypoint test "$image" ! -e /v/pgdata; then
    remove_ours
  else
    stop_services 120
  fi
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
        [ $# -gt 0 ] || fail "$word: 1 required TEXT missing" "\`$door start --help\` lists the options" 21
        told+=("$word=$1")
        shift ;;
      --set=*|--type=*|--target=*|--target-timeline=*|--target-exclusive) told+=("$word") ;;
      *) unknown start "$word" ;;
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
    ! runs restore || TZ=$(sed -n 's/^TZ=//p' <<<"$environment")
  fi
  export PGREVIVE_START_WORDS=${PGREVIVE_START_WORDS:-}
}

# Whoever stops looking does not stop the work.
interrupted=
leave_to_itself() {
  [ -z "$json_errors" ] ||
    fail "left to itself: it goes on" "\`$door status\` shows how far it is, \`$door stop\` ends it" 31
  printf '\nleft to itself: it goes on. `%s status` shows how far it is, `%s stop` ends it\n' "$door" "$door"
  exit 31
}

docker_start() {
  local detach= preview= json= reindex= anew= yes= told=() began ran= rest code ended log services there=${there:-} i
  start_options "$@"
  [ -n "$there" ] || there=$(cluster_volumes)
  refuse_others
  tell_words
  if [ -n "$preview" ]; then
    alone container preview ${json:+--json}
    return
  fi
  # What a person would be shown goes where messages go.
  [ -z "$json" ] || exec 3>&1 1>&2
  take_token
  trap 'wake_rested; drop_token' EXIT
  warn_of_proxy
  check_ports
  [ -z "$anew" ] || make_way
  need_image
  ! is_up || ran=yes
  # What is wrong with them has to be known before anything is made.
  if [ -z "$anew" ]; then
    [ -z "$there" ] || alone_here
    refuse_removed
    part alone container check
  fi
  if [ -n "$ran" ] && [ -n "$detach" ]; then
    alone_here
    refuse_removed
    has_token || stopped_meanwhile
    quietly bring_up
    has_token || { take_back; stopped_meanwhile; }
    not_alone_here
    [ -z "$reindex" ] || part look reindex
    echo "$name is being looked after already"
    started
    return
  fi
  [ -n "$ran" ] || [ -n "$detach" ] || echo "starting $name in containers"
  began=$(date +%s)000
  alone_here
  refuse_removed
  has_token || stopped_meanwhile
  rest_nodes
  # What can be wrong with image and file shows here, also where nobody waits for the rest.
  services=(postgres-cluster-restore)
  [[ " ${wanted[*]} " != *" console "* ]] || services+=(postgres-cluster-console)
  quietly compose up -d --no-deps "${services[@]}"
  not_alone_here
  has_token || { stop_services 120; stopped_meanwhile; }
  # Whoever stops looking, or goes away with his terminal, must not keep the nodes from being started:
  # a process group of its own hears of neither.
  log=$(mktemp /tmp/pgrevive-start.XXXXXX)
  set -m
  start_nodes "$log" "$reindex" >>"$log" 2>&1 </dev/null 3>&- 4>&- &
  rest=$!
  trap - EXIT
  set +m
  if [ -n "$detach" ]; then
    echo "$name is being brought up; \`$door status\` shows how far it is"
    started
    return
  fi
  trap 'interrupted=yes' INT
  code=0
  (trap 'exit 130' INT; end_of_restore) | part look follow --since-ms "$began" || code=$?
  # For programs it has not said so.
  [ $code != 31 ] || { [ -z "$interrupted" ] || [ -z "$json_errors" ] || leave_to_itself; exit $code; }
  # A key that was pressed behind the last look of `follow` came to nobody else.
  [ -z "$interrupted" ] || leave_to_itself
  ended=0
  wait $rest || ended=$?
  if [ $ended != 0 ]; then
    [ -z "$interrupted" ] || leave_to_itself
    [ $ended != 31 ] || stopped_meanwhile
    [ $code = 0 ] || exit $code
    cat "$log" >&2 2>/dev/null || true
    rm -f "$log"
    fail "Compose failed" "what it says of that is above"
  fi
  [ $code = 0 ] || exit $code
  # Of a start that restored nothing there is still all to be shown.
  shown=
  if [ -z "$ran" ]; then
    trap '[ -z "$shown" ] || kill -- "-$shown" 2>/dev/null || true' EXIT
    set -m
    part look follow-nodes --since-ms "$began" &
    shown=$!
    set +m
  fi
  wait_for_health
  if [ -n "$shown" ]; then
    for ((i = 0; i < 50; i++)); do kill -0 "$shown" 2>/dev/null && sleep 0.1 || break; done
    kill -- "-$shown" 2>/dev/null || true
    wait "$shown" || true
    shown=
    trap - EXIT
  fi
  [ -z "$reindex" ] || part look reindexing || code=$?
  [ $code = 0 ] || exit $code
  trap - INT
  [ -z "$ran" ] || echo "$name was running already"
  part look report ${reindex:+--reindexed}
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
  local node state
  for node in primary replica; do
    state=$(state_of $node '{{.State.Restarting}}') || exit
    [ "$state" = true ] || continue
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

# The key that ends the looking ends the question that Docker was just asked as well.
no_answer_while_waiting() {
  local code=$?
  [ -z "$interrupted" ] || leave_to_itself
  exit $code
}

wait_for_health() {
  local node state said first waited
  for node in "${wanted[@]}"; do
    first=$(state_of $node '{{.RestartCount}}') || no_answer_while_waiting
    waited=0
    while :; do
      state=$(state_of $node "{{.State.Status}} {{.RestartCount}} $health_of") || no_answer_while_waiting
      said=${state##* }
      if [ "$said" = healthy ]; then
        # It is that before its supervisor has gone over all that `status` tells of.
        waited=0
        while [ $waited -lt 120 ] && [ -z "$interrupted" ] &&
          docker exec "$name-$node" pgrevive container coming-up "$node" 2>/dev/null; do
          waited=$((waited + 1))
          sleep 1 || true
        done
        break
      fi
      [ -z "$interrupted" ] || leave_to_itself
      [ -n "$state" ] || fail "the container $name-$node is gone" "\`$door start\` makes it again" 23
      case "$state" in
        running\ "$first"\ *|created\ "$first"\ *)
          # One that recovers from a crash takes the time that it takes. Of one that is up the probes may
          # be late for a while.
          waited=$((waited + 1))
          [ "$said" = starting ] || waited=$((waited + 9))
          [ $waited -ge 600 ] || { sleep 1 || true; continue; }
          waited=0
          ! docker exec "$name-$node" pgrevive container coming-up "$node" 2>/dev/null || continue ;;
        exited\ *\ *)
          # By somebody else; one that ends by itself Docker starts again.
          ended_too_early "$node" || fail "$name-$node was stopped before it was up" "\`$door start\` starts it" 31 ;;&
        restarting\ *|exited\ *)
          if ended_too_early "$node"; then
            quietly docker stop "$name-$node"
            quietly docker start "$name-$node"
            first=$(state_of $node '{{.RestartCount}}') || no_answer_while_waiting
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
  up=$(state_of primary '{{.State.Running}}') || exit
  part alone container check-anew
  if [ -z "$yes" ]; then
    printf 'This throws the data of cluster %s away and makes it anew of the source'"'"'s backups, which\n' "$name"
    printf "cannot be undone. Type the cluster's name to go on: "
    read -r answer || echo
    [ "$answer" = "$name" ] ||
      fail "nothing was changed" "type the name of the cluster, or use --yes where nobody can be asked" 31
  fi
  has_token || stopped_meanwhile
  stop_services 120
  part alone container make-way || code=$?
  if [ $code != 0 ]; then
    tell_mounts
    if docker run --rm --pull never --label "$looks_at" "${mounts[@]}" --entrypoint test "$(our_image)" \
        -e /pgrevive/primary/pgrevive/makes-way; then
      # Programs were told already, unless it was killed.
      [ $code -lt 20 ] || [ $code -gt 31 ] || json_errors=
      fail "the old data is not all gone yet" "\`$door start\` goes on, and makes the new cluster" $code
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
