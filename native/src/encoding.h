// The steps that make the body of a record, for calls that make one and for calls that make many.
#pragma once

#include "call.h"

namespace tardis {

// Compresses `source` into `target` with a context of this thread; returns the compressed length. `hashLog` is the
// binary logarithm of the size of zstd's hash table, 0 for that of the level. Throws EZSTD if the target is too small.
size_t compressZstd(const Bytes& source, const Bytes& target, unsigned level, unsigned hashLog, const char* call);

// Encrypts `size` bytes in place, and puts their tag after them. `also`: bytes that the tag covers, too.
void encryptInPlace(size_t cipher, const uint8_t* key, const uint8_t* nonce, const Bytes& also, uint8_t* data, size_t size);

// Returns the CRC-32 of bytes that follow earlier bytes with the checksum `before`.
uint32_t crc32Of(const uint8_t* data, size_t size, uint32_t before = 0);

}  // namespace tardis
