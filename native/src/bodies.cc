// Authenticated encryption of bodies, in place: AES-256-GCM and ChaCha20-Poly1305, from the OpenSSL in Node.
#include <openssl/evp.h>

#include <climits>

#include "bodies.h"
#include "calls.h"
#include "encoding.h"

namespace tardis {

namespace {

void demand(bool done) {
  if (!done) throw Failure{EIO, "encrypt", nullptr, "a cipher is not available"};
}

// A cipher of this thread. It is fetched once, because fetching searches the providers under a lock.
class Aead {
 public:
  static Aead& ofThread(size_t cipher) {
    static thread_local Aead gcm("AES-256-GCM");
    static thread_local Aead chacha("ChaCha20-Poly1305");
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
  size_t cipher;
  const uint8_t* key;
  const uint8_t* nonce;
  Bytes also;
  uint8_t* data;
  size_t size;
};

Arguments argumentsOf(const Call& call) {
  const size_t cipher = call.count(0);
  if (cipher >= kBodyCiphers) throw Failure{EINVAL, call.name(), nullptr, "no such cipher"};
  const Bytes key = call.bytes(1), nonce = call.bytes(2);
  if (key.size != kBodyKeyBytes || nonce.size != kBodyNonceBytes) throw Failure{EINVAL, call.name()};
  const size_t size = call.count(6);
  const Bytes also = call.bytes(3);
  if (size > INT_MAX - kBodyTagBytes || also.size > INT_MAX) throw Failure{EINVAL, call.name()};
  uint8_t* data = call.bytes(4).range(call.count(5), size + kBodyTagBytes, call.name());
  return {cipher, key.data, nonce.data, also, data, size};
}

}  // namespace

bool decryptInPlace(size_t cipher, const uint8_t* key, const uint8_t* nonce, const Bytes& also, uint8_t* data,
                    size_t size) {
  Aead& aead = Aead::ofThread(cipher);
  EVP_CIPHER_CTX* context = aead.begin(key, nonce, also, false);
  int done = 0;
  demand(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kBodyTagBytes, data + size) == 1);
  if (size > 0) demand(EVP_DecryptUpdate(context, data, &done, data, static_cast<int>(size)) == 1);
  const bool isTrue = EVP_DecryptFinal_ex(context, data + size, &done) == 1;
  aead.end();
  return isTrue;
}

void encryptInPlace(size_t cipher, const uint8_t* key, const uint8_t* nonce, const Bytes& also, uint8_t* data,
                    size_t size) {
  Aead& aead = Aead::ofThread(cipher);
  EVP_CIPHER_CTX* context = aead.begin(key, nonce, also, true);
  int done = 0;
  if (size > 0) demand(EVP_EncryptUpdate(context, data, &done, data, static_cast<int>(size)) == 1);
  demand(EVP_EncryptFinal_ex(context, data + size, &done) == 1);
  demand(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kBodyTagBytes, data + size) == 1);
  aead.end();
}

namespace calls {

napi_value encryptBody(const Call& call) {
  const Arguments given = argumentsOf(call);
  encryptInPlace(given.cipher, given.key, given.nonce, given.also, given.data, given.size);
  return call.nothing();
}

napi_value decryptBody(const Call& call) {
  const Arguments given = argumentsOf(call);
  return call.boolean(decryptInPlace(given.cipher, given.key, given.nonce, given.also, given.data, given.size));
}

}  // namespace calls

}  // namespace tardis
