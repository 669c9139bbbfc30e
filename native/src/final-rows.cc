// Finds the contents of the rows of a parcel, in one call for all rows.
#include "final-rows.h"

#include <algorithm>
#include <vector>

#include "calls.h"

namespace tardis {

namespace {

constexpr size_t kMostEntryNameBytes = 4096;

// The contents that a parcel brought, sorted by their digests. A client chooses digests, so a table of hashes could be
// made slow.
class Contents {
 public:
  Contents(const Bytes& entries, const Bytes& ids, const char* call) : entries_(entries), ids_(ids) {
    const size_t count = entries.size / kFrameEntryBytes;
    if (entries.size % kFrameEntryBytes != 0 || ids.size != count * sizeof(double) || count > UINT32_MAX) {
      throw Failure{EINVAL, call, nullptr, "lists of contents differ in length"};
    }
    order_.reserve(count);
    for (size_t index = 0; index < count; index++) {
      order_.push_back({prefixOf(digestAt(index)), static_cast<uint32_t>(index)});
    }
    std::sort(order_.begin(), order_.end(), [this](const Sorted& left, const Sorted& right) {
      if (left.prefix != right.prefix) return left.prefix < right.prefix;
      return memcmp(digestAt(left.index), digestAt(right.index), kDigestBytes) < 0;
    });
  }

  // Returns the id of a content, or kUnknownId.
  double find(const uint8_t* digest) const {
    const uint64_t prefix = prefixOf(digest);
    const auto found = std::lower_bound(order_.begin(), order_.end(), digest, [&](const Sorted& each, const uint8_t* to) {
      if (each.prefix != prefix) return each.prefix < prefix;
      return memcmp(digestAt(each.index), to, kDigestBytes) < 0;
    });
    if (found == order_.end() || memcmp(digestAt(found->index), digest, kDigestBytes) != 0) return kUnknownId;
    double id;
    memcpy(&id, ids_.data + found->index * sizeof id, sizeof id);
    return id;
  }

 private:
  struct Sorted {
    uint64_t prefix;
    uint32_t index;
  };

  static uint64_t prefixOf(const uint8_t* digest) {
    uint64_t prefix;
    memcpy(&prefix, digest, sizeof prefix);
    return __builtin_bswap64(prefix);
  }

  const uint8_t* digestAt(size_t index) const { return entries_.data + index * kFrameEntryBytes; }

  Bytes entries_;
  Bytes ids_;
  std::vector<Sorted> order_;
};

// True if a row is complete: an unread entry is not, nor is a file with bytes but without their digest.
bool isFinal(const Row& row) {
  const bool needsContent = row.get<uint8_t>(kType) == kFile && row.get<uint64_t>(kSize) > 0;
  return needsContent == row.hasFlag(kHasDigest) && !row.hasFlag(kUnreadable);
}

}  // namespace

size_t soundRow(const Bytes& rows, size_t offset) {
  if (offset > rows.size || rows.size - offset < kRowFixedBytes) return 0;
  const Row row(rows.data + offset);
  const size_t bytes = row.bytes();
  const size_t known = row.attributesOffset();
  if (row.hasFlag(kHasAttributes) ? bytes <= known : bytes != known) return 0;
  if (bytes > rows.size - offset) return 0;
  const uint8_t type = row.get<uint8_t>(kType);
  if (type < kFile || type > kBlockDevice || (row.hasFlag(kHasDigest) && type != kFile)) return 0;
  const size_t linkBytes = row.get<uint16_t>(kLinkBytes);
  const bool mayLink = type == kSymlink;
  if (linkBytes > kMostLinkBytes) return 0;
  if (linkBytes > 0 ? !mayLink : mayLink && !row.hasFlag(kUnreadable)) return 0;
  return row.get<uint64_t>(kSize) <= kMostFileBytes ? bytes : 0;
}

bool isEntryName(const uint8_t* name, size_t bytes) {
  if (bytes == 0 || bytes > kMostEntryNameBytes) return false;
  if (name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.'))) return false;
  return memchr(name, '/', bytes) == nullptr && memchr(name, 0, bytes) == nullptr;
}

napi_value calls::placeRows(const Call& call) {
  const Bytes rows = call.bytes(0);
  const Bytes sections = call.bytes(1);
  const Contents contents(call.bytes(2), call.bytes(3), call.name());
  constexpr size_t kSectionBytes = 2 * sizeof(double);
  if (sections.size % kSectionBytes != 0) throw Failure{EINVAL, call.name(), nullptr, "a section is cut off"};
  std::vector<RowPlace> places;
  size_t at = 0;
  for (size_t from = 0; from < sections.size; from += kSectionBytes) {
    double section[2];
    memcpy(section, sections.data + from, sizeof section);
    const auto [sectionBytes, directory] = section;
    if (!(sectionBytes >= 0 && sectionBytes <= static_cast<double>(rows.size - at))) return call.nothing();
    const size_t end = at + static_cast<size_t>(sectionBytes);
    while (at < end) {
      const size_t bytes = soundRow(rows, at);
      if (bytes == 0 || bytes > end - at) return call.nothing();
      const Row row(rows.data + at);
      if (!isFinal(row) || !isEntryName(row.at(row.nameOffset()), row.nameBytes())) return call.nothing();
      const double content = row.hasFlag(kHasDigest) ? contents.find(row.at(kRowFixedBytes)) : 0;
      const double child = row.get<uint8_t>(kType) == kDirectory ? kUnknownId : 0;
      places.push_back({directory, content, child, static_cast<double>(at)});
      at += bytes;
    }
  }
  if (at != rows.size) return call.nothing();
  return call.buffer(places.data(), places.size() * sizeof(RowPlace));
}

}  // namespace tardis
