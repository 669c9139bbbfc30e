#!/bin/sh
# Runs the tests that are quick by their own first lines (test-pace.mjs). Arguments go to ava. `npm run test:fast` sets up before.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
quick=$(grep -rLE --include='*.test.ts' '^// Pace: (slow|long|alone)$' test | sed 's|.*|dist/&|; s|\.ts$|.js|')
# shellcheck disable=SC2086
exec node scripts/run-tests.mjs --grouped "$@" $quick
