// Seals rows: their names, link targets and attributes, and each entry as a whole, which covers all that a
// restore uses.
#include <openssl/crypto.h>

#include <cstring>

#include "calls.h"
#include "row.h"
#include "sealing.h"
#include "sha256.h"

namespace tardis {

namespace {

constexpr size_t kMacBytes = 32;

}  // namespace

namespace calls {

namespace {

enum Label : uint8_t { kName = 0, kLink = 1, kAttributes = 2 };

constexpr size_t kSumBytes = 32;
constexpr size_t kHashBytes = 16;
constexpr size_t kAttributeHeadBytes = 6;
constexpr char kSealName[] = "seal";      // the attribute that contains an entry's own seal
constexpr char kSealedName[] = "sealed";  // the attribute that replaces all others
constexpr size_t kSealNameBytes = sizeof kSealName - 1;
constexpr size_t kSealedNameBytes = sizeof kSealedName - 1;

// Adds a number of 256 bits to a sum. The MACs depend on a secret key, so that equal sums prove equal sets, in
// any order.
void addTo(uint8_t* sum, const uint8_t* mac) {
  unsigned carry = 0;
  for (size_t at = 0; at < kSumBytes; ++at) {
    carry += static_cast<unsigned>(sum[at]) + mac[at];
    sum[at] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
}

// The keys of the entries' seals, and of their sums.
struct EntryKeys {
  const uint8_t* seal;
  const uint8_t* sum;

  void add(const uint8_t* entrySeal, uint8_t* into) const {
    uint8_t mac[kMacBytes];
    hmacSha256(sum, entrySeal, kSealBytes, nullptr, 0, mac);
    addTo(into, mac);
  }
};

// The facts stored about an unchanged entry: its seal, and hashes of what the seal covers besides the listing.
constexpr size_t kContentAt = kSealBytes;                 // hash of the content, and of whether it is sparse
constexpr size_t kAttributesAt = kContentAt + kHashBytes;  // hash of the attributes
constexpr size_t kKnownBytes = kAttributesAt + kHashBytes;
constexpr size_t kSealValueBytes = kAttributesAt;  // the part that is stored in an entry's own row

// Hashes two pieces of bytes; writes zeros if the second one is empty.
void hashPieces(const uint8_t* first, size_t firstBytes, const uint8_t* second, size_t secondBytes, uint8_t* into) {
  if (secondBytes == 0) {
    memset(into, 0, kHashBytes);
    return;
  }
  uint8_t hash[kMacBytes];
  Sha256& sha = Sha256::ofThread();
  sha.start();
  if (firstBytes > 0) sha.add(first, firstBytes);
  sha.add(second, secondBytes);
  sha.finish(hash);
  memcpy(into, hash, kHashBytes);
}

void hashContent(const Row& row, uint8_t* into) {
  const uint8_t sparse = row.hasFlag(kSparse) ? 1 : 0;
  const bool hasDigest = row.hasFlag(kHasDigest);
  hashPieces(&sparse, 1, hasDigest ? row.at(kRowFixedBytes) : nullptr, hasDigest ? kDigestBytes : 0, into);
}

// Computes the seal of an entry whose name and link target are sealed, over all fields that a restore uses.
// `hashes` contains the hash of the content followed by that of the attributes.
void sealEntry(const uint8_t* key, const Row& row, const uint8_t* hashes, uint8_t* into) {
  static thread_local std::vector<uint8_t> covered;
  covered.clear();
  const auto add = [&](size_t from, size_t to) { covered.insert(covered.end(), row.at(from), row.at(to)); };
  add(kType, kFlags);
  add(kPermissions, kNlink);
  add(kSize, kBtime);
  add(kIno, kRowFixedBytes);
  add(kNameBytes, kType);  // the lengths of both
  add(row.nameOffset(), row.attributesOffset());
  uint8_t mac[kMacBytes];
  hmacSha256(key, covered.data(), covered.size(), hashes, 2 * kHashBytes, mac);
  memcpy(into, mac, kSealBytes);
}

// Finds the attributes of a sealed row: its own seal, and the sealed attributes if it has any. False if there are
// others.
bool sealedAttributes(const Row& row, const uint8_t** seal, const uint8_t** sealed, size_t* sealedBytes) {
  *sealed = nullptr;
  *sealedBytes = 0;
  const size_t end = row.bytes();
  size_t at = row.attributesOffset();
  const auto next = [&](const char* name, size_t nameBytes, size_t* valueAt, size_t* valueBytes) {
    uint16_t foundName;
    uint32_t foundValue;
    if (end - at < kAttributeHeadBytes) return false;
    memcpy(&foundName, row.at(at), sizeof foundName);
    memcpy(&foundValue, row.at(at + sizeof foundName), sizeof foundValue);
    const size_t dataAt = at + kAttributeHeadBytes;
    if (foundName != nameBytes || end - dataAt < nameBytes || memcmp(row.at(dataAt), name, nameBytes) != 0) return false;
    *valueAt = dataAt + nameBytes;
    *valueBytes = foundValue;
    if (end - *valueAt < *valueBytes) return false;
    at = *valueAt + *valueBytes;
    return true;
  };
  size_t valueAt, valueBytes;
  if (!row.hasFlag(kHasAttributes) || !next(kSealName, kSealNameBytes, &valueAt, &valueBytes)) return false;
  if (valueBytes != kSealValueBytes) return false;
  *seal = row.at(valueAt);
  if (at == end) return true;
  if (!next(kSealedName, kSealedNameBytes, &valueAt, &valueBytes) || at != end) return false;
  *sealed = row.at(valueAt);
  *sealedBytes = valueBytes;
  return true;
}

const uint8_t* keysOf(const Call& call, int index, size_t size) {
  const Bytes keys = call.bytes(index);
  if (keys.size != size) throw Failure{EINVAL, call.name(), nullptr, "a key has another length"};
  return keys.data;
}

uint8_t labelOf(const Call& call, int index) {
  const size_t label = call.count(index);
  if (label > UINT8_MAX) throw Failure{EINVAL, call.name()};
  return static_cast<uint8_t>(label);
}

template <typename Number>
void append(std::vector<uint8_t>* into, Number number) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&number);
  into->insert(into->end(), bytes, bytes + sizeof number);
}

void appendAttributeHead(const char* name, size_t nameBytes, size_t valueBytes, std::vector<uint8_t>* into) {
  append(into, static_cast<uint16_t>(nameBytes));
  append(into, static_cast<uint32_t>(valueBytes));
  into->insert(into->end(), name, name + nameBytes);
}

// Reads both keys of entries; false if entries have no seals.
bool entryKeysOf(const Call& call, int index, EntryKeys* into) {
  const Bytes keys = call.bytes(index);
  if (keys.size == 0) return false;
  if (keys.size != kSealKeysBytes) throw Failure{EINVAL, call.name(), nullptr, "a key has another length"};
  *into = {keys.data, keys.data + kKeyBytes};
  return true;
}

}  // namespace

napi_value keyDigests(const Call& call) {
  const uint8_t* key = keysOf(call, 0, kKeyBytes);
  const size_t count = call.count(3);
  if (count > SIZE_MAX / kDigestBytes) throw Failure{EINVAL, call.name()};
  uint8_t* digests = call.bytes(1).range(call.count(2), count * kDigestBytes, call.name());
  for (size_t index = 0; index < count; ++index) {
    uint8_t* digest = digests + index * kDigestBytes;
    hmacSha256(key, digest, kDigestBytes, nullptr, 0, digest);
  }
  return call.nothing();
}

napi_value sealBytes(const Call& call) {
  const Sealer sealer(keysOf(call, 0, kSealKeysBytes));
  const Bytes data = call.bytes(2);
  std::vector<uint8_t> sealed, escaped;
  sealer.seal(labelOf(call, 1), data.data, data.size, &sealed);
  appendEscaped(sealed, &escaped);
  return call.buffer(escaped.data(), escaped.size());
}

napi_value openBytes(const Call& call) {
  const Sealer sealer(keysOf(call, 0, kSealKeysBytes));
  const Bytes data = call.bytes(2);
  std::vector<uint8_t> sealed, bytes;
  const bool isTrue = unescape(data.data, data.size, &sealed) &&
                      sealer.open(labelOf(call, 1), sealed.data(), sealed.size(), &bytes);
  return isTrue ? call.buffer(bytes.data(), bytes.size()) : call.nothing();
}

napi_value mac(const Call& call) {
  const uint8_t* key = keysOf(call, 0, kKeyBytes);
  const size_t size = call.count(3);
  const uint8_t* data = call.bytes(1).range(call.count(2), size, call.name());
  const size_t wanted = call.count(6);
  if (wanted > kMacBytes) throw Failure{EINVAL, call.name()};
  uint8_t* out = call.bytes(4).range(call.count(5), wanted, call.name());
  uint8_t made[kMacBytes];
  hmacSha256(key, data, size, nullptr, 0, made);
  memcpy(out, made, wanted);
  return call.nothing();
}

napi_value addMacs(const Call& call) {
  const uint8_t* key = keysOf(call, 0, kKeyBytes);
  const Bytes data = call.bytes(1);
  const size_t each = call.count(2);
  if (each == 0 || data.size % each != 0) throw Failure{EINVAL, call.name()};
  uint8_t* sum = call.bytes(3).range(0, kSumBytes, call.name());
  uint8_t made[kMacBytes];
  for (size_t at = 0; at < data.size; at += each) {
    hmacSha256(key, data.data + at, each, nullptr, 0, made);
    addTo(sum, made);
  }
  return call.nothing();
}

napi_value sealRows(const Call& call) {
  const Sealer sealer(keysOf(call, 0, kSealKeysBytes));
  const Bytes rows = call.bytes(1);
  EntryKeys entryKeys;
  const bool isFinal = entryKeysOf(call, 2, &entryKeys);
  uint8_t* sum = isFinal ? call.bytes(3).range(0, kSumBytes, call.name()) : nullptr;
  std::vector<uint8_t> out, sealed;
  out.reserve(rows.size + rows.size / 2);
  for (size_t offset = 0; offset < rows.size;) {
    const Row row = Row::checked(rows, offset, call.name());
    const size_t start = out.size();
    const size_t nameAt = row.nameOffset();
    const size_t linkBytes = row.get<uint16_t>(kLinkBytes);
    out.insert(out.end(), row.at(0), row.at(nameAt));
    sealed.clear();
    sealer.seal(kName, row.at(nameAt), row.nameBytes(), &sealed);
    appendEscaped(sealed, &out);
    const size_t nameEnd = out.size();
    if (linkBytes > 0) {
      sealed.clear();
      sealer.seal(kLink, row.at(nameAt + row.nameBytes()), linkBytes, &sealed);
      appendEscaped(sealed, &out);
    }
    const size_t linkEnd = out.size();
    const size_t nameBytes = nameEnd - start - nameAt;
    if (nameBytes > kMostNameBytes || linkEnd - nameEnd > UINT16_MAX) throw Failure{ENAMETOOLONG, call.name()};
    const Row lengths(out.data() + start);
    lengths.set(tardis::kNameBytes, static_cast<uint16_t>(nameBytes));
    lengths.set(kLinkBytes, static_cast<uint16_t>(linkEnd - nameEnd));
    sealed.clear();
    if (row.hasFlag(kHasAttributes)) {
      const size_t from = row.attributesOffset();
      sealer.seal(kAttributes, row.at(from), row.bytes() - from, &sealed);
    }
    if (isFinal) {
      uint8_t known[kKnownBytes];
      hashContent(row, known + kContentAt);
      hashPieces(nullptr, 0, sealed.data(), sealed.size(), known + kAttributesAt);
      sealEntry(entryKeys.seal, lengths, known + kContentAt, known);
      entryKeys.add(known, sum);
      appendAttributeHead(kSealName, kSealNameBytes, kSealValueBytes, &out);
      out.insert(out.end(), known, known + kSealValueBytes);
    }
    if (!sealed.empty()) {
      appendAttributeHead(kSealedName, kSealedNameBytes, sealed.size(), &out);
      out.insert(out.end(), sealed.begin(), sealed.end());
    }
    const Row made(out.data() + start);
    made.set(kRowBytes, static_cast<uint32_t>(out.size() - start));
    if (isFinal) made.setFlag(kHasAttributes);
    offset += row.bytes();
  }
  return call.buffer(out.data(), out.size());
}

napi_value checkKnown(const Call& call) {
  EntryKeys entryKeys;
  if (!entryKeysOf(call, 0, &entryKeys)) throw Failure{EINVAL, call.name()};
  const Bytes rows = call.bytes(1), known = call.bytes(2), wanted = call.bytes(3);
  uint8_t* sum = call.bytes(4).range(0, kSumBytes, call.name());
  size_t index = 0, good = 0;
  for (size_t offset = 0; offset < rows.size; ++index) {
    const Row row = Row::checked(rows, offset, call.name());
    offset += row.bytes();
    uint8_t* want = wanted.range(index, 1, call.name());
    if (*want != 0 || row.hasFlag(kUnreadable)) continue;
    const uint8_t* given = known.range(index * kKnownBytes, kKnownBytes, call.name());
    uint8_t seal[kSealBytes];
    sealEntry(entryKeys.seal, row, given + kContentAt, seal);
    if (CRYPTO_memcmp(seal, given, kSealBytes) != 0) {
      *want = 1;  // not sealed by this client, so it is sent again
      continue;
    }
    entryKeys.add(seal, sum);
    good += 1;
  }
  return call.number(static_cast<double>(good));
}

napi_value openRows(const Call& call) {
  const Sealer sealer(keysOf(call, 0, kSealKeysBytes));
  EntryKeys entryKeys;
  if (!entryKeysOf(call, 1, &entryKeys)) throw Failure{EINVAL, call.name()};
  const Bytes rows = call.bytes(2);
  uint8_t* sum = call.bytes(3).range(0, kSumBytes, call.name());
  const Bytes contents = call.bytes(4);
  std::vector<uint8_t> out, sealed, opened;
  out.reserve(rows.size);
  size_t index = 0;
  for (size_t offset = 0; offset < rows.size; ++index) {
    const Row row = Row::checked(rows, offset, call.name());
    offset += row.bytes();
    const uint8_t *seal, *attributes;
    size_t attributesBytes;
    uint8_t known[kKnownBytes];
    if (!sealedAttributes(row, &seal, &attributes, &attributesBytes)) return call.nothing();
    memcpy(known + kContentAt, seal + kContentAt, kHashBytes);
    hashPieces(nullptr, 0, attributes, attributesBytes, known + kAttributesAt);
    sealEntry(entryKeys.seal, row, known + kContentAt, known);
    if (CRYPTO_memcmp(seal, known, kSealBytes) != 0) return call.nothing();
    entryKeys.add(known, sum);
    memcpy(contents.range(index * kHashBytes, kHashBytes, call.name()), known + kContentAt, kHashBytes);

    const size_t start = out.size();
    const size_t nameAt = row.nameOffset();
    const size_t linkBytes = row.get<uint16_t>(kLinkBytes);
    out.insert(out.end(), row.at(0), row.at(nameAt));
    const auto openOne = [&](Label label, size_t from, size_t size) {
      return unescape(row.at(from), size, &sealed) && sealer.open(label, sealed.data(), sealed.size(), &opened);
    };
    if (!openOne(kName, nameAt, row.nameBytes()) || opened.size() > kMostNameBytes) return call.nothing();
    out.insert(out.end(), opened.begin(), opened.end());
    const auto nameBytes = static_cast<uint16_t>(opened.size());
    uint16_t openedLinkBytes = 0;
    if (linkBytes > 0) {
      if (!openOne(kLink, nameAt + row.nameBytes(), linkBytes)) return call.nothing();
      out.insert(out.end(), opened.begin(), opened.end());
      openedLinkBytes = static_cast<uint16_t>(opened.size());
    }
    if (attributesBytes > 0) {
      if (!sealer.open(kAttributes, attributes, attributesBytes, &opened)) return call.nothing();
      out.insert(out.end(), opened.begin(), opened.end());
    }
    const Row made(out.data() + start);
    made.set(kRowBytes, static_cast<uint32_t>(out.size() - start));
    made.set(tardis::kNameBytes, nameBytes);
    made.set(kLinkBytes, openedLinkBytes);
    if (attributesBytes == 0) made.clearFlag(kHasAttributes);
  }
  return call.buffer(out.data(), out.size());
}

}  // namespace calls

}  // namespace tardis
