#!/bin/sh
# Runs the unit and contract tests: those that start no command and take seconds. Arguments go to ava. `npm run test:fast`
# sets up before. TEST_FOLDERS names the folders of tests to run in place of all.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
# Every folder of tests but those whose tests start commands, fail at each operation, or take minutes.
slow='bench damage durability e2e filesystems fuzz maintenance packages threats'
fast=''
for folder in dist/test/*/; do
  name=${folder#dist/test/}
  case " $slow helpers support " in *" ${name%/} "*) continue ;; esac
  case " ${TEST_FOLDERS-${name%/}} " in *" ${name%/} "*) ;; *) continue ;; esac
  fast="$fast $folder**/*.test.js"
done
# Files of the other folders that take over five seconds each, alone on a machine.
for file in client/mutated-answers contract/radosgw-object-store crypto/key-file delta/hostile delta/rdiff excludes/explain excludes/git history/changes \
  pipeline/backpressure pipeline/large-directory retention/year server/background-jobs server/login \
  server/mutated-messages store/catalog/page-sums store/catalog/upgrades store/frames store/objects/faults store/writer/kept-settings \
  store/writer/races system/native-listing tools/completions transport/connection transport/mutated-frames; do
  fast="$fast !dist/test/$file.test.js"
done
set -f # ava expands the patterns
# shellcheck disable=SC2086
exec ava "$@" $fast
