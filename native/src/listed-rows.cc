#include "listed-rows.h"

namespace tardis {

namespace {

constexpr uint64_t kMostNumber = (uint64_t{1} << 53) - 1;  // largest integer that JavaScript represents exactly

}  // namespace

bool ListedRows::begin() {
  uint64_t count, sound;
  if (!number(',', &count) || !number(&sound) || count != sound || at_ == end_) return false;
  const uint8_t last = *at_++;
  if (last != kSortedHead && last != kUnsortedHead) return false;
  isSorted_ = last == kSortedHead;
  left_ = static_cast<size_t>(count);
  return true;
}

bool ListedRows::next(ListedRow* row) {
  uint64_t nameBytes, metadataBytes;
  if (left_ == 0 || !number(',', &nameBytes) || !number(',', &metadataBytes) ||
      !number(',', &row->firstSet) || !id(',', &row->lastSet) || !number(',', &row->flags) ||
      !id(',', &row->contentId) || !id(';', &row->childId) || !part(nameBytes, &row->name) ||
      !part(metadataBytes, &row->metadata)) {
    return false;
  }
  row->nameBytes = static_cast<size_t>(nameBytes);
  row->metadataBytes = static_cast<size_t>(metadataBytes);
  left_ -= 1;
  return true;
}

bool ListedRows::number(char terminator, uint64_t* value) {
  if (!number(value) || at_ == end_ || *at_ != static_cast<uint8_t>(terminator)) return false;
  at_ += 1;
  return true;
}

bool ListedRows::number(uint64_t* value) {
  const uint8_t* start = at_;
  uint64_t sum = 0;
  for (; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_) {
    sum = sum * 10 + (*at_ - '0');
    if (sum > kMostNumber) return false;
  }
  *value = sum;
  return at_ != start;
}

// Reads an id. If the entry has none, there are no digits, and the result is 0. The digit 0 itself is malformed.
bool ListedRows::id(char terminator, uint64_t* value) {
  if (at_ == end_ || *at_ != static_cast<uint8_t>(terminator)) return number(terminator, value) && *value != 0;
  at_ += 1;
  *value = 0;
  return true;
}

bool ListedRows::part(uint64_t bytes, const uint8_t** start) {
  if (bytes > static_cast<uint64_t>(end_ - at_)) return false;
  *start = at_;
  at_ += bytes;
  return true;
}

}  // namespace tardis
