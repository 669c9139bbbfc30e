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

  // Reads names of an open directory but `.` and `..`, from where the last call stopped, until there are more than
  // `most` of them or no more to read, and sorts them. Before it holds none. False: there may be more to read.
  bool read(int directory, size_t most);

  size_t count() const { return places_.size(); }
  Entry at(size_t index) const { return entryAt(places_[index]); }

  // Forgets all; gives back at once what is large.
  void clear();

 private:
  struct Sorted {
    uint64_t prefix;  // the bytes behind what all names begin with, to compare most of them at once
    uint32_t place;   // in text_
  };

  Entry entryAt(uint32_t place) const;
  void add(const char* name, uint8_t kind);
  void sort();

  Growing text_;  // of each name its type, its length (u16), its bytes and a NUL
  std::vector<uint32_t> places_;
  std::vector<Sorted> order_;  // while it sorts
  size_t shared_ = 0;  // bytes that all names begin with
};

}  // namespace tardis
