# Made by scripts/make-docs.mjs from the table of settings; do not edit.
# bash: source it, or put it where bash-completion looks for completions/tardisfs.

# The words up to the cursor as the user sees them: bash itself cuts them at = and : too.
__tardis_words() {
  local rest=${COMP_LINE:0:COMP_POINT} at word
  words=()
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
    if ((at > 0)) && [[ -n $rest && $rest != [[:space:]]* ]]; then
      words[${#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    rest=${rest#"${rest%%[![:space:]]*}"}
    rest=${rest#"$word"}
  done
}

# Fills COMPREPLY with what begins like $2 and is of the kind $1.
__tardis_fill() {
  local kind=$1 typed=$2 value
  case $kind in
    dirs) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$typed") ;;
    files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$typed") ;;
    words\ *) mapfile -t COMPREPLY < <(compgen -W "${kind#words }" -- "$typed") ;;
    live\ paths)
      compopt -o filenames -o nospace 2>/dev/null
      while IFS=$'\t' read -r value _; do COMPREPLY+=("$value"); done < <(
        sonic complete -- paths "$typed" "${words[@]:1:${#words[@]}-2}" 2>/dev/null)
      ;;
    live\ *)
      while IFS=$'\t' read -r value _; do
        [[ $typed == [\"\']* ]] || printf -v value %q "$value"
        COMPREPLY+=("$value")
      done < <(sonic complete -- "${kind#live }" "$typed" "${words[@]:1:${#words[@]}-2}" 2>/dev/null)
      ;;
  esac
}

# Only what is behind the last = or : is taken by bash.
__tardis_cut() {
  local typed=$1 last=${COMP_WORDS[COMP_CWORD]} front at
  [[ $last == [=:] ]] && last=
  front=${typed%"$last"}
  front=${front//\\/} front=${front#[\"\']}
  for at in "${!COMPREPLY[@]}"; do COMPREPLY[at]=${COMPREPLY[at]#"$front"}; done
}

_tardis_complete_tardisfs() {
  local words typed option= value isBehind=0 kind= options= rest=any
  COMPREPLY=()
  __tardis_words
  typed=${words[-1]}
  value=$typed
  if [[ $typed == --*=* ]]; then
    option=${typed%%=*} value=${typed#*=} isBehind=1
  elif ((${#words[@]} > 2)) && [[ ${words[-2]} == -* ]]; then
    option=${words[-2]}
  fi

    case $isBehind$option in 0--password | 0-P | 0--options | 0-o) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --reconnect | --job | --workers | --server | --password | -P | --password-prog | --account | --options | -o) kind='any' ;;
      --config | --password-file | -F | --keys | --logfile) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --reconnect --config --job --workers --json --explain-config --server --password -P --password-file -F --password-prog --account --trust-store --keys --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --allow-unproven --logfile --options -o --foreground -f --allow-other --default-permissions --noexec --help --version'
    rest='live paths'
  if [[ -n $kind ]]; then
    __tardis_fill "$kind" "$value"
    ((isBehind)) && COMPREPLY=("${COMPREPLY[@]/#/$option=}")
  elif [[ $typed == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$typed")
  else
    __tardis_fill "$rest" "$typed"
  fi
  __tardis_cut "$typed"
}
complete -F _tardis_complete_tardisfs tardisfs
