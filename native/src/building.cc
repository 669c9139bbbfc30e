// Makes the records of a parcel in one call: gathers the contents of each, compresses and encrypts them, and writes header
// and index in front. docs/inside/formats.md, "Records", has every byte. The tests compare the records with those of
// src/store/packs/frame.ts.
#include <openssl/crypto.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "async-work.h"
#include "bodies.h"
#include "calls.h"
#include "encoding.h"
#include "row.h"

namespace tardis::calls {

namespace {

constexpr const char* kCall = "buildRecords";
constexpr size_t kSaltBytes = 16;
constexpr size_t kCoveredBytes = 64;      // of a header, by the tag of an encrypted body
constexpr size_t kFrameEntryBytes = kDigestBytes + sizeof(uint32_t);
constexpr size_t kContentIndexBytes = kDigestBytes + 24;
constexpr double kWorthRatio = 0.97;      // of encoded to raw size, at most, of a compressed body
constexpr size_t kKeptBytes = 4 << 20;    // of the memory that a thread keeps for the contents of the next record

enum Kind : uint32_t { kFrame = 1, kContent = 2 };
enum Codec : uint32_t { kNone = 0, kZstd = 1 };

// A record to make, as the caller describes it.
struct Wanted {
  uint32_t count;  // of its contents, which are the next ones in the order
  uint32_t kind;
  uint32_t codec;
  uint32_t level;
  uint32_t hashLog;
  uint32_t cipher;  // kBodyCiphers if the record is not encrypted
  uint32_t scheme;
  uint32_t epoch;
  uint8_t salt[kSaltBytes];
  uint8_t key[kBodyKeyBytes];
};
static_assert(sizeof(Wanted) == 80);

#pragma pack(push, 1)
struct Header {
  uint32_t magic = 0x31524454;
  uint8_t version = 1;
  uint8_t kind = 0;
  uint8_t codec = 0;
  uint8_t scheme = 0;
  uint32_t epoch = 0;
  uint32_t flags = 0;
  uint64_t sequence = 0;
  uint64_t rawBytes = 0;
  uint64_t bodyBytes = 0;
  uint32_t indexBytes = 0;
  uint32_t unused = 0;
  uint8_t salt[kSaltBytes] = {};
  uint32_t bodyChecksum = 0;
  uint32_t headerChecksum = 0;
};
#pragma pack(pop)
static_assert(sizeof(Header) == 72);

using Clock = std::chrono::steady_clock;

double msSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <typename Value>
void put(uint8_t* to, Value value) {
  memcpy(to, &value, sizeof value);
}

class Building : public AsyncWork {
 public:
  explicit Building(const Call& call)
      : AsyncWork(kCall),
        contents_(call.bytes(0)),
        digests_(call.bytes(1)),
        starts_(call.bytes(2)),
        sizes_(call.bytes(3)),
        order_(call.bytes(4)),
        wanted_(call.bytes(5)),
        target_(call.bytes(6)),
        lengths_(call.bytes(7)),
        time_(call.bytes(8)) {
    time_.range(0, sizeof(double), kCall);
  }

 private:
  // Removes the keys from the memory of the caller.
  struct Forgetting {
    ~Forgetting() { OPENSSL_cleanse(keys.data, keys.size); }
    const Bytes keys;
  };

  void run() override {
    const auto start = Clock::now();
    const Forgetting after{wanted_};
    for (size_t index = 0; index < wanted_.size / sizeof(Wanted); ++index) {
      const size_t bytes = built(wanted_.at<Wanted>(index, kCall));
      put(lengths_.range(index * sizeof(uint32_t), sizeof(uint32_t), kCall), static_cast<uint32_t>(bytes));
      end_ += bytes;
    }
    put(time_.data, msSince(start));
  }

  // Returns the end of the last record.
  napi_value result(napi_env env) override {
    napi_value value = nullptr;
    return napi_create_double(env, static_cast<double>(end_), &value) == napi_ok ? value : nullptr;
  }

  // Appends a record to the target, and returns its length.
  size_t built(const Wanted& wanted) {
    const bool isFrame = wanted.kind == kFrame;
    const bool isSound = wanted.count > 0 && (isFrame || (wanted.kind == kContent && wanted.count == 1)) &&
                         wanted.codec <= kZstd && wanted.cipher <= kBodyCiphers;
    if (!isSound) throw Failure{EINVAL, kCall, nullptr, "no such record"};
    const size_t indexBytes = isFrame ? wanted.count * kFrameEntryBytes : kContentIndexBytes;
    const size_t headBytes = sizeof(Header) + indexBytes;
    uint8_t* head = target_.range(end_, headBytes, kCall);
    const Bytes raw = gathered(wanted, head + sizeof(Header));
    const bool isEncrypted = wanted.cipher < kBodyCiphers;
    const size_t tagBytes = isEncrypted ? kBodyTagBytes : 0;
    Bytes room = {head + headBytes, target_.size - end_ - headBytes};
    room.size -= std::min(room.size, tagBytes);
    Header header;
    header.kind = static_cast<uint8_t>(wanted.kind);
    header.scheme = static_cast<uint8_t>(wanted.scheme);
    header.epoch = wanted.epoch;
    header.indexBytes = static_cast<uint32_t>(indexBytes);
    header.rawBytes = raw.size;
    const size_t bytes = encoded(wanted, raw, room, &header);
    header.bodyBytes = bytes + tagBytes;
    memcpy(header.salt, wanted.salt, sizeof header.salt);
    if (isEncrypted) encrypt(wanted, header, {head, headBytes}, bytes);
    header.bodyChecksum = crc32Of(head + sizeof(Header), indexBytes + header.bodyBytes);
    memcpy(head, &header, sizeof header);
    put(head + offsetof(Header, headerChecksum), crc32Of(head, offsetof(Header, headerChecksum)));
    return headBytes + header.bodyBytes;
  }

  // Writes the index, and returns the contents as one range of bytes: in place if they are adjacent, otherwise copied to
  // memory of this thread.
  Bytes gathered(const Wanted& wanted, uint8_t* index) {
    size_t size = 0;
    bool isAdjacent = true;
    const uint8_t* first = nullptr;
    std::vector<Bytes> pieces(wanted.count);
    for (Bytes& piece : pieces) {
      const auto content = order_.at<uint32_t>(next_, kCall);
      next_ += 1;
      const auto bytes = sizes_.at<uint32_t>(content, kCall);
      piece = {contents_.range(starts_.at<uint32_t>(content, kCall), bytes, kCall), bytes};
      first = first == nullptr ? piece.data : first;
      isAdjacent = isAdjacent && piece.data == first + size;
      size += bytes;
      memcpy(index, digests_.range(content * kDigestBytes, kDigestBytes, kCall), kDigestBytes);
      if (wanted.kind == kFrame) {
        put(index + kDigestBytes, bytes);
        index += kFrameEntryBytes;
        continue;
      }
      put<uint64_t>(index + kDigestBytes, bytes);       // of the content
      put<uint64_t>(index + kDigestBytes + 8, bytes);   // of the whole file
      put<uint64_t>(index + kDigestBytes + 16, 0);      // chunks: none
    }
    if (isAdjacent) return {const_cast<uint8_t*>(first), size};
    std::vector<uint8_t>& memory = memoryOfThread();
    memory.resize(size);
    uint8_t* to = memory.data();
    for (const Bytes& piece : pieces) {
      memcpy(to, piece.data, piece.size);
      to += piece.size;
    }
    return {memory.data(), size};
  }

  static std::vector<uint8_t>& memoryOfThread() {
    thread_local std::vector<uint8_t> memory;
    if (memory.capacity() > kKeptBytes) std::vector<uint8_t>().swap(memory);
    return memory;
  }

  // Writes the body, compressed if that saves enough, and returns its length. Sets the codec.
  static size_t encoded(const Wanted& wanted, const Bytes& raw, const Bytes& room, Header* header) {
    if (wanted.codec == kZstd) {
      const size_t bytes = compressZstd(raw, room, wanted.level, wanted.hashLog, kCall);
      header->codec = kZstd;
      if (static_cast<double>(bytes) <= static_cast<double>(raw.size) * kWorthRatio) return bytes;
    }
    header->codec = kNone;
    memcpy(room.range(0, raw.size, kCall), raw.data, raw.size);
    return raw.size;
  }

  void encrypt(const Wanted& wanted, const Header& header, const Bytes& head, size_t bytes) {
    std::vector<uint8_t> also(kCoveredBytes + head.size - sizeof(Header));
    memcpy(also.data(), &header, kCoveredBytes);
    memcpy(also.data() + kCoveredBytes, head.data + sizeof(Header), head.size - sizeof(Header));
    uint8_t nonce[kBodyNonceBytes] = {0xff, 0xff, 0xff, 0xff};  // the number of a body in one piece
    encryptInPlace(wanted.cipher, wanted.key, nonce, {also.data(), also.size()}, head.data + head.size, bytes);
  }

  const Bytes contents_;
  const Bytes digests_;
  const Bytes starts_;
  const Bytes sizes_;
  const Bytes order_;
  const Bytes wanted_;
  const Bytes target_;
  const Bytes lengths_;
  const Bytes time_;
  size_t next_ = 0;  // in the order
  size_t end_ = 0;   // of the last record in the target
};

}  // namespace

napi_value buildRecords(const Call& call) {
  return AsyncWork::either(std::make_unique<Building>(call), call, {0, 1, 2, 3, 4, 5, 6, 7, 8}, 9);
}

}  // namespace tardis::calls
