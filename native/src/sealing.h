// Keyed digests, and deterministic seals: equal bytes get equal seals, so that a server can compare names and other
// values.
//
// A seal begins with a synthetic initialisation vector, which is also the tag: 16 bytes of HMAC-SHA-256 over a label
// and the bytes. Then come the bytes, encrypted by AES-256 in counter mode that starts from the vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tardis {

constexpr size_t kKeyBytes = 32;
constexpr size_t kSealKeysBytes = 2 * kKeyBytes;  // one key for the vectors, one for the counter mode
constexpr size_t kSealBytes = 16;                 // bytes that a seal adds
constexpr size_t kMacBytes = 32;

// Computes the HMAC-SHA-256 (RFC 2104) of two pieces, one after the other.
void hmacSha256(const uint8_t* key, const uint8_t* first, size_t firstBytes, const uint8_t* second, size_t secondBytes,
                uint8_t* mac);

// Adds a MAC to a sum. Both are numbers of 256 bits; the sum wraps around.
void addToSum(uint8_t* sum, const uint8_t* mac);

class Sealer {
 public:
  explicit Sealer(const uint8_t* keys) : keys_(keys) {}

  // Appends the seal of some bytes, which is `kSealBytes` longer than they are.
  void seal(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const;
  // Opens a seal. False if it was not made under this label with these keys.
  bool open(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const;

 private:
  void vectorOf(uint8_t label, const uint8_t* data, size_t size, uint8_t* vector) const;

  const uint8_t* keys_;
};

// Appends bytes in a form without NUL and slash, so that they can be a name. A NUL, a slash and each of the two escape
// bytes become two bytes. The escaped forms sort like the bytes.
void appendEscaped(const std::vector<uint8_t>& bytes, std::vector<uint8_t>* into);
// Reverses `appendEscaped`; false for input that it never produces.
bool unescape(const uint8_t* data, size_t size, std::vector<uint8_t>* into);

}  // namespace tardis
