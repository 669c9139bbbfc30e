// Finds features of contents: hashes of 64 bytes that are chosen by their own value. Contents that share data share
// features, wherever the data is. The hash is a gear hash, whose table is made from a key: without the key nobody can
// compute the features of known bytes.
#include <algorithm>

#include "calls.h"

namespace tardis {

namespace {

constexpr size_t kTableBytes = 256 * sizeof(uint64_t);
// Bytes that a hash depends on: each bit of the hash has moved out after as many bytes.
constexpr size_t kHashed = 64;
// About one position in 2,048 has a feature: the upper 11 bits of its hash are 0.
constexpr uint64_t kChosen = ~0ull << (64 - 11);
constexpr size_t kFeatureBytes = 5;
constexpr uint64_t kNone = ~0ull;
// The part of each span in which the least feature is kept.
constexpr size_t kKeptPart = 8;

class Gear {
 public:
  Gear(const Bytes& table, const char* call) { memcpy(of_, table.range(0, kTableBytes, call), kTableBytes); }

  // Calls `take` with each feature of the data, in the order of their places.
  template <typename Take>
  void each(const uint8_t* data, size_t size, const Take& take) const {
    uint64_t hash = 0;
    const size_t first = std::min(kHashed - 1, size);
    for (size_t at = 0; at < first; ++at) hash = (hash << 1) + of_[data[at]];
    for (size_t at = first; at < size; ++at) {
      hash = (hash << 1) + of_[data[at]];
      if (__builtin_expect((hash & kChosen) == 0, 0)) take(mixed(hash));
    }
  }

 private:
  // Returns the 40 bits of a feature. The lower bits of a gear hash depend on its last bytes only, so all are mixed.
  static uint64_t mixed(uint64_t hash) {
    hash *= 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
    hash *= 0xbf58476d1ce4e5b9;
    return (hash ^ hash >> 32) >> (64 - 8 * kFeatureBytes);
  }

  uint64_t of_[256];
};

// Writes features behind each other, as many as there is room for.
class Written {
 public:
  explicit Written(const Bytes& into) : into_(into) {}

  void add(uint64_t feature) {
    if (into_.size - used_ < kFeatureBytes) return;
    for (size_t byte = 0; byte < kFeatureBytes; ++byte) into_.data[used_ + byte] = static_cast<uint8_t>(feature >> (8 * byte));
    used_ += kFeatureBytes;
  }

  size_t used() const { return used_; }

 private:
  const Bytes into_;
  size_t used_ = 0;
};

}  // namespace

namespace calls {

napi_value allFeatures(const Call& call) {
  const Gear gear(call.bytes(0), call.name());
  const size_t size = call.count(2);
  const uint8_t* data = call.bytes(1).range(0, size, call.name());
  Written written(call.bytes(3));
  uint64_t before = kNone;
  gear.each(data, size, [&](uint64_t feature) {
    if (feature != before) written.add(feature);  // a run of one byte has the same feature everywhere
    before = feature;
  });
  return call.number(static_cast<double>(written.used()));
}

napi_value leastFeatures(const Call& call) {
  const Gear gear(call.bytes(0), call.name());
  const size_t size = call.count(2);
  const uint8_t* data = call.bytes(1).range(0, size, call.name());
  const size_t span = call.count(3);
  if (span < kKeptPart) throw Failure{EINVAL, call.name(), nullptr, "a span is too short"};
  Written written(call.bytes(4));
  for (size_t at = 0; at < size; at += std::min(span, size - at)) {
    uint64_t least = kNone;
    gear.each(data + at, std::min(span / kKeptPart, size - at), [&](uint64_t feature) { least = std::min(least, feature); });
    if (least != kNone) written.add(least);
  }
  return call.number(static_cast<double>(written.used()));
}

}  // namespace calls

}  // namespace tardis
