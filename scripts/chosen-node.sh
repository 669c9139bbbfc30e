# To be sourced. If TARDIS_NODE is set, puts the folder of the Node.js that it names first in PATH. If that is not a
# Node.js, ends the script.
if [ -n "${TARDIS_NODE-}" ]; then
  if [ ! -f "$TARDIS_NODE" ] || [ ! -x "$TARDIS_NODE" ] || [ "${TARDIS_NODE##*/}" != node ]; then
    echo "TARDIS_NODE=$TARDIS_NODE is no program with the name node" >&2
    exit 1
  fi
  PATH=$(dirname "$TARDIS_NODE"):$PATH
fi
