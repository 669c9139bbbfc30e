// The names of a directory, sorted by their bytes.
#pragma once

#include <string_view>
#include <vector>

#include "growing.h"

namespace tardis {

class Names {
 public:
  struct Entry {
    const char* name;  // terminated
    size_t nameBytes;
    uint8_t kind;  // d_type
  };

  // Reads names of an open directory, except `.` and `..`, from where the last call stopped, and sorts them. Stops once
  // there are more than `most` names, or at the end. The object must be empty before the call. False if there may be
  // more names to read.
  bool read(int directory, size_t most);

  size_t count() const { return places_.size(); }
  Entry at(size_t index) const { return entryAt(places_[index]); }

  // Removes all names; frees large buffers at once.
  void clear();

 private:
  struct Sorted {
    uint64_t prefix;  // the 8 bytes after the shared ones; most comparisons need no others
    uint32_t place;   // in text_
  };

  Entry entryAt(uint32_t place) const;
  void add(const char* name, uint8_t kind);
  void sort();

  Growing text_;  // for each name its type, its length (u16), its bytes and a NUL
  std::vector<uint32_t> places_;
  std::vector<Sorted> order_;  // used while `sort` runs
  size_t shared_ = 0;  // number of leading bytes that all names share
};

}  // namespace tardis
