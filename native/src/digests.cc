// SHA-256 of many inputs, in two lanes or by OpenSSL.
#include "digests.h"

#include <cstring>

#include "calls.h"
#include "row.h"
#include "sha256-lanes.h"
#include "sha256.h"

namespace tardis {

namespace {

// Inputs that are passed to the lanes together.
constexpr size_t kBatch = 64;

// True if the lanes compute what OpenSSL does, for inputs with every number of last blocks. A processor or a compiler
// that gets this wrong would damage every backup.
bool lanesAgree() {
  uint8_t data[300];
  for (size_t at = 0; at < sizeof data; ++at) data[at] = static_cast<uint8_t>(at * 7 + 1);
  uint8_t digests[4][kDigestBytes];
  uint8_t expected[4][kDigestBytes];
  const size_t sizes[4] = {0, 55, 64, sizeof data};
  ToDigest inputs[4];
  for (size_t index = 0; index < 4; ++index) {
    inputs[index] = {data, sizes[index], digests[index]};
    sha256Of(data, sizes[index], expected[index]);
  }
  digestInLanes(inputs, 4);
  return memcmp(digests, expected, sizeof digests) == 0;
}

bool mayUseLanes() {
  static const bool may = hasLanes() && lanesAgree();
  return may;
}

}  // namespace

void digestEach(const ToDigest* inputs, size_t count) {
  // OpenSSL is faster for a single input.
  if (count > 1 && mayUseLanes()) {
    digestInLanes(inputs, count);
    return;
  }
  for (size_t index = 0; index < count; ++index) sha256Of(inputs[index].data, inputs[index].size, inputs[index].digest);
}

bool digestContents(const Bytes& bytes, const Bytes& rows) {
  ToDigest batch[kBatch];
  size_t used = 0;
  if (rows.size % kContentRowBytes != 0) return false;
  for (size_t at = 0; at < rows.size; at += kContentRowBytes) {
    uint32_t place[2];
    memcpy(place, rows.data + at + kDigestBytes, sizeof place);
    if (place[0] > bytes.size || place[1] > bytes.size - place[0]) return false;
    batch[used++] = {bytes.data + place[0], place[1], rows.data + at};
    if (used < kBatch) continue;
    digestEach(batch, used);
    used = 0;
  }
  digestEach(batch, used);
  return true;
}

namespace calls {

napi_value digestContents(const Call& call) {
  if (!tardis::digestContents(call.bytes(0), call.bytes(1))) {
    throw Failure{EINVAL, call.name(), nullptr, "a content is outside of the bytes"};
  }
  return call.nothing();
}

}  // namespace calls

}  // namespace tardis
