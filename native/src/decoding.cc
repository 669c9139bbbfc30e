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

#include "async-work.h"
#include "bodies.h"
#include "calls.h"
#include "digests.h"
#include "files.h"
#include "stored-body.h"
#include "zstd-part.h"

namespace tardis::calls {

namespace {

constexpr unsigned kNoCodec = 0;
constexpr unsigned kZstd = 1;

constexpr double kMostPosition = 9007199254740992;  // 2^53
constexpr size_t kKeptStoredBytes = 1 << 20;   // of the memory that a thread keeps for the next body in a file

enum Outcome : int { kDecoded = 0, kChanged = 1, kBroken = 2, kOtherLength = 3, kOutside = 4, kTruncated = 5 };

// Reads until the target is full or the file ends. Returns the number of bytes.
size_t readFully(int fd, uint64_t position, const Bytes& target) {
  size_t done = 0;
  while (done < target.size) {
    const auto at = static_cast<off_t>(position + done);
    const ssize_t got = retry([&] { return pread(fd, target.data + done, target.size - done, at); });
    if (got < 0) throw Failure{errno, "pread"};
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// A task whose promise resolves with a number.
class Counting : public AsyncWork {
 public:
  using AsyncWork::AsyncWork;

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
      : Counting("readAsync"), fd_(call.fd(0)), position_(call.count(1)), target_(call.bytes(2)) {}

 protected:
  double count() override { return static_cast<double>(readFully(fd_, position_, target_)); }

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
      if (!made) throw Failure{ENOMEM, "decodePartAsync"};
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
  static constexpr size_t kMostSpare = 2;
  std::mutex mutex_;
  std::vector<Context> spare_;
};

PartContexts& partContexts() {
  static PartContexts contexts;
  return contexts;
}

// The bytes to decode, and how many of them are passed over before the target.
struct Body {
  Bytes memory = {nullptr, 0};  // empty if the body is in a file
  int fd = -1;
  uint64_t position = 0;
  size_t size = 0;
  bool isPart = false;
  size_t from = 0;
};

// Memory for a body in a file. Each thread has its own, and keeps a small one.
class StoredRoom {
 public:
  explicit StoredRoom(size_t size) : bytes_(ofThread()) { bytes_.resize(size); }
  ~StoredRoom() {
    if (bytes_.capacity() > kKeptStoredBytes) std::vector<uint8_t>().swap(bytes_);
  }
  StoredRoom(const StoredRoom&) = delete;
  StoredRoom& operator=(const StoredRoom&) = delete;

  Bytes bytes() const { return {bytes_.data(), bytes_.size()}; }

 private:
  static std::vector<uint8_t>& ofThread() {
    thread_local std::vector<uint8_t> bytes;
    return bytes;
  }

  std::vector<uint8_t>& bytes_;
};

Outcome copied(const Bytes& body, size_t from, const Bytes& target) {
  if (target.size > 0) memcpy(target.data, body.data + from, target.size);
  return kDecoded;
}

// Decodes a body as a whole, with a context of this thread.
Outcome decodedWhole(unsigned codec, const Bytes& body, const Bytes& target) {
  if (codec == kNoCodec) return body.size == target.size ? copied(body, 0, target) : kOtherLength;
  thread_local Context context;
  if (!context) context.reset(ZSTD_createDCtx());
  if (!context) throw Failure{ENOMEM, "decodeAsync"};
  const size_t got = ZSTD_decompressDCtx(context.get(), target.data, target.size, body.data, body.size);
  if (ZSTD_isError(got)) return kBroken;
  return got == target.size ? kDecoded : kOtherLength;
}

// Decrypts and decodes a body into a target, and hashes the contents in it.
class Decoding : public Counting {
 public:
  Decoding(const Call& call, const Body& body)
      : Counting(call.name()),
        cipher_(call.bits(0)),
        also_(copyOf(call.bytes(3))),
        body_(body),
        codec_(call.bits(5)),
        target_(call.bytes(6)),
        contents_(call.bytes(7)) {
    const Bytes key = call.bytes(1), nonce = call.bytes(2);
    const bool isPlain = cipher_ == kBodyCiphers;
    const bool fits = isPlain || (key.size == kBodyKeyBytes && nonce.size == kBodyNonceBytes && cipher_ < kBodyCiphers);
    if (!fits || body_.memory.size > INT_MAX || body_.size > kMostStoredBytes || also_.size() > INT_MAX ||
        contents_.size % kContentRowBytes != 0 || codec_ > kZstd) {
      throw Failure{EINVAL, call.name()};
    }
    if (isPlain) return;
    memcpy(key_, key.data, sizeof key_);
    memcpy(nonce_, nonce.data, sizeof nonce_);
  }
  ~Decoding() override { OPENSSL_cleanse(key_, sizeof key_); }

 private:
  double count() final {
    if (body_.fd < 0) return opened(body_.memory);
    const StoredRoom room(body_.size);
    return readFully(body_.fd, body_.position, room.bytes()) == body_.size ? opened(room.bytes()) : kTruncated;
  }

  // Decrypts a body in place, decodes it, and hashes its contents.
  Outcome opened(Bytes body) {
    if (cipher_ < kBodyCiphers) {
      if (body.size < kBodyTagBytes) return kChanged;
      body.size -= kBodyTagBytes;
      const Bytes also = {also_.data(), also_.size()};
      if (!decryptInPlace(cipher_, key_, nonce_, also, body.data, body.size)) return kChanged;
    }
    const Outcome outcome = body_.isPart ? decodedPart(body) : decodedWhole(codec_, body, target_);
    return outcome == kDecoded ? hashed() : outcome;
  }

  // Decodes a part: as many bytes as the target has, from a position in the decoded body. The bytes after that part are
  // not decoded.
  Outcome decodedPart(const Bytes& body) const {
    const size_t from = body_.from;
    if (codec_ == kNoCodec) {
      return from <= body.size && target_.size <= body.size - from ? copied(body, from, target_) : kOtherLength;
    }
    Context context = partContexts().take();
    const PartDecoded outcome = tardis::decodePart(*context, body, from, target_);
    partContexts().giveBack(std::move(context));
    if (outcome == PartDecoded::kBroken) return kBroken;
    return outcome == PartDecoded::kDone ? kDecoded : kOtherLength;
  }

  static std::vector<uint8_t> copyOf(const Bytes& bytes) { return {bytes.data, bytes.data + bytes.size}; }

  Outcome hashed() const { return tardis::digestContents(target_, contents_) ? kDecoded : kOutside; }

  const unsigned cipher_;
  uint8_t key_[kBodyKeyBytes] = {};
  uint8_t nonce_[kBodyNonceBytes] = {};
  std::vector<uint8_t> also_;
  const Body body_;
  const unsigned codec_;
  const Bytes target_;
  const Bytes contents_;
};

// Returns a body in a file, of which argument 4 has the place: three doubles, the position, the bytes, and the first
// decoded byte that is wanted (-1: the body is decoded as a whole).
Body bodyInFile(const Call& call) {
  double place[3];
  const Bytes packed = call.bytes(4);
  if (packed.size != sizeof place) throw Failure{EINVAL, call.name()};
  memcpy(place, packed.data, sizeof place);
  const bool isPart = place[2] >= 0;
  const bool isSound = place[0] >= 0 && place[0] < kMostPosition && place[1] >= 0 && place[1] <= kMostStoredBytes &&
                       place[2] <= kMostStoredBytes;
  if (!isSound) throw Failure{EINVAL, call.name()};
  Body body;
  body.fd = call.fd(8);
  body.position = static_cast<uint64_t>(place[0]);
  body.size = static_cast<size_t>(place[1]);
  body.isPart = isPart;
  body.from = isPart ? static_cast<size_t>(place[2]) : 0;
  return body;
}

Body bodyInMemory(const Call& call, bool isPart) {
  Body body;
  body.memory = call.bytes(4);
  body.isPart = isPart;
  body.from = isPart ? call.count(8) : 0;
  return body;
}

}  // namespace

napi_value readAsync(const Call& call) { return AsyncWork::start(std::make_unique<Reading>(call), call, {2}); }

napi_value decodeAsync(const Call& call) {
  return AsyncWork::start(std::make_unique<Decoding>(call, bodyInMemory(call, false)), call, {4, 6, 7});
}

napi_value decodePartAsync(const Call& call) {
  return AsyncWork::start(std::make_unique<Decoding>(call, bodyInMemory(call, true)), call, {4, 6, 7});
}

napi_value decodeStoredAsync(const Call& call) {
  return AsyncWork::start(std::make_unique<Decoding>(call, bodyInFile(call)), call, {6, 7});
}

}  // namespace tardis::calls

namespace tardis {

bool decodeStored(const StoredBody& body, const Bytes& target) {
  const bool isEncrypted = body.cipher < kBodyCiphers;
  if (body.memory != nullptr && !isEncrypted) {
    return calls::decodedWhole(body.codec, {const_cast<uint8_t*>(body.memory), body.size}, target) == calls::kDecoded;
  }
  const calls::StoredRoom room(body.size);
  Bytes stored = room.bytes();
  if (body.memory != nullptr) memcpy(stored.data, body.memory, body.size);  // it is decrypted in place
  else if (calls::readFully(body.fd, body.position, stored) != body.size) return false;
  if (isEncrypted) {
    if (stored.size < kBodyTagBytes) return false;
    stored.size -= kBodyTagBytes;
    if (!decryptInPlace(body.cipher, body.key, body.nonce, body.also, stored.data, stored.size)) return false;
  }
  return calls::decodedWhole(body.codec, stored, target) == calls::kDecoded;
}

}  // namespace tardis
