// The table of calls, registered again in every thread that loads the addon.
#include "calls.h"

namespace tardis {

namespace {

#define CALL(name) {#name, calls::name}

const CallInfo kCalls[] = {
    CALL(listDirectory), CALL(listOrHold), CALL(heldNames), CALL(heldRows), CALL(dropNames), CALL(hasEntries),
    CALL(statRow), CALL(statAt), CALL(hashRows), CALL(sha256), CALL(digestContents), CALL(openDirectory), CALL(openBeneath), CALL(walkBeneath),
    CALL(openListed), CALL(openListedAt),
    CALL(close), CALL(openOwnersAt), CALL(readFileAt), CALL(writeFileAt), CALL(createFileAt), CALL(finishFile), CALL(symlinkAt),
    CALL(linkAt), CALL(unlinkAt), CALL(renameAt), CALL(exchangeAt), CALL(setDirectoryMetadata), CALL(makeDirectoryAt),
    CALL(makeNodeAt), CALL(flock), CALL(unlock), CALL(syncfs), CALL(noDumpRows), CALL(forbiddenRows), CALL(sparseHead),
    CALL(resizeFile), CALL(attributesAt), CALL(attributesByPath), CALL(dropInherited), CALL(reportsSizes), CALL(flagsAt),
    CALL(setFlagsAt), CALL(userName), CALL(groupName),
    CALL(userId), CALL(groupId), CALL(rsyncSignature), CALL(rsyncLoad), CALL(rsyncDelta), CALL(rsyncPatch),
    CALL(rsyncStep), CALL(rsyncClose), CALL(modPow), CALL(keyDigests), CALL(sealBytes), CALL(openBytes),
    CALL(sealRows), CALL(checkKnown), CALL(openRows), CALL(openListing), CALL(mac), CALL(addMacs), CALL(encryptBody), CALL(decryptBody),
    CALL(zstdCompress), CALL(zstdDecompress), CALL(zstdDecompressPart), CALL(fuseSockets), CALL(fuseReceive), CALL(fuseMount), CALL(fuseUnmount),
    CALL(newSession), CALL(fuseListen), CALL(fuseAnswer), CALL(fuseNoteEnd), CALL(fuseForget), CALL(fuseReply), CALL(packListing), CALL(multiplyAdd),
    CALL(restoreFiles), CALL(readParcel), CALL(buildRecords), CALL(crc32), CALL(readAside), CALL(decodeAside), CALL(decodePartAside), CALL(decodeStoredAside),
    CALL(placeRows),
};

#undef CALL

}  // namespace

}  // namespace tardis

NAPI_MODULE_INIT() {
  for (const tardis::CallInfo& call : tardis::kCalls) {
    napi_value function;
    void* data = const_cast<tardis::CallInfo*>(&call);
    if (napi_create_function(env, call.name, NAPI_AUTO_LENGTH, tardis::dispatch, data, &function) != napi_ok ||
        napi_set_named_property(env, exports, call.name, function) != napi_ok) {
      napi_throw_error(env, nullptr, "tardis_native could not register its calls");
      return nullptr;
    }
  }
  return exports;
}
