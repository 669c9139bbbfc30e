# Sourced by the launchers beside it with $self, the launcher's real path (npm installs commands as
# links). Starts dist/bundle/NAME.js with settings that keep memory small.

name=${self##*/}
root=${self%/bin/*}

# `tardis COMMAND` is the program of that command, and `tardis help COMMAND` its help. A directory of such a name is given as ./NAME.
# `tardis backup` and help without a command go to tardis itself (src/tools/shared/commands.ts lists all).
# `tardis` alone is `tardis status`. A program learns the command by which it was started, since its messages have that name.
unset TARDIS_FRONT
if [ "$name" = tardis ]; then
  [ $# -gt 0 ] || set -- status
  if [ "${1-}" = help ]; then
    shift
    if [ $# -eq 0 ]; then set -- --help; else command=$1 && shift && set -- "$command" --help "$@"; fi
  fi
  export TARDIS_FRONT="${1-}"
  case $TARDIS_FRONT in
  restore) name=regenerate && shift ;;
  list) name=lstardis && shift ;;
  find) name=lstardis && shift && set -- --find-first "$@" ;;
  diff) name=tardiff && shift ;;
  mount) name=tardisfs && shift ;;
  web) name=tardis-web && shift ;;
  import) name=tardis-import && shift ;;
  check | purge | copy | export | clients | status | setup) name=sonic ;;
  *) TARDIS_FRONT=backup ;;
  esac
fi
entry=$root/dist/bundle/$name.js

# The node that lies beside the program, where `npm run setup` or a package has put one, else that of the system.
node=${TARDIS_NODE:-$root/runtime/bin/node}
if [ ! -f "$node" ] || [ ! -x "$node" ]; then
  if [ -n "${TARDIS_NODE-}" ]; then
    echo "${self##*/}: TARDIS_NODE=$TARDIS_NODE is no program that can be run" >&2
    exit 1
  fi
  node=$(command -v node) || {
    echo "${self##*/}: node is not installed or not in PATH; Node.js 22 or newer is needed" >&2
    exit 1
  }
fi
if [ ! -e "$entry" ]; then
  echo "${self##*/}: not built yet (there is no $entry): run \`npm run setup\` in $root" >&2
  exit 1
fi

# Node puts /dev/null in the place of a closed standard output, and data would vanish there. This one refuses it.
{ true 3>&1; } 2>/dev/null || exec 1</dev/null

# Threads, a server, its client and their files take fewer on any machine. With less, node itself fails at its first modules, or
# a worker in the middle.
least_files=64
if [ -r "/proc/$$/limits" ]; then
  while read -r first second third files _; do
    [ "$first $second $third" != 'Max open files' ] || break
  done <"/proc/$$/limits"
  if [ "${files:-unlimited}" != unlimited ] && [ "$files" -lt $least_files ]; then
    echo "${self##*/}: this process may open $files files, and needs $least_files or more [TOO_MANY_OPEN_FILES]" >&2
    echo "${self##*/}: Raise the limit of open files (ulimit -n, LimitNOFILE= of a unit) to 256 or more, then run again." >&2
    exit 1
  fi
fi

# Node gives every signal its default action as it starts. A SIGHUP that is ignored, as by nohup, shall stay so.
unset TARDIS_HANGUP
if [ -r "/proc/$$/status" ]; then
  while read -r key mask; do [ "$key" != SigIgn: ] || break; done <"/proc/$$/status"
  case ${mask-} in *[13579bdf]) export TARDIS_HANGUP=ignored ;; esac
fi

# Many malloc arenas, and a young generation of 16 MB for each of several threads, cost some 30 MB
# in a process with two workers and made nothing faster. More than one thread for V8's own tasks
# only takes the processors from the workers. A single-threaded collector gained nothing more.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"

# V8's flags must be known before node starts, so a profile is looked for only in its variable and on
# the command line, else the memory decides. One in a configuration file still has its other effects.
profile=${TARDIS_PROFILE-}
previous=''
for word; do
  case $previous$word in
  --profile=*) profile=${word#--profile=} ;;
  --profilepi | --profiledesktop | --profileauto) profile=$word ;;
  --) break ;;
  esac
  previous=''
  [ "$word" != --profile ] || previous=$word
done
if [ "${profile:-auto}" = auto ] && [ -r /proc/meminfo ]; then
  while read -r key size _; do [ "$key" != MemTotal: ] || break; done </proc/meminfo
  [ "$size" -gt 1048576 ] || profile=pi
fi

# Other flags make V8 refuse the compiled code of Node.js's own modules: each process and thread takes 15 ms more to start. Later
# optimization and a heap that grows less were tried, and took more time than they saved (docs/using/packages.md, "Which Node.js").
# A young generation that has its full size at once is collected less often while the program is loaded. After some seven of these
# collections, V8 takes the heap for full and collects it as a whole, which took a sixth of the processor time of a small backup.
#
# A Pi has no second processor to spare for V8, and its memory counts more than its time. Buffers that
# malloc maps go back to the system when they are freed; by itself it soon stops mapping them.
#
# The build finds out which of the flags its node knows (scripts/node-flags.mjs). With another node, or one that was replaced since,
# those are given that every Node.js documents: no node starts with a flag that it does not know.
flags='--max-semi-space-size=2 --v8-pool-size=1'
pi_flags='--max-semi-space-size=1 --v8-pool-size=1'
if [ -r "$root/dist/bundle/flags" ]; then
  . "$root/dist/bundle/flags"
  # The node beside the program came with it; another one is known by its path and time.
  if [ "$node" = "$root/runtime/bin/node" ] ||
    { ! [ "$node" -nt "$root/dist/bundle/flags" ] && [ "$(readlink -f "$node")" = "$known_node" ]; }; then
    flags=$known_flags
    pi_flags=$known_pi_flags
  fi
fi
if [ "$profile" = pi ]; then
  flags=$pi_flags
  export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-32768}"
  export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-65536}"
fi

# A mount frees decoded records of all sizes. If malloc maps the largest, they go back to the system; in its heap they left gaps, which made a
# mount 16 MB larger. A threshold of 128 KiB saves 4 to 14 MB more, and costs 5 to 10 % of the processor time. A Pi has its own.
[ "$name" != tardisfs ] || export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-786432}"

# The compiled form of our files is kept in the cache of the user, which saves a third of a start (src/system/compiled-code.ts). It would run what it finds there,
# so each directory has to belong to this user: with sudo, HOME may be that of another one. Root also takes no way to it that others could change.
cache=${XDG_CACHE_HOME:-${HOME-}/.cache}
case ${NODE_COMPILE_CACHE-none}${HOME:+$cache} in
none/*)
  compiled=$cache/tardis/compiled
  way=$cache
  [ -O / ] || way=
  while [ -n "$way" ] && [ ! -L "$way" ] && { [ ! -e "$way" ] || [ -O "$way" ]; }; do
    way=${way%/*}
  done
  if [ -z "$way" ] && [ -O "${cache%/*}" ]; then
    [ -d "$compiled" ] || (umask 077 && exec mkdir -p "$compiled") 2>/dev/null || :
    if [ -O "$cache" ] && [ -O "$cache/tardis" ] && [ -O "$compiled" ] && [ ! -L "$compiled" ]; then
      export NODE_COMPILE_CACHE="$compiled"
    fi
  fi
  ;;
esac

# TARDIS_NODE_OPTIONS replaces the flags, by none if it is empty.
# shellcheck disable=SC2086 # Words are meant to be split.
exec "$node" ${TARDIS_NODE_OPTIONS-$flags} "$entry" "$@"
