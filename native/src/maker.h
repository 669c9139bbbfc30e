// Something that makes bytes from bytes: a signature, or a delta.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace tardis {

class Maker {
 public:
  // Totals of a delta so far.
  struct Totals {
    uint64_t commands = 0;
    uint64_t literalBytes = 0;
    uint64_t copiedBytes = 0;
  };

  virtual ~Maker() = default;

  // Takes the next bytes, and works as far as they allow.
  virtual void push(const uint8_t* data, size_t size, bool isLast) = 0;

  // Moves made bytes to `target`, as many as there are, and at most `size`. Returns their number.
  size_t take(uint8_t* target, size_t size) {
    const size_t bytes = std::min(size, made_.size() - takenBytes_);
    if (bytes > 0) memcpy(target, &made_[takenBytes_], bytes);
    takenBytes_ += bytes;
    if (takenBytes_ < made_.size()) return bytes;
    made_.clear();
    takenBytes_ = 0;
    return bytes;
  }

  bool isEmpty() const { return made_.empty(); }
  const Totals& totals() const { return totals_; }

 protected:
  void put(const uint8_t* data, size_t size) { made_.insert(made_.end(), data, data + size); }

  // Puts a number of `bytes` bytes, the highest first.
  void putNumber(uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) made_.push_back(static_cast<uint8_t>(value >> 8 * i));
  }

  Totals totals_;

 private:
  std::vector<uint8_t> made_;
  size_t takenBytes_ = 0;  // from the begin of made_
};

}  // namespace tardis
