#!/bin/sh
# Runs a command with the Node.js of this checkout first in PATH: `sh scripts/with-node.sh COMMAND [ARGUMENT...]`. That
# is the Node.js of TARDIS_NODE. If that is not set, it is the one that `npm run setup` has fetched, or else the
# machine's own.
set -eu
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)
. "$root/scripts/chosen-node.sh"
if [ -z "${TARDIS_NODE-}" ] && [ -x "$root/runtime/bin/node" ]; then
  PATH=$root/runtime/bin:$PATH
fi
export PATH
exec "$@"
