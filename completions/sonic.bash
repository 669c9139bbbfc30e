# Made by scripts/make-docs.mjs from the table of settings; do not edit.
# bash: source it, or put it where bash-completion looks for completions/sonic.

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

_tardis_complete_sonic() {
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
  local sub=${words[1]}
  ((${#words[@]} > 2)) || sub=
  case $sub in
  create)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --password-memory | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --profile --json --explain-config --password -P --password-file -F --password-prog --crypt --nocrypt --trust-store --keys --password-memory --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  clients)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --overdue-after) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --overdue-after --help --version'
    rest='any'
    ;;
  list)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --long -l --help --version'
    rest='any'
    ;;
  rebuild)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
      --job | --password | -P | --password-prog | --umask) kind='any' ;;
    esac
    options='--database -D --client -C --config --job --progress --noprogress --json --explain-config --password -P --password-file -F --password-prog --trust-store --keys --umask --from-backup --packs-only --help --version'
    rest='any'
    ;;
  check)
    case $isBehind$option in 0--password | 0-P | 0--read-data) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --read-data | --read-data-age) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --progress --noprogress --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --read-data --read-data-age --mark --nomark --against-source --help --version'
    rest='any'
    ;;
  setpass)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --password-memory | --server | --umask) kind='any' ;;
      --config | --password-file | -F) kind='files' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --profile --json --explain-config --password -P --password-file -F --password-prog --trust-store --password-memory --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  chpass)
    case $isBehind$option in 0--password | 0-P | 0--newpassword) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --password-memory | --newpassword | --newpassword-prog | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys | --newpassword-file) kind='files' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --profile --json --explain-config --password -P --password-file -F --password-prog --trust-store --keys --password-memory --newpassword --newpassword-file --newpassword-prog --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  rotate)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  rekey)
    case $isBehind$option in 0--password | 0-P | 0--newpassword) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --config | --password-file | -F | --newpassword-file) kind='files' ;;
      --job | --password | -P | --password-prog | --password-memory | --newpassword | --newpassword-prog | --umask) kind='any' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --config --job --progress --noprogress --profile --json --explain-config --password -P --password-file -F --password-prog --trust-store --password-memory --newpassword --newpassword-file --newpassword-prog --umask --yes --verify --noverify --accept-damage --abort --help --version'
    rest='any'
    ;;
  encrypt)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --config | --password-file | -F) kind='files' ;;
      --job | --password | -P | --password-prog | --password-memory | --umask) kind='any' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --config --job --progress --noprogress --profile --json --explain-config --password -P --password-file -F --password-prog --trust-store --password-memory --umask --all --yes --verify --noverify --accept-damage --abort --help --version'
    rest='any'
    ;;
  keys)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys | --pdf) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --trust-store --keys --extract --insert --pdf --qr --remove --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  account)
    case $isBehind$option in 0--password | 0-P | 0--newpassword) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --config | --password-file | -F | --newpassword-file) kind='files' ;;
      --job | --password | -P | --password-prog | --add | --change | --remove | --rights | --password-memory | --newpassword | --newpassword-prog | --umask) kind='any' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --config --job --profile --json --explain-config --password -P --password-file -F --password-prog --add --change --remove --rights --trust-store --password-memory --newpassword --newpassword-file --newpassword-prog --umask --help --version'
    rest='any'
    ;;
  delete)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --waste) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --progress --noprogress --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --yes --dry-run -n --clear-up --noclear-up --waste --help --version'
    rest='live sets'
    ;;
  purge)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --waste | --priorities | --keep-periods | --keep-last | --keep-hourly | --keep-daily | --keep-weekly | --keep-monthly | --keep-yearly | --keep-within | --keep-tag | --before | --priority) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --progress --noprogress --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --yes --dry-run -n --clear-up --noclear-up --waste --priorities --keep-periods --keep-last --keep-hourly --keep-daily --keep-weekly --keep-monthly --keep-yearly --keep-within --keep-tag --before --priority --preview --trust-clock --help --version'
    rest='any'
    ;;
  forget-path)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --password-memory | --server | --umask | --undo-period | --undo) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
      --profile) kind='words auto pi desktop' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --progress --noprogress --profile --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --password-memory --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --verify --noverify --accept-damage --preview --undo-period --list --undo --finish --now --abort --yes --dry-run -n --help --version'
    rest='live paths'
    ;;
  orphans)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --waste) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --progress --noprogress --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --waste --help --version'
    rest='any'
    ;;
  diff)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --reconnect | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --reconnect --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --metadata -M --help --version'
    rest='files'
    ;;
  files)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --since) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --since --long -l --fullpath -f --dirs --bytes --checksums -c --inode -i --help --version'
    rest='live sets'
    ;;
  info)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='live sets'
    ;;
  stats)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='any'
    ;;
  getconfig)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --help --version'
    rest='files'
    ;;
  setconfig)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --remove --help --version'
    rest='files'
    ;;
  upgrade)
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --config) kind='files' ;;
      --job | --umask) kind='any' ;;
    esac
    options='--database -D --client -C --config --job --json --explain-config --trust-store --umask --dry-run -n --help --version'
    rest='any'
    ;;
  tag)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --add | --remove) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --add --remove --help --version'
    rest='live sets'
    ;;
  lock)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --unlock --help --version'
    rest='live sets'
    ;;
  priority)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --to) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --to --help --version'
    rest='live sets'
    ;;
  rename)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask | --to) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --to --help --version'
    rest='live sets'
    ;;
  expendable)
    case $isBehind$option in 0--password | 0-P) option= ;; esac
    case $option in
      --database | -D) kind='dirs' ;;
      --client | -C) kind='live clients' ;;
      --port | --timeout | --job | --password | -P | --password-prog | --account | --server | --umask) kind='any' ;;
      --config | --password-file | -F | --keys) kind='files' ;;
    esac
    options='--database -D --client -C --port --timeout --config --job --json --explain-config --password -P --password-file -F --password-prog --account --trust-store --keys --server --ssl --nossl --validate-certs --novalidate-certs --insecure-tcp --insecure-network --umask --dry-run -n --not --help --version'
    rest='live sets'
    ;;
  *)
    options='--help --version'
    rest='words create clients list rebuild check setpass chpass rotate rekey encrypt keys account delete purge forget-path orphans diff files info stats getconfig setconfig upgrade tag lock priority rename expendable'
    ((${#words[@]} > 2)) && rest=any
    ;;
  esac
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
complete -F _tardis_complete_sonic sonic
