// Authenticated encryption of bodies, in place: AES-256-GCM and ChaCha20-Poly1305, from the OpenSSL in Node.
#include <openssl/evp.h>

#include <climits>

#include "calls.h"

namespace tardis::calls {

namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

void demand(bool done) {
  if (!done) throw Failure{EIO, "encrypt", nullptr, "a cipher is not available"};
}

// The ciphers of this thread, fetched once, because fetching searches the providers under a lock.
class Aead {
 public:
  static Aead& ofThread(const Call& call, size_t cipher) {
    static thread_local Aead gcm("AES-256-GCM");
    static thread_local Aead chacha("ChaCha20-Poly1305");
    if (cipher > 1) throw Failure{EINVAL, call.name(), nullptr, "no such cipher"};
    return cipher == 0 ? gcm : chacha;
  }

  EVP_CIPHER_CTX* begin(const uint8_t* key, const uint8_t* nonce, const Bytes& also, bool isSealing) {
    demand(cipher_ != nullptr && context_ != nullptr);
    demand(EVP_CipherInit_ex2(context_, cipher_, key, nonce, isSealing ? 1 : 0, nullptr) == 1);
    int done = 0;
    if (also.size > 0) demand(EVP_CipherUpdate(context_, nullptr, &done, also.data, static_cast<int>(also.size)) == 1);
    return context_;
  }

  // Removes the key from the context.
  void end() { EVP_CIPHER_CTX_reset(context_); }

 private:
  explicit Aead(const char* name)
      : cipher_(EVP_CIPHER_fetch(nullptr, name, nullptr)), context_(EVP_CIPHER_CTX_new()) {}
  ~Aead() {
    EVP_CIPHER_CTX_free(context_);
    EVP_CIPHER_free(cipher_);
  }

  EVP_CIPHER* cipher_;
  EVP_CIPHER_CTX* context_;
};

struct Arguments {
  Aead& aead;
  const uint8_t* key;
  const uint8_t* nonce;
  Bytes also;
  uint8_t* data;
  size_t size;
};

Arguments argumentsOf(const Call& call, size_t tagBytes) {
  const Bytes key = call.bytes(1), nonce = call.bytes(2);
  if (key.size != kKeyBytes || nonce.size != kNonceBytes) throw Failure{EINVAL, call.name()};
  const size_t size = call.count(6);
  const Bytes also = call.bytes(3);
  if (size > INT_MAX - kTagBytes || also.size > INT_MAX) throw Failure{EINVAL, call.name()};
  uint8_t* data = call.bytes(4).range(call.count(5), size + tagBytes, call.name());
  return {Aead::ofThread(call, call.count(0)), key.data, nonce.data, also, data, size};
}

}  // namespace

napi_value encryptBody(const Call& call) {
  const Arguments given = argumentsOf(call, kTagBytes);
  EVP_CIPHER_CTX* context = given.aead.begin(given.key, given.nonce, given.also, true);
  int done = 0;
  if (given.size > 0) {
    demand(EVP_EncryptUpdate(context, given.data, &done, given.data, static_cast<int>(given.size)) == 1);
  }
  demand(EVP_EncryptFinal_ex(context, given.data + given.size, &done) == 1);
  demand(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, given.data + given.size) == 1);
  given.aead.end();
  return call.nothing();
}

napi_value decryptBody(const Call& call) {
  const Arguments given = argumentsOf(call, kTagBytes);
  EVP_CIPHER_CTX* context = given.aead.begin(given.key, given.nonce, given.also, false);
  int done = 0;
  demand(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, given.data + given.size) == 1);
  if (given.size > 0) {
    demand(EVP_DecryptUpdate(context, given.data, &done, given.data, static_cast<int>(given.size)) == 1);
  }
  const bool isTrue = EVP_DecryptFinal_ex(context, given.data + given.size, &done) == 1;
  given.aead.end();
  return call.boolean(isTrue);
}

}  // namespace tardis::calls
