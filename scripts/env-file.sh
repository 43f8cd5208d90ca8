# The file of settings as shells need it: `setting` reads $env_file by the rules that pgrevive has for it
# (src/cli/env_file.h). Sourced.

# without_blanks TEXT: sets trimmed to it.
without_blanks() {
  trimmed=${1#"${1%%[![:space:]]*}"}
  trimmed=${trimmed%"${trimmed##*[![:space:]]}"}
}

# What stands behind a '=': sets value. What pgrevive refuses comes out as nothing.
read_value() {
  local text rest
  without_blanks "$1"
  text=$trimmed
  value=
  case "$text" in
    \'*)
      text=${text#?}
      [[ $text != *\'* ]] || value=${text%%\'*} ;;
    \"*)
      rest=${text#?}
      text=
      while [ -n "$rest" ]; do
        case "$rest" in
          \"*) value=$text; return ;;
          \\n*) text+=$'\n' rest=${rest#??} ;;
          \\t*) text+=$'\t' rest=${rest#??} ;;
          \\[\"\\\$]*) text+=${rest:1:1} rest=${rest#??} ;;
          *) text+=${rest:0:1} rest=${rest#?} ;;
        esac
      done ;;
    \#*) ;;
    *)
      text=${text%%[$' \t']#*}
      without_blanks "$text"
      value=$trimmed ;;
  esac
}

# setting NAME [DEFAULT]: of the first line that has it, and what there is instead where it is empty.
setting() {
  local line value= trimmed
  while IFS= read -r line || [ -n "$line" ]; do
    case "$line" in *"$1"*=*) ;; *) continue ;; esac
    line=${line#$'\xef\xbb\xbf'}
    without_blanks "$line"
    line=$trimmed
    case "$line" in export[$' \t']*) line=${line#export} ;; esac
    without_blanks "${line%%=*}"
    [ "$trimmed" = "$1" ] || continue
    read_value "${line#*=}"
    break
  done 2>/dev/null <"$env_file" || true
  printf '%s\n' "${value:-${2:-}}"
}
