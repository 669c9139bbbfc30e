// Authenticated decryption of bodies, for calls that decrypt in other threads too.
#pragma once

#include "call.h"

namespace tardis {

constexpr size_t kBodyKeyBytes = 32;
constexpr size_t kBodyNonceBytes = 12;
constexpr size_t kBodyTagBytes = 16;
constexpr size_t kBodyCiphers = 2;

// Decrypts `size` bytes in place; their tag follows them. `also`: bytes that the tag covers too, but that are not
// encrypted. False if the bytes, the tag or `also` were changed.
bool decryptInPlace(size_t cipher, const uint8_t* key, const uint8_t* nonce, const Bytes& also, uint8_t* data, size_t size);

}  // namespace tardis
