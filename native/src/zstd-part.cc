#include "zstd-part.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace tardis {

namespace {

constexpr size_t kPassedBytes = 64 << 10;  // are decoded at once, and dropped

PartDecoded fill(ZSTD_DCtx& context, ZSTD_inBuffer& in, const Bytes& piece) {
  ZSTD_outBuffer out = {piece.data, piece.size, 0};
  while (out.pos < out.size) {
    const size_t before = out.pos + in.pos;
    const size_t left = ZSTD_decompressStream(&context, &out, &in);
    if (ZSTD_isError(left)) return PartDecoded::kBroken;
    const bool isEnd = left == 0 || out.pos + in.pos == before;
    if (isEnd && out.pos < out.size) return PartDecoded::kTooShort;
  }
  return PartDecoded::kDone;
}

}  // namespace

PartDecoded decodePart(ZSTD_DCtx& context, const Bytes& body, size_t from, const Bytes& target) {
  ZSTD_inBuffer in = {body.data, body.size, 0};
  std::vector<uint8_t> passed(std::min(from, kPassedBytes));
  for (size_t left = from; left > 0;) {
    const Bytes piece = {passed.data(), std::min(left, passed.size())};
    const PartDecoded outcome = fill(context, in, piece);
    if (outcome != PartDecoded::kDone) return outcome;
    left -= piece.size;
  }
  return fill(context, in, target);
}

}  // namespace tardis
