#!/bin/sh
# Runs the benchmark: `npm run bench [-- options]`. If needed, first installs the other programs and builds.
set -eu
cd "$(dirname "$0")/.."

# The programs needed and the packages that hold them: restic is the peer, rsync verifies restores, zstd is the limit.
missing=''
need() {
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need restic restic
need rsync rsync
need zstd zstd
need rdiff rdiff
case " $* " in
*' borg '* | *'=borg '* | *' --releases '* | *' --mount '*) need borg borgbackup ;;
esac
case " $* " in
*' --history '* | *' --history='*) need git git ;;
esac

if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then
    as_root=''
  else
    as_root='sudo'
  fi
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v ${as_root:-sh} >/dev/null 2>&1; then
    echo "bench: please install:$missing" >&2
    exit 1
  fi
  echo "bench: installing$missing with apt-get" >&2
  # The lists of packages may be missing or old.
  # shellcheck disable=SC2086 # Words are meant to be split.
  $as_root apt-get install -y $missing >&2 ||
    { $as_root apt-get update >&2 && $as_root apt-get install -y $missing >&2; }
fi

# The file .built shows if the build is up to date. Neither the age of the compiler's output nor that of its notes shows
# this: the compiler rewrites only files that differ, and a mere type check renews the notes.
stamp=dist/bench/.built
if [ ! -e dist/bench/main.js ]; then
  # If the compiler found its notes, it would not write again the files that it has written before.
  rm -f dist/.tsbuildinfo "$stamp"
fi
if [ ! -e "$stamp" ] ||
  [ -n "$(find bench src tsconfig.json -newer "$stamp" \( -name '*.ts' -o -name '*.json' \) | head -n 1)" ]; then
  echo 'bench: building' >&2
  npm run --silent build >&2
  touch "$stamp"
fi

# Processes share the pages of a program file, and each is charged only its part. To charge a Node program fully, the
# benchmark runs on a copy of the node binary, whose pages it shares with no other program.
node=$(node -p process.execPath)
cmp -s "$node" dist/bench/node || cp "$node" dist/bench/node

exec dist/bench/node dist/bench/main.js "$@"
