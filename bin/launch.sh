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

# TARDIS_NODE_OPTIONS replaces the flags, by none if it is empty.
# shellcheck disable=SC2086 # Words are meant to be split.
exec node ${TARDIS_NODE_OPTIONS---max-semi-space-size=2 --v8-pool-size=1 --interrupt-budget=400000} "$entry" "$@"
