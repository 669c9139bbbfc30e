// Keyed digests, and bytes sealed so that equal ones stay equal: names and what else a server has to compare.
//
// A seal is a synthetic initialisation vector (16 bytes of HMAC-SHA-256 over a label and the bytes), which is the tag
// too, followed by the bytes under AES-256 in counter mode from there on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tardis {

constexpr size_t kKeyBytes = 32;
constexpr size_t kSealKeysBytes = 2 * kKeyBytes;  // for the vectors, for the counter mode
constexpr size_t kSealBytes = 16;                 // what a seal adds

// HMAC-SHA-256 (RFC 2104) of two pieces, one behind the other.
void hmacSha256(const uint8_t* key, const uint8_t* first, size_t firstBytes, const uint8_t* second, size_t secondBytes,
                uint8_t* mac);

class Sealer {
 public:
  explicit Sealer(const uint8_t* keys) : keys_(keys) {}

  // Appends the seal of some bytes; `kSealBytes` longer than they are.
  void seal(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const;
  // The bytes of a seal; false when they are not what was sealed under this label with these keys.
  bool open(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const;

 private:
  void vectorOf(uint8_t label, const uint8_t* data, size_t size, uint8_t* vector) const;

  const uint8_t* keys_;
};

// Names have neither NUL nor a slash: both, and what stands for them, become two bytes. The order of bytes is kept.
void appendEscaped(const std::vector<uint8_t>& bytes, std::vector<uint8_t>* into);
// False for what `appendEscaped` never makes.
bool unescape(const uint8_t* data, size_t size, std::vector<uint8_t>* into);

}  // namespace tardis
