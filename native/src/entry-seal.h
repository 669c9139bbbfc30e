// The seal of an entry as a whole, and the opening of sealed rows (docs/inside/formats.md, "Seals").
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "row.h"
#include "sealing.h"

namespace tardis {

constexpr size_t kSumBytes = 32;
constexpr size_t kHashBytes = 16;
constexpr size_t kAttributeHeadBytes = 6;
constexpr char kSealName[] = "seal";      // the attribute that contains an entry's own seal
constexpr char kSealedName[] = "sealed";  // the attribute that replaces all others
constexpr size_t kSealNameBytes = sizeof kSealName - 1;
constexpr size_t kSealedNameBytes = sizeof kSealedName - 1;

// The facts stored about an unchanged entry: its seal, and two hashes of what the seal covers but a listing does not
// show.
constexpr size_t kContentAt = kSealBytes;                 // hash of the content, and of whether it is sparse
constexpr size_t kAttributesAt = kContentAt + kHashBytes;  // hash of the attributes
constexpr size_t kKnownBytes = kAttributesAt + kHashBytes;
constexpr size_t kSealValueBytes = kAttributesAt;  // the part that is stored in an entry's own row
// Size of the attributes of a sealed row whose only attribute is its seal.
constexpr size_t kSealAloneBytes = kAttributeHeadBytes + kSealNameBytes + kSealValueBytes;

enum SealLabel : uint8_t { kNameLabel = 0, kLinkLabel = 1, kAttributesLabel = 2 };

// The keys of the entries' seals, and of their sums.
struct EntryKeys {
  const uint8_t* seal;
  const uint8_t* sum;

  // Adds a seal to a sum. Sums depend on a secret key, so equal sums prove equal sets of seals, in whatever order these
  // were added.
  void add(const uint8_t* entrySeal, uint8_t* into) const;
};

// Hashes two pieces of bytes; writes zeros if the second one is empty.
void hashPieces(const uint8_t* first, size_t firstBytes, const uint8_t* second, size_t secondBytes, uint8_t* into);

// Hashes the digest of a row, and whether it is sparse; writes zeros if it has no digest.
void hashContent(const Row& row, uint8_t* into);

// Computes the seal of an entry whose name and link target are sealed, over all fields that a restore uses.
// `hashes` contains the hash of the content followed by that of the attributes.
void sealEntry(const uint8_t* key, const Row& row, const uint8_t* hashes, uint8_t* into);

// Opens sealed rows, one after another.
class RowOpener {
 public:
  RowOpener(const uint8_t* nameKeys, const EntryKeys& keys) : sealer_(nameKeys), keys_(keys) {}

  // Checks the seal of a row and adds it to `sum`; then opens the name, the link target and the attributes. False if
  // the row was not sealed with these keys. The row must come from Row::checked.
  bool open(const Row& row, uint8_t* sum);

  // The parts of the row that was opened last.
  const std::vector<uint8_t>& name() const { return name_; }
  const std::vector<uint8_t>& link() const { return link_; }
  const std::vector<uint8_t>& attributes() const { return attributes_; }
  bool hasAttributes() const { return hasAttributes_; }
  // The hash of the content of that row, which its seal covers.
  const uint8_t* content() const { return known_ + kContentAt; }

 private:
  bool openPart(SealLabel label, const uint8_t* data, size_t size, std::vector<uint8_t>* into);

  const Sealer sealer_;
  const EntryKeys keys_;
  std::vector<uint8_t> sealed_, name_, link_, attributes_;
  bool hasAttributes_ = false;
  uint8_t known_[kKnownBytes];
};

}  // namespace tardis
