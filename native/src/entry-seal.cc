#include "entry-seal.h"

#include <openssl/crypto.h>

#include <cstring>

#include "sha256.h"

namespace tardis {

namespace {

// Finds the attributes of a sealed row: its own seal, and the sealed attributes if it has any. False if the row has no
// seal or has other attributes.
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

}  // namespace

void EntryKeys::add(const uint8_t* entrySeal, uint8_t* into) const {
  uint8_t mac[kMacBytes];
  hmacSha256(sum, entrySeal, kSealBytes, nullptr, 0, mac);
  addToSum(into, mac);
}

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

bool RowOpener::open(const Row& row, uint8_t* sum) {
  const uint8_t *seal, *attributes;
  size_t attributesBytes;
  if (!sealedAttributes(row, &seal, &attributes, &attributesBytes)) return false;
  memcpy(known_ + kContentAt, seal + kContentAt, kHashBytes);
  hashPieces(nullptr, 0, attributes, attributesBytes, known_ + kAttributesAt);
  sealEntry(keys_.seal, row, known_ + kContentAt, known_);
  if (CRYPTO_memcmp(seal, known_, kSealBytes) != 0) return false;
  keys_.add(known_, sum);
  hasAttributes_ = attributesBytes > 0;
  attributes_.clear();
  link_.clear();
  const size_t nameAt = row.nameOffset();
  const size_t linkBytes = row.get<uint16_t>(kLinkBytes);
  if (!openPart(kNameLabel, row.at(nameAt), row.nameBytes(), &name_) || name_.size() > kMostNameBytes) return false;
  if (linkBytes > 0 && !openPart(kLinkLabel, row.at(nameAt + row.nameBytes()), linkBytes, &link_)) return false;
  return !hasAttributes_ || sealer_.open(kAttributesLabel, attributes, attributesBytes, &attributes_);
}

bool RowOpener::openPart(SealLabel label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) {
  return unescape(data, size, &sealed_) && sealer_.open(label, sealed_.data(), sealed_.size(), into);
}

}  // namespace tardis
