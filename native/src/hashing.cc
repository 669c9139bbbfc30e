// Computes digests of bytes, and of a listing's rows.
#define OPENSSL_SUPPRESS_DEPRECATED  // a state that is plain bytes can stay in JavaScript, and needs no closing
#include <openssl/sha.h>

#include <cstring>
#include <memory>

#include "async-work.h"
#include "calls.h"
#include "row.h"
#include "sha256.h"

namespace tardis::calls {

namespace {

// Buffers small pieces, because each addition to a digest has a cost of its own.
class Gathered {
 public:
  Gathered() : digest_(Sha256::ofThread()) { digest_.start(); }

  void add(const uint8_t* data, size_t size) {
    if (size > sizeof bytes_ - used_) flush();
    if (size > sizeof bytes_) {
      digest_.add(data, size);
      return;
    }
    memcpy(bytes_ + used_, data, size);
    used_ += size;
  }

  void finish(uint8_t* into) {
    flush();
    digest_.finish(into);
  }

 private:
  void flush() {
    digest_.add(bytes_, used_);
    used_ = 0;
  }

  Sha256& digest_;
  size_t used_ = 0;
  uint8_t bytes_[8192];
};

// Returns the state of a hash that is in an argument. It is copied, since a buffer may lie at any address.
SHA256_CTX stateOf(const Call& call) {
  const Bytes given = call.bytes(0);
  SHA256_CTX state;
  if (given.size != sizeof state) throw Failure{EINVAL, call.name()};
  memcpy(&state, given.data, sizeof state);
  if (state.num >= SHA256_CBLOCK || state.md_len != SHA256_DIGEST_LENGTH) throw Failure{EINVAL, call.name()};
  return state;
}

class PartHashing : public AsyncWork {
 public:
  explicit PartHashing(const Call& call)
      : AsyncWork(call.name()), state_(stateOf(call)), into_(call.bytes(0)), part_(call.bytes(1)) {}

 private:
  void run() final {
    SHA256_Update(&state_, part_.data, part_.size);
    memcpy(into_.data, &state_, sizeof state_);
  }

  SHA256_CTX state_;
  const Bytes into_;
  const Bytes part_;
};

}  // namespace

// Hashes the fields that show whether a listing is unchanged: name, type, permissions, owner, size, mtime, ctime,
// inode, device number. Flags, link count and birth time are never included.
napi_value hashRows(const Call& call) {
  const Bytes rows = call.bytes(0);
  Gathered gathered;
  for (size_t offset = 0; offset < rows.size;) {
    const Row row = Row::checked(rows, offset, call.name());
    gathered.add(row.at(kNameBytes), kLinkBytes - kNameBytes);
    gathered.add(row.at(row.nameOffset()), row.nameBytes());
    gathered.add(row.at(kType), kFlags - kType);
    gathered.add(row.at(kPermissions), kNlink - kPermissions);
    gathered.add(row.at(kSize), kBtime - kSize);
    gathered.add(row.at(kIno), kRowFixedBytes - kIno);
    offset += row.bytes();
  }
  uint8_t digest[kDigestBytes];
  gathered.finish(digest);
  return call.buffer(digest, sizeof digest);
}

napi_value sha256(const Call& call) {
  const Bytes data = call.bytes(0);
  const size_t offset = call.count(1);
  const size_t size = call.count(2);
  const uint8_t* from = data.range(offset, size, call.name());
  uint8_t* digest = call.bytes(3).range(call.count(4), kDigestBytes, call.name());
  sha256Of(from, size, digest);
  return call.nothing();
}

napi_value sha256Begin(const Call& call) {
  SHA256_CTX state;
  memset(&state, 0, sizeof state);  // the gaps between its fields too
  SHA256_Init(&state);
  return call.buffer(&state, sizeof state);
}

napi_value sha256Part(const Call& call) { return AsyncWork::either(std::make_unique<PartHashing>(call), call, {0, 1}, 2); }

napi_value sha256End(const Call& call) {
  SHA256_CTX state = stateOf(call);
  uint8_t digest[kDigestBytes];
  SHA256_Final(digest, &state);
  return call.buffer(digest, sizeof digest);
}

}  // namespace tardis::calls
