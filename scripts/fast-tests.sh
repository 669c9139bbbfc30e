#!/bin/sh
# Runs the unit and contract tests: those that start no command and take seconds. Arguments go to ava. `npm run test:fast`
# sets up before. TEST_FOLDERS names the folders of tests to run in place of all. TEST_EVERY=10 runs one file in ten of each
# folder, and at least one; TEST_SEED chooses which.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
# Every folder of tests but those whose tests start commands, fail at each operation, or take minutes.
slow='bench damage durability e2e filesystems fuzz maintenance packages threats'
# Files of the other folders that take over five seconds each, alone on a machine.
long='client/mutated-answers contract/radosgw-object-store crypto/key-file delta/hostile delta/rdiff excludes/explain
  excludes/git history/changes pipeline/backpressure pipeline/large-directory retention/year server/background-jobs server/login
  server/mutated-messages store/catalog/page-sums store/catalog/upgrades store/frames store/objects/faults
  store/parity/parity store/writer/kept-settings store/writer/races system/native-listing tools/completions transport/connection
  transport/mutated-frames web/doors'

some_of() { # FOLDER: one in $TEST_EVERY of its files
  find "$1" -name '*.test.js' | LC_ALL=C sort | awk -v every="$TEST_EVERY" -v seed="${TEST_SEED:-$$}" -v long="$long" '
    BEGIN { count = split(long, names); while (count > 0) isLong["dist/test/" names[count--] ".test.js"] = 1 }
    !($0 in isLong) { files[found++] = $0 }
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
for file in $long; do
  fast="$fast !dist/test/$file.test.js"
done
set -f # ava expands the patterns
# shellcheck disable=SC2086
exec ava "$@" $fast
