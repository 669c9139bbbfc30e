// Reads and decodes records on threads of libuv's pool. These threads share the memory of the process, whereas a thread
// of JavaScript takes some 16 MB of its own.
#include <openssl/crypto.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
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

using Context = std::unique_ptr<ZSTD_DCtx, FreeContext>;

// Contexts that decode parts of records. Each has memory for a whole record, so they are shared by all threads: there
// are only as many as parts are decoded at once.
class PartContexts {
 public:
  Context take() {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (spare_.empty()) {
      Context made(ZSTD_createDCtx());
      if (!made) throw Failure{ENOMEM, "decodePartAside"};
      ZSTD_DCtx_setParameter(made.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
      return made;
    }
    Context context = std::move(spare_.back());
    spare_.pop_back();
    ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
    return context;
  }

  void giveBack(Context context) {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (spare_.size() < kMostSpare) spare_.push_back(std::move(context));
  }

 private:
  static constexpr int kMaxWindowLog = 23;  // MAX_FRAME_RAW_BYTES of src/store/packs/record.ts
  static constexpr size_t kMostSpare = 2;
  std::mutex mutex_;
  std::vector<Context> spare_;
};

PartContexts& partContexts() {
  static PartContexts contexts;
  return contexts;
}

class Decoding : public Counting {
 public:
  explicit Decoding(const Call& call) : Decoding(call, "decodeAside") {}
  ~Decoding() override { OPENSSL_cleanse(key_, sizeof key_); }

 protected:
  Decoding(const Call& call, const char* name)
      : Counting(name),
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

  // Decodes the first `bytes` bytes of the body, which has been decrypted.
  virtual Outcome decoded(size_t bytes) {
    if (codec_ == kNoCodec) return bytes == target_.size ? copied(0) : kOtherLength;
    thread_local Context context;
    if (!context) context.reset(ZSTD_createDCtx());
    if (!context) throw Failure{ENOMEM, "decodeAside"};
    const size_t got = ZSTD_decompressDCtx(context.get(), target_.data, target_.size, body_.data, bytes);
    if (ZSTD_isError(got)) return kBroken;
    return got == target_.size ? kDecoded : kOtherLength;
  }

  Outcome copied(size_t from) const {
    if (target_.size > 0) memcpy(target_.data, body_.data + from, target_.size);
    return kDecoded;
  }

  const Bytes& body() const { return body_; }
  const Bytes& target() const { return target_; }
  bool isStored() const { return codec_ == kNoCodec; }

 private:
  double count() final {
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

  static std::vector<uint8_t> copyOf(const Bytes& bytes) { return {bytes.data, bytes.data + bytes.size}; }

  // Writes the digest of each content into its row, before the content's offset and size.
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

// Decodes a part of a body: as many bytes as the target has, from a position in the decoded body. The bytes after that
// part are not decoded.
class DecodingPart : public Decoding {
 public:
  explicit DecodingPart(const Call& call) : Decoding(call, "decodePartAside"), from_(call.count(8)) {}

 protected:
  Outcome decoded(size_t bytes) override {
    if (isStored()) {
      return from_ <= bytes && target().size <= bytes - from_ ? copied(from_) : kOtherLength;
    }
    Context context = partContexts().take();
    const Outcome outcome = decodedBy(*context, {body().data, bytes, 0});
    partContexts().giveBack(std::move(context));
    return outcome;
  }

 private:
  static constexpr size_t kPassedBytes = 64 << 10;

  Outcome decodedBy(ZSTD_DCtx& context, ZSTD_inBuffer in) const {
    std::vector<uint8_t> passed(std::min(from_, kPassedBytes));
    for (size_t left = from_; left > 0;) {
      const Bytes piece = {passed.data(), std::min(left, passed.size())};
      const Outcome outcome = fill(context, in, piece);
      if (outcome != kDecoded) return outcome;
      left -= piece.size;
    }
    return fill(context, in, target());
  }

  static Outcome fill(ZSTD_DCtx& context, ZSTD_inBuffer& in, const Bytes& piece) {
    ZSTD_outBuffer out = {piece.data, piece.size, 0};
    while (out.pos < out.size) {
      const size_t before = out.pos + in.pos;
      const size_t left = ZSTD_decompressStream(&context, &out, &in);
      if (ZSTD_isError(left)) return kBroken;
      const bool isEnd = left == 0 || out.pos + in.pos == before;
      if (isEnd && out.pos < out.size) return kOtherLength;
    }
    return kDecoded;
  }

  const size_t from_;
};

}  // namespace

napi_value readAside(const Call& call) { return Aside::start(std::make_unique<Reading>(call), call, {2}); }

napi_value decodeAside(const Call& call) { return Aside::start(std::make_unique<Decoding>(call), call, {4, 6, 7}); }

napi_value decodePartAside(const Call& call) {
  return Aside::start(std::make_unique<DecodingPart>(call), call, {4, 6, 7});
}

}  // namespace tardis::calls
