#!/bin/sh
# Runs the unit and contract tests: those that start no command and compute for at most about a second and a half. Arguments go
# to ava. `npm run test:fast` sets up before. TEST_FOLDERS names the folders of tests to run in place of all. TEST_EVERY=10 runs one file in ten of each
# folder, and at least one; TEST_SEED chooses which.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
# Every folder of tests but those whose tests start commands, fail at each operation, or take minutes.
slow='bench damage durability e2e filesystems fuzz maintenance packages threats'

some_of() { # FOLDER: one in $TEST_EVERY of its files, of those that take long too
  find "$1" -name '*.test.js' | LC_ALL=C sort | awk -v every="$TEST_EVERY" -v seed="${TEST_SEED:-$$}" '
    { files[found++] = $0 }
    END {
      if (every > found) every = found
      for (at = 0; at < found; at += 1) if (at % every == seed % every) print files[at]
    }'
}

fast=''
for folder in dist/test/*/; do
  name=${folder#dist/test/}
  case " $slow helpers support " in *" ${name%/} "*) continue ;; esac
  case " ${TEST_FOLDERS-${name%/}} " in *" ${name%/} "*) ;; *) continue ;; esac
  if [ -n "${TEST_EVERY-}" ]; then
    fast="$fast $(some_of "${folder%/}")"
  else
    fast="$fast $folder**/*.test.js"
  fi
done
if [ -z "${TEST_EVERY-}" ]; then
  for file in $(grep -rlE --include='*.test.ts' '^// Pace: (slow|long)$' test); do
    fast="$fast !dist/${file%.ts}.js"
  done
fi
set -f # the script expands the patterns
# shellcheck disable=SC2086
exec node scripts/run-tests.mjs --grouped "$@" $fast
