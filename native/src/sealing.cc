// Keyed digests and seals by the OpenSSL in Node.
#include "sealing.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstring>

#include "call.h"
#include "sha256.h"

namespace tardis {

namespace {

constexpr size_t kBlockBytes = 64;

void demand(bool done) {
  if (!done) throw Failure{EIO, "seal", nullptr, "a cipher is not available"};
}

// AES-256 in counter mode. Each thread has one context, which keeps its key until another key is used.
class Counter {
 public:
  static Counter& ofThread() {
    static thread_local Counter instance;
    return instance;
  }

  void apply(const uint8_t* key, const uint8_t* vector, const uint8_t* data, size_t size, uint8_t* into) {
    demand(cipher_ != nullptr && context_ != nullptr);
    const bool isLoaded = hasKey_ && CRYPTO_memcmp(key, key_, kKeyBytes) == 0;
    hasKey_ = false;
    demand(EVP_EncryptInit_ex2(context_, isLoaded ? nullptr : cipher_, isLoaded ? nullptr : key, vector, nullptr) == 1);
    memcpy(key_, key, kKeyBytes);
    hasKey_ = true;
    if (size == 0) return;
    int done = 0;
    demand(EVP_EncryptUpdate(context_, into, &done, data, static_cast<int>(size)) == 1);
  }

 private:
  Counter() : cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr)), context_(EVP_CIPHER_CTX_new()) {}
  ~Counter() {
    OPENSSL_cleanse(key_, sizeof key_);
    EVP_CIPHER_CTX_free(context_);
    EVP_CIPHER_free(cipher_);
  }

  EVP_CIPHER* cipher_;
  EVP_CIPHER_CTX* context_;
  uint8_t key_[kKeyBytes];
  bool hasKey_ = false;
};

constexpr uint8_t kEscapeLow = 0x01;   // followed by 1: a NUL, by 2: this byte
constexpr uint8_t kEscapeDot = 0x2e;   // followed by 1: this byte, by 2: a slash

}  // namespace

void hmacSha256(const uint8_t* key, const uint8_t* first, size_t firstBytes, const uint8_t* second, size_t secondBytes,
                uint8_t* mac) {
  uint8_t pad[kBlockBytes];
  uint8_t inner[kMacBytes];
  Sha256& hash = Sha256::ofThread();
  memset(pad, 0x36, sizeof pad);
  for (size_t at = 0; at < kKeyBytes; ++at) pad[at] ^= key[at];
  hash.start();
  hash.add(pad, sizeof pad);
  hash.add(first, firstBytes);
  if (secondBytes > 0) hash.add(second, secondBytes);
  hash.finish(inner);
  for (uint8_t& byte : pad) byte ^= 0x36 ^ 0x5c;
  hash.start();
  hash.add(pad, sizeof pad);
  hash.add(inner, sizeof inner);
  hash.finish(mac);
  OPENSSL_cleanse(pad, sizeof pad);
}

void addToSum(uint8_t* sum, const uint8_t* mac) {
  unsigned carry = 0;
  for (size_t at = 0; at < kMacBytes; ++at) {
    carry += static_cast<unsigned>(sum[at]) + mac[at];
    sum[at] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
}

void Sealer::vectorOf(uint8_t label, const uint8_t* data, size_t size, uint8_t* vector) const {
  uint8_t mac[kMacBytes];
  hmacSha256(keys_, &label, 1, data, size, mac);
  memcpy(vector, mac, kSealBytes);
}

void Sealer::seal(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const {
  const size_t at = into->size();
  into->resize(at + kSealBytes + size);
  uint8_t* vector = into->data() + at;
  vectorOf(label, data, size, vector);
  Counter::ofThread().apply(keys_ + kKeyBytes, vector, data, size, vector + kSealBytes);
}

bool Sealer::open(uint8_t label, const uint8_t* data, size_t size, std::vector<uint8_t>* into) const {
  if (size < kSealBytes) return false;
  const size_t bytes = size - kSealBytes;
  into->resize(bytes);
  Counter::ofThread().apply(keys_ + kKeyBytes, data, data + kSealBytes, bytes, into->data());
  uint8_t vector[kSealBytes];
  vectorOf(label, into->data(), bytes, vector);
  const bool isTrue = CRYPTO_memcmp(vector, data, kSealBytes) == 0;
  if (!isTrue) into->clear();
  return isTrue;
}

void appendEscaped(const std::vector<uint8_t>& bytes, std::vector<uint8_t>* into) {
  for (const uint8_t byte : bytes) {
    switch (byte) {
      case 0x00:
        into->insert(into->end(), {kEscapeLow, 1});
        break;
      case kEscapeLow:
        into->insert(into->end(), {kEscapeLow, 2});
        break;
      case kEscapeDot:
        into->insert(into->end(), {kEscapeDot, 1});
        break;
      case '/':
        into->insert(into->end(), {kEscapeDot, 2});
        break;
      default:
        into->push_back(byte);
    }
  }
}

bool unescape(const uint8_t* data, size_t size, std::vector<uint8_t>* into) {
  into->clear();
  into->reserve(size);
  for (size_t at = 0; at < size; ++at) {
    const uint8_t byte = data[at];
    if (byte == 0 || byte == '/') return false;
    if (byte != kEscapeLow && byte != kEscapeDot) {
      into->push_back(byte);
      continue;
    }
    if (++at == size || (data[at] != 1 && data[at] != 2)) return false;
    const bool isFirst = data[at] == 1;
    if (byte == kEscapeLow) into->push_back(isFirst ? 0x00 : kEscapeLow);
    else into->push_back(isFirst ? kEscapeDot : static_cast<uint8_t>('/'));
  }
  return true;
}

}  // namespace tardis
