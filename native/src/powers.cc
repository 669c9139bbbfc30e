// Modular exponentiation by the OpenSSL in Node, in constant time, on a thread of libuv's pool.
#include <openssl/bn.h>
#include <openssl/crypto.h>

#include <memory>
#include <vector>

#include "calls.h"

namespace tardis::calls {

namespace {

constexpr size_t kMostBytes = 1024;  // 8192 bits: the largest group of RFC 5054

// Clears a number before it is freed, since all of them contain or depend on secrets.
struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_clear_free(number); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;

Number numberOf(const Bytes& bytes) {
  Number number(BN_bin2bn(bytes.data, static_cast<int>(bytes.size), nullptr));
  if (!number) throw Failure{ENOMEM, "modPow"};
  return number;
}

struct Job {
  Number base, exponent, modulus;
  std::vector<uint8_t> result;
  bool isDone = false;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;

  ~Job() { OPENSSL_cleanse(result.data(), result.size()); }
};

void compute(napi_env, void* data) {
  auto* job = static_cast<Job*>(data);
  const Number power(BN_secure_new());
  BN_CTX* context = BN_CTX_secure_new();
  BN_set_flags(job->exponent.get(), BN_FLG_CONSTTIME);
  job->isDone = power && context != nullptr &&
                BN_mod_exp_mont_consttime(power.get(), job->base.get(), job->exponent.get(), job->modulus.get(),
                                          context, nullptr) == 1 &&
                BN_bn2binpad(power.get(), job->result.data(), static_cast<int>(job->result.size())) >= 0;
  BN_CTX_free(context);
}

void finish(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  napi_value value = nullptr;
  if (status == napi_ok && job->isDone &&
      napi_create_buffer_copy(env, job->result.size(), job->result.data(), nullptr, &value) == napi_ok) {
    napi_resolve_deferred(env, job->deferred, value);
  } else {
    napi_value text = nullptr;
    napi_create_string_utf8(env, "modPow could not be computed", NAPI_AUTO_LENGTH, &text);
    napi_create_error(env, nullptr, text, &value);
    napi_reject_deferred(env, job->deferred, value);
  }
  napi_delete_async_work(env, job->work);
}

}  // namespace

napi_value modPow(const Call& call) {
  const Bytes base = call.bytes(0), exponent = call.bytes(1), modulus = call.bytes(2);
  const bool isOdd = modulus.size > 0 && (modulus.data[modulus.size - 1] & 1) == 1;
  if (!isOdd || modulus.size > kMostBytes || base.size > kMostBytes || exponent.size > kMostBytes) {
    throw Failure{EINVAL, call.name(), nullptr, "numbers have up to 1024 bytes, and the modulus is odd"};
  }
  auto job = std::make_unique<Job>();
  job->base = numberOf(base);
  job->exponent = numberOf(exponent);
  job->modulus = numberOf(modulus);
  job->result.resize(modulus.size);

  napi_env env = call.env();
  napi_value name = nullptr, promise = nullptr;
  if (napi_create_string_utf8(env, "modPow", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_promise(env, &job->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, compute, finish, job.get(), &job->work) != napi_ok ||
      napi_queue_async_work(env, job->work) != napi_ok) {
    throw Failure{ENOMEM, call.name()};
  }
  job.release();  // `finish` takes ownership back
  return promise;
}

}  // namespace tardis::calls
