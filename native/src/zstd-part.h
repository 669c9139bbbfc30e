// Decodes a part of a compressed body. The bytes after that part are not decoded.
#pragma once

#include <zstd.h>

#include <cstddef>

#include "call.h"

namespace tardis {

// Largest window, as a power of 2: MAX_FRAME_RAW_BYTES of src/store/packs/record.ts.
constexpr int kMaxWindowLog = 23;

enum class PartDecoded { kDone, kBroken, kTooShort };

// Fills `target` with the decoded bytes of `body` from a position on. The context must be at the beginning of a session, with
// `kMaxWindowLog` as its limit.
PartDecoded decodePart(ZSTD_DCtx& context, const Bytes& body, size_t from, const Bytes& target);

}  // namespace tardis
