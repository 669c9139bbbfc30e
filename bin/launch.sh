# Sourced by the launchers beside it with $self, the launcher's real path (npm installs commands as
# links). Starts dist/bundle/NAME.js with settings that keep memory small.

name=${self##*/}
root=${self%/bin/*}
entry=$root/dist/bundle/$name.js

if ! command -v node >/dev/null 2>&1; then
  echo "$name: node is not installed or not in PATH; Node.js 20 is needed" >&2
  exit 1
fi
if [ ! -e "$entry" ]; then
  echo "$name: not built yet (there is no $entry): run \`npm run setup\` in $root" >&2
  exit 1
fi

# Many malloc arenas, and a young generation of 16 MB for each of several threads, cost some 30 MB
# in a process with two workers and made nothing faster. More than one thread for V8's own tasks
# only takes the processors from the workers. A single-threaded collector gained nothing more. A run of
# some seconds gets back only half of what optimising its code at V8's usual pace costs: it begins later.
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

# Collecting when the heap has doubled, not later, takes 40 MB from a restore and costs it nothing that shows.
# A Pi has no second processor to spare for V8, and its memory counts more than its time. Buffers that
# malloc maps go back to the system when they are freed; by itself it soon stops mapping them.
flags='--max-semi-space-size=2 --v8-pool-size=1 --interrupt-budget=400000 --heap-growing-percent=100'
if [ "$profile" = pi ]; then
  flags='--max-semi-space-size=1 --single-threaded --optimize-for-size --interrupt-budget=400000'
  export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-32768}"
  export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-65536}"
fi

# TARDIS_NODE_OPTIONS replaces the flags, by none if it is empty.
# shellcheck disable=SC2086 # Words are meant to be split.
exec node ${TARDIS_NODE_OPTIONS-$flags} "$entry" "$@"
