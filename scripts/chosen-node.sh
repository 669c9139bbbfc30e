# Sourced: puts the folder of the Node.js that TARDIS_NODE names first in PATH, where it is set; ends the script if that is none.
if [ -n "${TARDIS_NODE-}" ]; then
  if [ ! -f "$TARDIS_NODE" ] || [ ! -x "$TARDIS_NODE" ] || [ "${TARDIS_NODE##*/}" != node ]; then
    echo "TARDIS_NODE=$TARDIS_NODE is no program with the name node" >&2
    exit 1
  fi
  PATH=$(dirname "$TARDIS_NODE"):$PATH
fi
