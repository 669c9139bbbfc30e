// BLAKE2b (RFC 7693) without a key, of 32 bytes. The strong sums of signatures are its first bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tardis {

constexpr size_t kBlake2Bytes = 32;
constexpr size_t kBlake2Lanes = 8;  // most messages that are hashed at once

// Hashes one message that comes in pieces.
class Blake2 {
 public:
  Blake2() { begin(); }
  void take(const uint8_t* data, size_t size);
  // Writes the sum of all that was taken. The next message then begins.
  void end(uint8_t* sum);

 private:
  static constexpr size_t kBlockBytes = 128;

  void begin();

  uint64_t state_[8];
  uint64_t takenBytes_;  // into the state
  size_t keptBytes_;     // of a block that may be the last one
  uint8_t kept_[kBlockBytes];
};

// Hashes `count` messages of `size` bytes, which follow one another, at most kBlake2Lanes. Several are hashed at once
// where the processor can.
void blake2(const uint8_t* data, size_t size, size_t count, uint8_t (*sums)[kBlake2Bytes]);

}  // namespace tardis
