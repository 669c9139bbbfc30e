// Reads and decodes records on threads of libuv's pool. They share the memory of the process, where a thread of
// JavaScript takes some 16 MB of its own.
#include <openssl/crypto.h>
#include <unistd.h>
#include <zstd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "aside.h"
#include "bodies.h"
#include "calls.h"
#include "files.h"
#include "sha256.h"

namespace tardis::calls {

namespace {

constexpr size_t kDigestBytes = 32;
constexpr size_t kContentBytes = kDigestBytes + 2 * sizeof(uint32_t);  // digest, offset, size
constexpr unsigned kNoCodec = 0;
constexpr unsigned kZstd = 1;

enum Outcome : int { kDecoded = 0, kChanged = 1, kBroken = 2, kOtherLength = 3, kOutside = 4 };

// A task whose promise resolves with a number.
class Counting : public Aside {
 public:
  using Aside::Aside;

 protected:
  virtual double count() = 0;

 private:
  void run() final { counted_ = count(); }
  napi_value result(napi_env env) final {
    napi_value value = nullptr;
    return napi_create_double(env, counted_, &value) == napi_ok ? value : nullptr;
  }

  double counted_ = 0;
};

class Reading : public Counting {
 public:
  explicit Reading(const Call& call)
      : Counting("readAside"), fd_(call.fd(0)), position_(call.count(1)), target_(call.bytes(2)) {}

 protected:
  double count() override {
    size_t done = 0;
    while (done < target_.size) {
      const auto at = static_cast<off_t>(position_ + done);
      const ssize_t got = retry([&] { return pread(fd_, target_.data + done, target_.size - done, at); });
      if (got < 0) throw Failure{errno, "pread"};
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return static_cast<double>(done);
  }

 private:
  const int fd_;
  const size_t position_;
  const Bytes target_;
};

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class Decoding : public Counting {
 public:
  explicit Decoding(const Call& call)
      : Counting("decodeAside"),
        cipher_(call.bits(0)),
        also_(copyOf(call.bytes(3))),
        body_(call.bytes(4)),
        codec_(call.bits(5)),
        target_(call.bytes(6)),
        contents_(call.bytes(7)) {
    const Bytes key = call.bytes(1), nonce = call.bytes(2);
    const bool isPlain = cipher_ == kBodyCiphers;
    const bool fits = isPlain || (key.size == kBodyKeyBytes && nonce.size == kBodyNonceBytes && cipher_ < kBodyCiphers);
    if (!fits || body_.size > INT_MAX || also_.size() > INT_MAX || contents_.size % kContentBytes != 0 || codec_ > kZstd) {
      throw Failure{EINVAL, call.name()};
    }
    if (isPlain) return;
    memcpy(key_, key.data, sizeof key_);
    memcpy(nonce_, nonce.data, sizeof nonce_);
  }
  ~Decoding() override { OPENSSL_cleanse(key_, sizeof key_); }

 protected:
  double count() override {
    size_t bytes = body_.size;
    if (cipher_ < kBodyCiphers) {
      if (bytes < kBodyTagBytes) return kChanged;
      bytes -= kBodyTagBytes;
      const Bytes also = {also_.data(), also_.size()};
      if (!decryptInPlace(cipher_, key_, nonce_, also, body_.data, bytes)) return kChanged;
    }
    const Outcome outcome = decoded(bytes);
    return outcome == kDecoded ? hashed() : outcome;
  }

 private:
  static std::vector<uint8_t> copyOf(const Bytes& bytes) { return {bytes.data, bytes.data + bytes.size}; }

  Outcome decoded(size_t bytes) const {
    if (codec_ == kNoCodec) {
      if (bytes != target_.size) return kOtherLength;
      if (bytes > 0) memcpy(target_.data, body_.data, bytes);
      return kDecoded;
    }
    thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context;
    if (!context) context.reset(ZSTD_createDCtx());
    if (!context) throw Failure{ENOMEM, "decodeAside"};
    const size_t got = ZSTD_decompressDCtx(context.get(), target_.data, target_.size, body_.data, bytes);
    if (ZSTD_isError(got)) return kBroken;
    return got == target_.size ? kDecoded : kOtherLength;
  }

  // Writes the digest of each content before its offset and size.
  Outcome hashed() const {
    for (size_t at = 0; at < contents_.size; at += kContentBytes) {
      uint8_t* row = contents_.data + at;
      uint32_t place[2];
      memcpy(place, row + kDigestBytes, sizeof place);
      if (place[0] > target_.size || place[1] > target_.size - place[0]) return kOutside;
      Sha256& hash = Sha256::ofThread();
      hash.start();
      hash.add(target_.data + place[0], place[1]);
      hash.finish(row);
    }
    return kDecoded;
  }

  const unsigned cipher_;
  uint8_t key_[kBodyKeyBytes] = {};
  uint8_t nonce_[kBodyNonceBytes] = {};
  std::vector<uint8_t> also_;
  const Bytes body_;
  const unsigned codec_;
  const Bytes target_;
  const Bytes contents_;
};

}  // namespace

napi_value readAside(const Call& call) { return Aside::start(std::make_unique<Reading>(call), call, {2}); }

napi_value decodeAside(const Call& call) { return Aside::start(std::make_unique<Decoding>(call), call, {4, 6, 7}); }

}  // namespace tardis::calls
