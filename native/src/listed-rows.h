// A page of a directory as the catalog returns it in one value (docs/inside/mount.md, "Packed pages").
#pragma once

#include "call.h"
#include "row.h"

namespace tardis {

// Metadata is a row without its first eight bytes, and without the device number unless it is a device.
constexpr size_t kMetadataFrom = kType;
constexpr size_t kMetadataBytes = kRdev - kMetadataFrom;
constexpr size_t kDeviceBytes = kRowFixedBytes - kRdev;
constexpr size_t kMostLinkBytes = 2 * (4096 + 16);
// The last character of a page's head.
constexpr char kSortedHead = ';';
constexpr char kUnsortedHead = ':';

inline bool isDeviceType(uint8_t type) { return type == kCharacterDevice || type == kBlockDevice; }

// One entry of a page. The pointers point into the page.
struct ListedRow {
  const uint8_t* name;
  size_t nameBytes;
  const uint8_t* metadata;
  size_t metadataBytes;
  uint64_t firstSet;
  uint64_t lastSet;    // 0 while the entry is current
  uint64_t flags;
  uint64_t contentId;  // 0 if it has none
  uint64_t childId;    // 0 if it has none
};

// Reads the entries of a page one after another. The page may be damaged or hostile.
class ListedRows {
 public:
  explicit ListedRows(const Bytes& value) : at_(value.data), end_(value.data + value.size) {}

  // Reads the head; false if it is malformed, or if a column of an entry has a wrong type.
  bool begin();
  // False if the head marks the page as not sorted by name. Only `openListing` makes such pages.
  bool isSorted() const { return isSorted_; }
  // True if entries are left.
  bool isLeft() const { return left_ > 0; }
  size_t left() const { return left_; }
  // Reads the next entry; false if it is malformed.
  bool next(ListedRow* row);
  // True if nothing follows the last entry.
  bool isWhole() const { return left_ == 0 && at_ == end_; }

 private:
  bool number(char terminator, uint64_t* value);
  bool number(uint64_t* value);
  bool id(char terminator, uint64_t* value);
  bool part(uint64_t bytes, const uint8_t** start);

  const uint8_t* at_;
  const uint8_t* end_;
  size_t left_ = 0;
  bool isSorted_ = true;
};

}  // namespace tardis
