// Computes scrypt (RFC 7914) on a thread of libuv's pool. It takes half the time of OpenSSL's: four words are mixed at
// once, and the memory comes in large pages.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "async-work.h"
#include "calls.h"

namespace tardis::calls {

namespace {

typedef uint32_t Words __attribute__((vector_size(16)));

constexpr size_t kBlockBytes = 64;
constexpr size_t kBlockWords = kBlockBytes / sizeof(uint32_t);
constexpr size_t kRows = 4;  // of a block, each of four words
constexpr size_t kHugeBytes = 2 << 20;
constexpr size_t kMostMemory = 1 << 30;
constexpr size_t kMostKeyBytes = 1024;
constexpr size_t kMostPasswordBytes = 1 << 20;

template <int kBits>
inline Words turned(Words words) {
  return (words << kBits) | (words >> (32 - kBits));
}

#define TARDIS_SHUFFLED(words, a, b, c, d) __builtin_shuffle(words, (Words){a, b, c, d})

// Mixes a block by Salsa20/8, after adding `in` to it. The rows of a block are its diagonals.
inline void mixBlock(Words* block, const Words* in) {
  Words a = block[0] ^= in[0], b = block[1] ^= in[1], c = block[2] ^= in[2], d = block[3] ^= in[3];
  for (int round = 0; round < 4; ++round) {
    b ^= turned<7>(a + d), c ^= turned<9>(b + a), d ^= turned<13>(c + b), a ^= turned<18>(d + c);
    b = TARDIS_SHUFFLED(b, 3, 0, 1, 2), c = TARDIS_SHUFFLED(c, 2, 3, 0, 1), d = TARDIS_SHUFFLED(d, 1, 2, 3, 0);
    d ^= turned<7>(a + b), c ^= turned<9>(d + a), b ^= turned<13>(c + d), a ^= turned<18>(b + c);
    b = TARDIS_SHUFFLED(b, 1, 2, 3, 0), c = TARDIS_SHUFFLED(c, 2, 3, 0, 1), d = TARDIS_SHUFFLED(d, 3, 0, 1, 2);
  }
  block[0] += a, block[1] += b, block[2] += c, block[3] += d;
}

// Memory of whole large pages, which is left out of core dumps, and which the system clears for its next user.
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes + kHugeBytes) {
    start_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start_ == MAP_FAILED) throw Failure{ENOMEM, "scrypt"};
    const auto at = (reinterpret_cast<uintptr_t>(start_) + kHugeBytes - 1) & ~(kHugeBytes - 1);
    words_ = reinterpret_cast<Words*>(at);
    madvise(words_, bytes, MADV_HUGEPAGE);  // some systems have none
    madvise(words_, bytes, MADV_DONTDUMP);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(start_, bytes_); }

  Words* words() const { return words_; }

 private:
  size_t bytes_;
  void* start_;
  Words* words_;
};

// scryptROMix of RFC 7914 over `count` numbers of `2 * r` blocks.
class Mixer {
 public:
  Mixer(size_t count, size_t r) : count_(count), blocks_(2 * r), rows_(blocks_ * kRows), table_((count + 2) * bytes()) {}

  size_t bytes() const { return blocks_ * kBlockBytes; }

  void mix(uint8_t* data) {
    Words *table = table_.words(), *one = table + count_ * rows_, *other = one + rows_;
    turn(data, reinterpret_cast<uint8_t*>(table), false);
    for (size_t at = 0; at < (count_ - 1) * rows_; at += rows_) mixOne<false>(table + at, nullptr, table + at + rows_);
    mixOne<false>(table + (count_ - 1) * rows_, nullptr, one);
    for (size_t index = 0; index < count_; index += 2) {
      mixOne<true>(one, chosenBy(one), other);
      mixOne<true>(other, chosenBy(other), one);
    }
    turn(reinterpret_cast<uint8_t*>(one), data, true);
    OPENSSL_cleanse(one, 2 * bytes());
  }

 private:
  const Words* chosenBy(const Words* number) const {
    return table_.words() + (number[rows_ - kRows][0] & (count_ - 1)) * rows_;
  }

  // scryptBlockMix of `from`, to which `added` is added first if there is one.
  template <bool kAdds>
  void mixOne(const Words* from, const Words* added, Words* to) const {
    const auto row = [&](size_t index) { return kAdds ? from[index] ^ added[index] : from[index]; };
    Words block[kRows], in[kRows];
    for (size_t index = 0; index < kRows; ++index) block[index] = row(rows_ - kRows + index);
    for (size_t number = 0; number < blocks_; ++number) {
      for (size_t index = 0; index < kRows; ++index) in[index] = row(number * kRows + index);
      mixBlock(block, in);
      memcpy(to + (number / 2 + number % 2 * (blocks_ / 2)) * kRows, block, kBlockBytes);
    }
  }

  // Brings the diagonals of each block into rows, or back.
  void turn(const uint8_t* from, uint8_t* to, bool isBack) const {
    for (size_t at = 0; at < bytes(); at += kBlockBytes) {
      for (size_t word = 0; word < kBlockWords; ++word) {
        const size_t turned = word * 5 % kBlockWords;
        memcpy(to + at + sizeof(uint32_t) * (isBack ? turned : word),
               from + at + sizeof(uint32_t) * (isBack ? word : turned), sizeof(uint32_t));
      }
    }
  }

  const size_t count_, blocks_, rows_;
  const Memory table_;
};

class Scrypt : public AsyncWork {
 public:
  struct Cost {
    size_t count, r, p;
  };

  Scrypt(const Bytes& password, const Bytes& salt, const Cost& cost, size_t keyBytes)
      : AsyncWork("scrypt"),
        password_(password.data, password.data + password.size),
        salt_(salt.data, salt.data + salt.size),
        cost_(cost),
        key_(keyBytes) {}
  ~Scrypt() override {
    OPENSSL_cleanse(password_.data(), password_.size());
    OPENSSL_cleanse(key_.data(), key_.size());
  }

 protected:
  void run() override {
    Mixer mixer(cost_.count, cost_.r);
    std::vector<uint8_t> data(mixer.bytes() * cost_.p);
    expand(salt_, &data);
    for (size_t at = 0; at < data.size(); at += mixer.bytes()) mixer.mix(data.data() + at);
    expand(data, &key_);
    OPENSSL_cleanse(data.data(), data.size());
    OPENSSL_thread_stop();  // frees what OpenSSL keeps for this thread; it makes that again when needed
  }

  napi_value result(napi_env env) override {
    napi_value value = nullptr;
    return napi_create_buffer_copy(env, key_.size(), key_.data(), nullptr, &value) == napi_ok ? value : nullptr;
  }

 private:
  void expand(const std::vector<uint8_t>& salt, std::vector<uint8_t>* into) const {
    const auto* password = reinterpret_cast<const char*>(password_.data());
    const int isDone = PKCS5_PBKDF2_HMAC(password, static_cast<int>(password_.size()), salt.data(),
                                         static_cast<int>(salt.size()), 1, EVP_sha256(), static_cast<int>(into->size()),
                                         into->data());
    if (isDone != 1) throw Failure{ENOMEM, "scrypt"};
  }

  std::vector<uint8_t> password_, salt_;
  const Cost cost_;
  std::vector<uint8_t> key_;
};

}  // namespace

napi_value scrypt(const Call& call) {
  const Bytes password = call.bytes(0), salt = call.bytes(1);
  const Scrypt::Cost cost{call.count(2), call.count(3), call.count(4)};
  const size_t keyBytes = call.count(5);
  const bool isPower = cost.count > 1 && (cost.count & (cost.count - 1)) == 0 && cost.count <= kMostMemory;
  const bool isFit = isPower && cost.r > 0 && cost.p > 0 && cost.r <= kMostMemory / (2 * kBlockBytes) / cost.count &&
                     cost.p <= kMostMemory / (2 * kBlockBytes) / cost.r;
  const bool areBytes = password.size <= kMostPasswordBytes && salt.size <= kMostPasswordBytes && keyBytes > 0;
  if (!isFit || !areBytes || keyBytes > kMostKeyBytes) {
    throw Failure{EINVAL, call.name(), nullptr, "N is a power of two, and the memory is at most 1 GiB"};
  }
  return AsyncWork::start(std::make_unique<Scrypt>(password, salt, cost, keyBytes), call);
}

}  // namespace tardis::calls
