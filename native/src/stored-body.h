// Decrypts and decodes bodies that lie in files or in memory, in any thread.
#pragma once

#include "call.h"

namespace tardis {

constexpr size_t kMostStoredBytes = 32 << 20;  // of a body; no record in one piece is longer

struct StoredBody {
  const uint8_t* memory;  // null if the body is in the file; it stays as it is
  int fd;
  uint64_t position;
  size_t size;
  unsigned codec;
  unsigned cipher;  // kBodyCiphers if the body is not encrypted
  const uint8_t* key;
  const uint8_t* nonce;
  Bytes also;  // bytes that the tag authenticates, too
};

// Decodes a body into all of `target`. False if the file is too short, the body was changed, or it decodes to another
// length. Throws if the file cannot be read.
bool decodeStored(const StoredBody& body, const Bytes& target);

}  // namespace tardis
