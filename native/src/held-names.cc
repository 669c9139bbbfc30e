// Sorted runs of names. A run contains for each name its type (a byte), the number of bytes shared with the name before
// it, the number of its other bytes, and those bytes. Both numbers are stored in groups of seven bits, the lowest
// first.
#include "held-names.h"

#include <algorithm>
#include <cstring>

namespace tardis {

namespace {

void put(std::vector<uint8_t>& into, size_t value) {
  for (; value > 0x7f; value >>= 7) into.push_back(static_cast<uint8_t>(value | 0x80));
  into.push_back(static_cast<uint8_t>(value));
}

size_t take(const uint8_t*& from) {
  size_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const uint8_t group = *from++;
    value |= static_cast<size_t>(group & 0x7f) << shift;
    if (group <= 0x7f) return value;
  }
}

}  // namespace

void HeldNames::add(const Names& names) {
  std::vector<uint8_t> run;
  run.reserve(names.count() * 8);
  Names::Entry before{"", 0, 0};
  for (size_t index = 0; index < names.count(); index += 1) {
    const Names::Entry entry = names.at(index);
    const size_t most = std::min(before.nameBytes, entry.nameBytes);
    size_t shared = 0;
    while (shared < most && before.name[shared] == entry.name[shared]) shared += 1;
    run.push_back(entry.kind);
    put(run, shared);
    put(run, entry.nameBytes - shared);
    run.insert(run.end(), entry.name + shared, entry.name + entry.nameBytes);
    before = entry;
  }
  run.shrink_to_fit();
  count_ += names.count();
  runs_.push_back(std::move(run));
  following_ = SIZE_MAX;  // the merge starts again
}

bool HeldNames::Reader::advance() {
  if (next == end) return false;
  kind = *next++;
  name.resize(take(next));
  const size_t bytes = take(next);
  name.append(reinterpret_cast<const char*>(next), bytes);
  next += bytes;
  return true;
}

namespace {

// Orders a heap so that the smallest name comes first. Names are compared as unsigned bytes.
template <typename Reader>
bool isAfter(const Reader& left, const Reader& right) {
  return left.name.compare(right.name) > 0;
}

}  // namespace

void HeldNames::rewind() {
  heap_.clear();
  for (const std::vector<uint8_t>& run : runs_) {
    Reader reader{run.data(), run.data() + run.size(), {}, 0};
    if (reader.advance()) heap_.push_back(std::move(reader));
  }
  std::make_heap(heap_.begin(), heap_.end(), isAfter<Reader>);
  following_ = 0;
}

Names::Entry HeldNames::at(size_t index) {
  if (index >= count_) throw Failure{EINVAL, "heldRows", nullptr, "fewer names are held"};
  if (following_ == SIZE_MAX || index + 1 < following_) rewind();
  for (; following_ <= index; following_ += 1) {
    std::pop_heap(heap_.begin(), heap_.end(), isAfter<Reader>);
    Reader& smallest = heap_.back();
    current_.name = smallest.name;
    current_.kind = smallest.kind;
    if (smallest.advance()) std::push_heap(heap_.begin(), heap_.end(), isAfter<Reader>);
    else heap_.pop_back();
  }
  return {current_.name.c_str(), current_.name.size(), current_.kind};
}

}  // namespace tardis
