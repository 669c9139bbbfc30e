#!/bin/sh
# Runs the unit and contract tests: those that start no command and compute for at most about a second and a half. Arguments go
# to ava. `npm run test:fast` sets up before. TEST_FOLDERS names the folders of tests to run in place of all. TEST_EVERY=10 runs one file in ten of each
# folder, and at least one; TEST_SEED chooses which.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
# Every folder of tests but those whose tests start commands, fail at each operation, or take minutes.
slow='bench damage durability e2e filesystems fuzz maintenance packages threats'
# Files of the other folders that compute for more than a second and a half, wait, or start a gateway; other contract tests and house rules
# run all the same.
long='client/mutated-answers client/server-peer contract/radosgw-object-store crypto/key-file crypto/key-record crypto/opened-listing
  delta/hostile delta/rdiff delta/record-chunks
  excludes/explain excludes/git history/changes history/later-seals history/opened-pages mount/file-system mount/labels mount/sealed-pages
  pipeline/backpressure pipeline/backup pipeline/large-directory pipeline/signatures restore/diff/differences
  restore/copies restore/many-files retention/year server/background-jobs server/changed-password server/login server/mutated-messages server/tickets
  server/bucket-accounts server/token-session store/bucket/account-objects store/bucket/bucket store/bucket/schedules store/bucket/snapshots store/catalog/crash
  store/catalog/page-sums store/catalog/recover store/catalog/schema store/catalog/upgrades store/frames
  store/objects/faults store/objects/long-waits store/objects/radosgw-locks store/parity/parity store/writer/catalog-copies
  store/writer/kept-settings store/writer/races store/writer/reserve system/native-listing tools/completions
  tools/sheet-words transport/codec transport/connection transport/mutated-frames web/api/answer-end
  web/api/malformed web/api/reports web/api/routes web/archive/archive web/dav/dav web/doors web/lied-versions
  web/local/server web/local/shown-sets web/remote/access web/remote/login web/remote/server-door web/three-doors
  workers/aside-decoder workers/aside-parcels workers/aside-restores workers/many-reads workers/shared-digests'

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
  for file in $long; do
    fast="$fast !dist/test/$file.test.js"
  done
fi
set -f # the script expands the patterns
# shellcheck disable=SC2086
exec node scripts/run-tests.mjs --grouped "$@" $fast
