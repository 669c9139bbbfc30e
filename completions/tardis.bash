# Made by scripts/make-docs.mjs from the table of settings; do not edit.
# bash: source it, or put it where bash-completion looks for completions/tardis.

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

_tardis_complete_tardis() {
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

    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D | --exclude-dir) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --reconnect | --job | --workers | --server | --local-server-cmd | --name | --password | -P | --password-prog | --account | --password-memory | --exclude | -x | --exclude-file-name | --local-exclude-file-name | --skip-file | --max-file-size | --maxdepth | --budget | --link-budget | --budget-items | --parcel-files | --parcel-size | --frame-size | --small-size | --walk-concurrency | --hash-concurrency | --compress-concurrency | --stream-concurrency | --compress-level | --change-level | --change-frame-size | --change-size | --compress-min | --nocompress | --checksum-content | --bandwidth-limit | --tag | --priority | --hook-before | --hook-after | --hook-failure | --hook-warning | --hook-timeout | --url-start | --url-success | --url-failure | --url-timeout | --mail-to | --mail-from | --mail-command) kind='any' ;;
      --config | --local-config | --logfile | --password-file | -F | --keys | --exclude-file | -X | --global-exclude-file | --explain | --filter-file | --efilter-file | --kept-as | --nocompress-file) kind='files' ;;
      --profile) kind='words auto pi desktop' ;;
      --def-crypt) kind='words auto aes chacha none' ;;
      --basepath) kind='words full common none' ;;
      --compress-data) kind='words zstd none zlib snappy' ;;
      --compress-msgs) kind='words none snappy' ;;
      --url-method) kind='words GET POST' ;;
    esac
    options='--database -D --client -C --port --timeout --reconnect --config --job --progress --noprogress --profile --workers --json --explain-config --server --local --nolocal --local-config --local-server-cmd --create --name --send-config --nosend-config --stats --nostats --verbose -v --report --noreport --logfile --full --nofull --send-sig --password -P --password-file -F --password-prog --crypt --nocrypt --account --trust-store --keys --password-memory --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --exclude -x --exclude-file -X --exclude-dir --global-exclude-file --ignore-global-excludes --noignore-global-excludes --exclude-file-name --local-exclude-file-name --skip-file --skip-caches --noskip-caches --cvs-ignore --nocvs-ignore --exclude-no-access --noexclude-no-access --exclude-nodump --noexclude-nodump --max-file-size --explain --filter-file --make-sample-filter-file --efilter-file --def-crypt --crossdevice --nocrossdevice --maxdepth --basepath --kept-as --trust-roots --dry-run -n --budget --link-budget --budget-items --parcel-files --parcel-size --frame-size --small-size --walk-concurrency --hash-concurrency --compress-concurrency --stream-concurrency --compress-data --compress-level --change-level --change-frame-size --change-size --compress-min --nocompress --nocompress-file --checksum-content --bandwidth-limit --compress-msgs --tag --priority --expendable --noexpendable --purge --nopurge --hook-before --hook-after --hook-failure --hook-warning --hook-timeout --url-start --url-success --url-failure --url-method --url-timeout --mail-to --mail-from --mail-command --help --version'
    rest='files'
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
complete -F _tardis_complete_tardis tardis
