// The calls of the addon.
#pragma once

#include "call.h"

// Applies a macro to the name of each call. Each part ends with the source file of its calls.
#define TARDIS_CALLS(CALL) \
  CALL(listDirectory) CALL(listOrHold) CALL(heldNames) CALL(heldRows) CALL(dropNames) \
  CALL(hasEntries) CALL(statRow) CALL(statAt) /* listing.cc */ \
  CALL(inspectRows) /* inspecting.cc */ \
  CALL(hashRows) CALL(sha256) CALL(sha256Begin) CALL(sha256Part) CALL(sha256End) /* hashing.cc */ \
  CALL(digestContents) /* digests.cc */ \
  CALL(crc32) /* checksum.cc */ \
  CALL(zstdCompress) CALL(zstdDecompress) CALL(zstdDecompressPart) /* compressing.cc */ \
  CALL(readAsync) CALL(decodeAsync) CALL(decodePartAsync) CALL(decodeStoredAsync) /* decoding.cc */ \
  CALL(openDirectory) CALL(openBeneath) CALL(walkBeneath) CALL(close) /* opening.cc */ \
  CALL(redirect) CALL(endRedirects) CALL(isRedirected) CALL(redirectedSince) /* redirects.cc */ \
  CALL(subvolumeOf) CALL(subvolumesIn) CALL(makeSnapshot) CALL(deleteSnapshot) /* subvolumes.cc */ \
  CALL(beginLine) CALL(openListed) CALL(openListedAt) CALL(noteClosing) /* identity.cc */ \
  CALL(contentsAt) CALL(deviceBytes) CALL(zeroRange) /* devices.cc */ \
  CALL(openOwnersAt) CALL(readFileAt) /* reading.cc */ \
  CALL(sparseHead) CALL(resizeFile) /* sparse.cc */ \
  CALL(attributesAt) CALL(flagsAt) CALL(setFlagsAt) CALL(attributesByPath) CALL(accessAclOf) \
  CALL(dropInherited) CALL(reportsSizes) /* xattrs.cc, flags.cc (flags) and opening.cc (reportsSizes) */ \
  CALL(userName) CALL(groupName) CALL(userId) CALL(groupId) /* owners.cc */ \
  CALL(localOffset) /* zone.cc */ \
  CALL(readParcel) /* gathering.cc */ \
  CALL(buildRecords) /* building.cc */ \
  CALL(restoreFiles) /* restoring.cc */ \
  CALL(writeFileAt) CALL(createFileAt) CALL(finishFile) CALL(setDirectoryMetadata) /* writing.cc */ \
  CALL(makeDirectoryAt) CALL(symlinkAt) CALL(makeNodeAt) CALL(linkAt) CALL(unlinkAt) CALL(renameAt) \
  CALL(exchangeAt) /* naming.cc */ \
  CALL(noDumpRows) CALL(forbiddenRows) /* marking.cc */ \
  CALL(modPow) /* powers.cc */ \
  CALL(scrypt) /* scrypt.cc */ \
  CALL(keyDigests) CALL(sealBytes) CALL(openBytes) CALL(sealRows) CALL(checkKnown) CALL(openRows) \
  CALL(mac) CALL(addMacs) /* entry-seals.cc */ \
  CALL(openListing) /* opened-listing.cc */ \
  CALL(encryptBody) CALL(decryptBody) /* bodies.cc */ \
  CALL(multiplyAdd) /* parity.cc */ \
  CALL(allFeatures) CALL(leastFeatures) /* features.cc */ \
  CALL(flock) CALL(unlock) CALL(syncfs) /* locking.cc */ \
  CALL(fuseSockets) CALL(fuseReceive) CALL(fuseMount) CALL(fuseUnmount) CALL(newSession) /* mounting.cc */ \
  CALL(fuseListen) CALL(fuseAnswer) CALL(fuseNoteEnd) CALL(fuseForget) CALL(fuseReply) /* fuse.cc */ \
  CALL(packListing) CALL(packEntry) /* packing.cc */ \
  CALL(placeRows) /* final-rows.cc */ \
  CALL(rsyncSignature) CALL(rsyncLoad) CALL(rsyncDelta) CALL(rsyncPatch) CALL(rsyncStep) \
  CALL(rsyncClose) /* rsync.cc */

namespace tardis::calls {

#define TARDIS_DECLARE(name) napi_value name(const Call& call);
TARDIS_CALLS(TARDIS_DECLARE)
#undef TARDIS_DECLARE

}  // namespace tardis::calls
