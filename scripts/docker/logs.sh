# RUNTIME=docker: `logs`. Sourced by docker-runtime.sh.

docker_logs() {
  local node= lines=100 follow= nodes=() image now mounts=() files= places= said code=0
  while [ $# -gt 0 ]; do
    case "$1" in
      -f|--follow) follow=yes ;;
      -n|--lines)
        [ $# -gt 1 ] || fail "$1: 1 required N missing" "\`$door logs --help\` explains it" 21
        lines=$2
        shift ;;
      --lines=*) lines=${1#*=} ;;
      -n*) lines=${1#-n} ;;
      primary|replica|restore|adminer|console)
        [ -z "$node" ] || unknown logs "$1"
        node=$1 ;;
      -*) unknown logs "$1" ;;
      supervisor)
        fail "with RUNTIME=docker there is no supervisor" \
          "\`$door logs restore\` shows what made the cluster, a node's log also what looks after it" 21 ;;
      *) fail "there is no node '$1'" "it is primary, replica, restore, adminer or console" 21 ;;
    esac
    shift
  done
  [[ $lines =~ ^[0-9]{1,18}$ ]] || fail "could not convert: --lines = $lines" "\`$door logs --help\` explains it" 21
  need_cluster
  nodes=(primary replica restore adminer console)
  [ -z "$node" ] || nodes=("$node")
  said=$(cluster_volumes) || exit
  for node in "${nodes[@]}"; do
    [[ $'\n'$said$'\n' != *$'\n'"${volumes}_${node}_logs"$'\n'* ]] ||
      mounts+=(-v "${volumes}_${node}_logs:/pgrevive/$node/logs:ro")
  done
  if [ ${#mounts[@]} -gt 0 ]; then
    files=--files
  else
    exists "${nodes[0]}" || fail "there is no container $name-${nodes[0]}" "\`$door start\` makes it" 23
  fi
  image=$(our_image) || exit
  # What is followed begins where that ends.
  [ -z "$follow" ] || now=$(date +%s.%N)
  {
    said=$({ logs_there_are | show_logs --lines "$lines" $files; } 2>&1 >&5) || code=$?
  } 5>&1
  if [ $code != 0 ]; then
    printf '%s\n' "$said" >&2
    case "$code" in
      2[0-9]|30|31) exit $code ;;  # which says why
      130|141|143) exit $code ;;   # nobody looks any more
    esac
    fail "the logs of cluster $name cannot be shown" "what Docker says of that is above"
  fi
  while IFS= read -r node; do
    if [[ $node =~ ^[0-9]+\ /pgrevive/ ]]; then places+=$node$'\n'; elif [ -n "$node" ]; then echo "$node" >&2; fi
  done <<<"$said"
  [ -n "$follow" ] || return 0
  # One program each: of lines that come from several at once, long ones would be torn apart, and passwords
  # in them. They hear of no key, and end with this; the key that ends it is no failure.
  trap 'for node in $(jobs -p); do kill -- "-$node" 2>/dev/null || true; done; wait' EXIT
  trap 'exit 0' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  set -m
  [ -z "$files" ] || show_logs --follow --files --from "$places" </dev/null &
  for node in "${nodes[@]}"; do
    followed_log "$node" "$now" | show_logs --follow &
  done
  wait
}

logs_there_are() {
  for node in "${nodes[@]}"; do
    ! exists "$node" || log_of "$node" --tail "$lines" ${follow:+--until "$now"}
  done
}

# Each line with its node's name, and a tab behind that.
log_of() {
  docker logs "${@:2}" "$name-$1" 2>&1 | LC_ALL=C sed -u "s/^/$1\t/"
}

# What it says from then on, whenever it runs: also one that is started again, or that is made later.
followed_log() {
  local since=$2 run= ended= state found
  while :; do
    state=$(state_of "$1" '{{.Id}} {{.State.StartedAt}}') || exit
    if [ -n "$state" ] && [ "$state" != "$run" ]; then
      [ -z "$run" ] || since=$(between "$ended" "${state#* }")
      [ -z "$run" ] || [ "${state% *}" = "${run% *}" ] || since=0  # it is another
      run=$state
      log_of "$1" --follow --since "$since" || true
      ended=$(state_of "$1" '{{.State.FinishedAt}}') || exit
    else
      # One that is made later has said nothing yet.
      [ -n "$state" ] || { [ -n "$run" ] || since=0; }
      found=$(cluster_volumes) || exit
      [ -n "$found" ] || return 0
      sleep 0.3
    fi
  done
}
# A moment at which a container did not run: what it said last is noted a little behind its end, and what it
# says first a little before its start.
between() {
  local end start
  case "$1" in ''|0001-*) echo 0; return ;; esac
  end=$(date -d "$1" +%s%N)
  start=$(date -d "$2" +%s%N)
  end=$(((end + start) / 2))
  echo "${end%?????????}.${end: -9}"
}

# As the program in the image shows those of the local runtime: in the order of their times, with a prefix
# each, passwords masked.
show_logs() {
  local IFS=,
  docker run --rm --pull never -i --label "$looks_at" --network none "${mounts[@]}" "$image" container logs \
    "${nodes[*]}" "$@"
}
