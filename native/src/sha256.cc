// SHA-256 by the OpenSSL in Node.
#include "sha256.h"

#include <openssl/evp.h>

#include "call.h"

namespace tardis {

namespace {

void demand(bool done) {
  if (!done) throw Failure{EIO, "sha256", nullptr, "SHA-256 is not available"};
}

}  // namespace

Sha256& Sha256::ofThread() {
  static thread_local Sha256 instance;
  return instance;
}

// Fetching searches the providers under a lock, so it is done once.
Sha256::Sha256() : method_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(method_);
}

void Sha256::start() {
  demand(method_ != nullptr && context_ != nullptr && EVP_DigestInit_ex2(context_, method_, nullptr) == 1);
}

void Sha256::add(const void* data, size_t size) { demand(EVP_DigestUpdate(context_, data, size) == 1); }

void Sha256::finish(uint8_t* digest) { demand(EVP_DigestFinal_ex(context_, digest, nullptr) == 1); }

void sha256Of(const void* data, size_t size, uint8_t* digest) {
  Sha256& hash = Sha256::ofThread();
  hash.start();
  hash.add(data, size);
  hash.finish(digest);
}

}  // namespace tardis
