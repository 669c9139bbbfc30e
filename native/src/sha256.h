// SHA-256 by the OpenSSL in Node. Each thread has one context, so that a small input costs little more than the hashing
// of its bytes.
#pragma once

#include <cstddef>
#include <cstdint>

struct evp_md_st;
struct evp_md_ctx_st;

namespace tardis {

class Sha256 {
 public:
  // Returns this thread's context. A digest must be finished before the next one is started.
  static Sha256& ofThread();

  void start();
  void add(const void* data, size_t size);
  void finish(uint8_t* digest);  // 32 bytes

  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

 private:
  Sha256();
  ~Sha256();

  evp_md_st* method_;
  evp_md_ctx_st* context_;
};

// Computes the digest of one input, of 32 bytes.
void sha256Of(const void* data, size_t size, uint8_t* digest);

}  // namespace tardis
