# Made by scripts/make-docs.mjs from the table of settings; do not edit.
# bash: source it, or put it where bash-completion looks for completions/tardisd.

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

_tardis_complete_tardisd() {
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

    case $option in
      --database | -D) kind='dirs' ;;
      --port | --timeout | --address | --client | -C | --local | --new-hosts-at-once | --umask | --user | --group | --waste | --priorities | --keep-periods | --keep-last | --keep-hourly | --keep-daily | --keep-weekly | --keep-monthly | --keep-yearly | --keep-within | --keep-tag | --hook-failure | --hook-timeout | --mail-to | --mail-from | --mail-command | --overdue-after | --overdue-for | --hook-overdue | --metrics-port | --metrics-address) kind='any' ;;
      --profile) kind='words auto pi desktop' ;;
      --certfile | --keyfile | --config | --logfile | --pidfile | --metrics-file) kind='files' ;;
    esac
    options='--database -D --port --timeout --profile --json --explain-config --ssl --nossl --insecure-tcp --insecure-network --address --certfile --keyfile --make-certificate --require-password --config --client -C --local --single --allow-new-hosts --new-hosts-at-once --logfile --verbose -v --log-exceptions --umask --daemon --pidfile --user --group --waste --priorities --keep-periods --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within --keep-tag --hook-failure --hook-timeout --mail-to --mail-from --mail-command --overdue-after --overdue-for --hook-overdue --metrics-file --metrics-port --metrics-address --profile-sessions --help --version'
    rest='any'
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
complete -F _tardis_complete_tardisd tardisd
