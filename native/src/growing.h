// A growing buffer of bytes.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "call.h"

namespace tardis {

constexpr size_t kKeptBytes = 1024 * 1024;  // scratch memory that a thread keeps between two calls

// A growing buffer whose bytes are not initialised.
class Growing {
 public:
  ~Growing() { free(data_); }

  // Returns room for count further bytes after those in use.
  uint8_t* room(size_t count) {
    if (count > capacity_ - used_) {
      const size_t capacity = std::max(used_ + count, capacity_ * 2);
      void* data = realloc(data_, capacity);
      if (data == nullptr) throw Failure{ENOMEM, "realloc"};
      data_ = static_cast<uint8_t*>(data);
      capacity_ = capacity;
    }
    return data_ + used_;
  }

  Growing() = default;
  Growing(Growing&& other) noexcept : data_(other.data_), used_(other.used_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.used_ = other.capacity_ = 0;
  }
  Growing(const Growing&) = delete;

  void use(size_t count) { used_ += count; }
  uint8_t* data() const { return data_; }
  size_t used() const { return used_; }

  void clear() {
    used_ = 0;
    if (capacity_ <= kKeptBytes) return;
    free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

 private:
  uint8_t* data_ = nullptr;
  size_t used_ = 0;
  size_t capacity_ = 0;
};

}  // namespace tardis
