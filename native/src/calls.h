// The functions of the calls, by source file.
#pragma once

#include "call.h"

namespace tardis::calls {

// listing.cc
napi_value listDirectory(const Call& call);
napi_value listOrHold(const Call& call);
napi_value heldNames(const Call& call);
napi_value heldRows(const Call& call);
napi_value dropNames(const Call& call);
napi_value hasEntries(const Call& call);
napi_value statRow(const Call& call);
napi_value statAt(const Call& call);

// hashing.cc
napi_value hashRows(const Call& call);
napi_value sha256(const Call& call);

// digests.cc
napi_value digestContents(const Call& call);

// checksum.cc
napi_value crc32(const Call& call);

// compressing.cc
napi_value zstdCompress(const Call& call);
napi_value zstdDecompress(const Call& call);
napi_value zstdDecompressPart(const Call& call);

// decoding.cc
napi_value readAside(const Call& call);
napi_value decodeAside(const Call& call);
napi_value decodePartAside(const Call& call);
napi_value decodeStoredAside(const Call& call);

// opening.cc
napi_value openDirectory(const Call& call);
napi_value openBeneath(const Call& call);
napi_value walkBeneath(const Call& call);
napi_value close(const Call& call);

// identity.cc
napi_value openListed(const Call& call);
napi_value openListedAt(const Call& call);

// reading.cc
napi_value openOwnersAt(const Call& call);
napi_value readFileAt(const Call& call);

// sparse.cc
napi_value sparseHead(const Call& call);
napi_value resizeFile(const Call& call);

// xattrs.cc, flags.cc (flags) and opening.cc (reportsSizes)
napi_value attributesAt(const Call& call);
napi_value flagsAt(const Call& call);
napi_value setFlagsAt(const Call& call);
napi_value attributesByPath(const Call& call);
napi_value dropInherited(const Call& call);
napi_value reportsSizes(const Call& call);

// owners.cc
napi_value userName(const Call& call);
napi_value groupName(const Call& call);
napi_value userId(const Call& call);
napi_value groupId(const Call& call);

// gathering.cc
napi_value readParcel(const Call& call);

// building.cc
napi_value buildRecords(const Call& call);

// restoring.cc
napi_value restoreFiles(const Call& call);

// writing.cc
napi_value writeFileAt(const Call& call);
napi_value createFileAt(const Call& call);
napi_value finishFile(const Call& call);
napi_value setDirectoryMetadata(const Call& call);

// naming.cc
napi_value makeDirectoryAt(const Call& call);
napi_value symlinkAt(const Call& call);
napi_value makeNodeAt(const Call& call);
napi_value linkAt(const Call& call);
napi_value unlinkAt(const Call& call);
napi_value renameAt(const Call& call);
napi_value exchangeAt(const Call& call);

// marking.cc
napi_value noDumpRows(const Call& call);
napi_value forbiddenRows(const Call& call);

// powers.cc
napi_value modPow(const Call& call);

// entry-seals.cc
napi_value keyDigests(const Call& call);
napi_value sealBytes(const Call& call);
napi_value openBytes(const Call& call);
napi_value sealRows(const Call& call);
napi_value checkKnown(const Call& call);
napi_value openRows(const Call& call);
napi_value mac(const Call& call);
napi_value addMacs(const Call& call);

// opened-listing.cc
napi_value openListing(const Call& call);

// bodies.cc
napi_value encryptBody(const Call& call);
napi_value decryptBody(const Call& call);

// parity.cc
napi_value multiplyAdd(const Call& call);

// locking.cc
napi_value flock(const Call& call);
napi_value unlock(const Call& call);
napi_value syncfs(const Call& call);

// mounting.cc
napi_value fuseSockets(const Call& call);
napi_value fuseReceive(const Call& call);
napi_value fuseMount(const Call& call);
napi_value fuseUnmount(const Call& call);
napi_value newSession(const Call& call);

// fuse.cc
napi_value fuseListen(const Call& call);
napi_value fuseAnswer(const Call& call);
napi_value fuseNoteEnd(const Call& call);
napi_value fuseForget(const Call& call);
napi_value fuseReply(const Call& call);

// packing.cc
napi_value packListing(const Call& call);

// final-rows.cc
napi_value placeRows(const Call& call);

// rsync.cc
napi_value rsyncSignature(const Call& call);
napi_value rsyncLoad(const Call& call);
napi_value rsyncDelta(const Call& call);
napi_value rsyncPatch(const Call& call);
napi_value rsyncStep(const Call& call);
napi_value rsyncClose(const Call& call);

}  // namespace tardis::calls
