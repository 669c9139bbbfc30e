#!/bin/sh
# Shows the whole way once: `npm run quickstart -- [--keep] [DIR]`. Sets the checkout up, backs DIR up
# into a new local store, lists it, restores it beside, compares, and prints what it all took.
set -eu
here=$(pwd)
# npm runs scripts in the checkout, but paths are relative to the directory of the user.
[ "${npm_lifecycle_event:-}" != quickstart ] || here=${INIT_CWD:-$here}
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)

usage() {
  echo 'usage: npm run quickstart -- [--keep] [DIR]   (--keep: leave the store and the restored copy)'
}
fail() {
  echo "quickstart: $*" >&2
  exit 1
}

keep=no
tree=''
for argument in "$@"; do
  case $argument in
  --keep) keep=yes ;;
  -h | --help)
    usage
    exit 0
    ;;
  -*)
    usage >&2
    exit 1
    ;;
  '') fail 'the directory has no name' ;;
  *)
    [ -z "$tree" ] || fail 'name one directory only'
    tree=$argument
    ;;
  esac
done

sh "$root/scripts/setup.sh"

# --- What to back up ---------------------------------------------------------------------------
count_files() { find "$1" -type f 2>/dev/null | wc -l; }
if [ -z "$tree" ]; then
  tree=/usr/share/doc
  if [ ! -d $tree ] || [ "$(count_files $tree)" -le 500 ]; then
    tree=$root/node_modules
  fi
fi
cd "$here"
[ -d "$tree" ] || fail "$tree is not a directory"
tree=$(cd "$tree" && pwd -P) || fail "$tree cannot be opened"
[ "$tree" != / ] || fail 'name a directory below /; the store would be a part of what it holds'

files=$(count_files "$tree")
bytes=$(find "$tree" -type f -printf '%s\n' 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f", sum }')

human() { # BYTES
  awk -v bytes="$1" 'BEGIN {
    split("B kB MB GB TB", unit, " ")
    for (i = 1; bytes >= 1000 && i < 5; i++) bytes /= 1000
    printf(i == 1 ? "%d %s" : "%.1f %s", bytes, unit[i])
  }'
}

# --- Where it goes -----------------------------------------------------------------------------
below=$(cd "${TMPDIR:-/tmp}" && pwd -P)
case $below/ in
"$tree"/*) fail "the store would be inside of $tree; set TMPDIR to a directory elsewhere" ;;
esac
free_kib=$(df -Pk "$below" | awk 'NR == 2 { print $4 }')
[ "$free_kib" -gt $((bytes / 1024 * 2)) ] ||
  fail "$below has too little room for a store and a copy of $tree; set TMPDIR to another directory"

place=$(mktemp -d "$below/tardis-quickstart.XXXXXX")
clean_up() {
  trap - EXIT
  if [ $keep = no ]; then
    # A restored directory may be read-only, and then only root could remove its files.
    chmod -R u+w "$place" 2>/dev/null || true
    rm -rf "$place"
  else
    echo "  kept in            $place"
  fi
}
trap clean_up EXIT
trap 'clean_up; exit 129' HUP
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

store=$place/store
out=$place/restored
mkdir "$out"
# Prints a word as a shell reads it, quoted if necessary.
quoted() { # TEXT
  case $1 in
  *[!A-Za-z0-9_./,:@%+=-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
  *) printf '%s' "$1" ;;
  esac
}
archive="-D $(quoted "$store") -C quickstart"
shown=$(quoted "$tree")

# --- The way -----------------------------------------------------------------------------------
step() {
  printf '%s\n' "$1"
  printf '  $ %s\n' "$2"
}
show() { # FILE LINES
  head -n "$2" "$1" | cut -c 1-110 | sed 's/^/  /'
  total=$(wc -l <"$1")
  [ "$total" -le "$2" ] || echo "  … and $((total - $2)) more lines"
}
# Runs a command with its output in a log, and sets `seconds` to its time. Status 3 means that it is done, but some
# files could not be read or restored. The comparison shows which.
incomplete=no
timed() { # LOG COMMAND...
  log=$1
  shift
  began_ns=$(date +%s%N)
  status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  seconds=$(awk -v ns=$(($(date +%s%N) - began_ns)) 'BEGIN { printf "%.2f", ns / 1e9 }')
  case $status in
  0) ;;
  3) incomplete=yes ;;
  *)
    tail -n 20 "$log" >&2
    fail "that failed with exit status $status"
    ;;
  esac
}

printf '\n%s: %s files, %s\n\n' "$tree" "$files" "$(human "$bytes")"

step '1. Back it up, into a new store' "tardis $archive --local --create --stats $shown"
timed "$place/first.log" "$root/bin/tardis" -D "$store" -C quickstart --local --create --stats "$tree"
first_s=$seconds
show "$place/first.log" 8
store_kib=$(du -sk "$store" | cut -f 1)

step '2. See what is there: the backup sets, and the directory' "lstardis $archive [$shown]"
timed "$place/sets.log" "$root/bin/lstardis" -D "$store" -C quickstart
show "$place/sets.log" 2
timed "$place/list.log" "$root/bin/lstardis" -D "$store" -C quickstart "$tree"
show "$place/list.log" 2

step '3. Restore it beside' "regenerate $archive -o $(quoted "$out") $shown"
timed "$place/restore.log" "$root/bin/regenerate" -D "$store" -C quickstart -o "$out" "$tree"
restore_s=$seconds
restored=$out/${tree##*/}

if command -v rsync >/dev/null 2>&1; then
  # -i makes rsync print each difference; without it, nothing is ever printed.
  set -- rsync -anHci --delete "$tree/" "$restored/"
else
  set -- diff -r --no-dereference "$tree" "$restored"
fi
step '4. Compare the two: names, contents, modes, owners, times, links' "$*"
if "$@" >"$place/compare.log" 2>&1 && [ ! -s "$place/compare.log" ]; then
  identical=yes
  echo '  (no difference)'
else
  identical=NO
  show "$place/compare.log" 2
fi

step '5. Back it up again: nothing has changed, so next to nothing is done' \
  "tardis $archive --local $shown"
timed "$place/again.log" "$root/bin/tardis" -D "$store" -C quickstart --local "$tree"
again_s=$seconds
[ $incomplete = no ] || grep -h -i 'could not' "$place"/*.log | head -n 3 | sed 's/^/  /' || true

echo
figure() { printf '  %-18s %s\n' "$1" "$2"; }
figure files "$files"
figure bytes "$bytes ($(human "$bytes"))"
figure 'store size' "$(human $((store_kib * 1024)))"
figure 'first backup' "$first_s s"
figure 'second backup' "$again_s s"
figure restore "$restore_s s"
figure identical "$identical"
[ $keep = yes ] || figure 'store and copy' 'removed; --keep leaves them'
[ $identical = yes ]
