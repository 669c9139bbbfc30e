// Seals and opens rows. Names, link targets and attributes are sealed one by one. A further seal of each entry covers
// everything that a restore uses.
#include <openssl/crypto.h>

#include <cstring>

#include "calls.h"
#include "entry-seal.h"
#include "row.h"
#include "sealing.h"

namespace tardis::calls {

namespace {

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

// Reads the keys of the entries' seals and of their sums. False if they are empty: then entries get no seals.
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
    addToSum(sum, made);
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
    sealer.seal(kNameLabel, row.at(nameAt), row.nameBytes(), &sealed);
    appendEscaped(sealed, &out);
    const size_t nameEnd = out.size();
    if (linkBytes > 0) {
      sealed.clear();
      sealer.seal(kLinkLabel, row.at(nameAt + row.nameBytes()), linkBytes, &sealed);
      appendEscaped(sealed, &out);
    }
    const size_t linkEnd = out.size();
    const size_t nameBytes = nameEnd - start - nameAt;
    if (nameBytes > kMostNameBytes || linkEnd - nameEnd > UINT16_MAX) throw Failure{ENAMETOOLONG, call.name()};
    const Row lengths(out.data() + start);
    lengths.set(kNameBytes, static_cast<uint16_t>(nameBytes));
    lengths.set(kLinkBytes, static_cast<uint16_t>(linkEnd - nameEnd));
    sealed.clear();
    if (row.hasFlag(kHasAttributes)) {
      const size_t from = row.attributesOffset();
      sealer.seal(kAttributesLabel, row.at(from), row.bytes() - from, &sealed);
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
  const uint8_t* nameKeys = keysOf(call, 0, kSealKeysBytes);
  EntryKeys entryKeys;
  if (!entryKeysOf(call, 1, &entryKeys)) throw Failure{EINVAL, call.name()};
  const Bytes rows = call.bytes(2);
  uint8_t* sum = call.bytes(3).range(0, kSumBytes, call.name());
  const Bytes contents = call.bytes(4);
  RowOpener opener(nameKeys, entryKeys);
  std::vector<uint8_t> out;
  out.reserve(rows.size);
  size_t index = 0;
  for (size_t offset = 0; offset < rows.size; ++index) {
    const Row row = Row::checked(rows, offset, call.name());
    offset += row.bytes();
    if (!opener.open(row, sum)) return call.nothing();
    memcpy(contents.range(index * kHashBytes, kHashBytes, call.name()), opener.content(), kHashBytes);
    const size_t start = out.size();
    out.insert(out.end(), row.at(0), row.at(row.nameOffset()));
    for (const std::vector<uint8_t>* part : {&opener.name(), &opener.link(), &opener.attributes()}) {
      out.insert(out.end(), part->begin(), part->end());
    }
    const Row made(out.data() + start);
    made.set(kRowBytes, static_cast<uint32_t>(out.size() - start));
    made.set(kNameBytes, static_cast<uint16_t>(opener.name().size()));
    made.set(kLinkBytes, static_cast<uint16_t>(opener.link().size()));
    if (!opener.hasAttributes()) made.clearFlag(kHasAttributes);
  }
  return call.buffer(out.data(), out.size());
}

}  // namespace tardis::calls
