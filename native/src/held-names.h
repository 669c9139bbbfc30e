// The sorted names of a very large directory, stored compactly: sorted runs in which each name contains only its
// difference to the name before it. The runs are merged while they are read.
#pragma once

#include <string>
#include <vector>

#include "names.h"

namespace tardis {

class HeldNames {
 public:
  // Adds sorted names as a further run.
  void add(const Names& names);

  size_t count() const { return count_; }

  // Returns the index-th of all names. Cheap in ascending order; otherwise all names before it are decoded again.
  // The result is valid until the next call.
  Names::Entry at(size_t index);

 private:
  // Reads one run.
  struct Reader {
    const uint8_t* next;
    const uint8_t* end;
    std::string name;
    uint8_t kind;

    bool advance();  // false at the end
  };

  void rewind();

  size_t count_ = 0;
  std::vector<std::vector<uint8_t>> runs_;
  std::vector<Reader> heap_;  // the smallest name first
  Reader current_{};
  size_t following_ = 0;  // the index of the name that is read next
};

}  // namespace tardis
