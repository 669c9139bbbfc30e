// Modular exponentiation by the OpenSSL in Node, in constant time, on a thread of libuv's pool.
#include <openssl/bn.h>
#include <openssl/crypto.h>

#include <memory>
#include <vector>

#include "async-work.h"
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

class Power : public AsyncWork {
 public:
  Power(const Bytes& base, const Bytes& exponent, const Bytes& modulus)
      : AsyncWork("modPow"),
        base_(numberOf(base)),
        exponent_(numberOf(exponent)),
        modulus_(numberOf(modulus)),
        power_(modulus.size) {}
  ~Power() override { OPENSSL_cleanse(power_.data(), power_.size()); }

 protected:
  void run() override {
    const Number power(BN_secure_new());
    BN_CTX* context = BN_CTX_secure_new();
    BN_set_flags(exponent_.get(), BN_FLG_CONSTTIME);
    const bool isDone = power && context != nullptr &&
                        BN_mod_exp_mont_consttime(power.get(), base_.get(), exponent_.get(), modulus_.get(), context,
                                                  nullptr) == 1 &&
                        BN_bn2binpad(power.get(), power_.data(), static_cast<int>(power_.size())) >= 0;
    BN_CTX_free(context);
    if (!isDone) throw Failure{ENOMEM, "modPow"};
  }

  napi_value result(napi_env env) override {
    napi_value value = nullptr;
    return napi_create_buffer_copy(env, power_.size(), power_.data(), nullptr, &value) == napi_ok ? value : nullptr;
  }

  napi_value error(napi_env env, const Failure&) override {
    napi_value text = nullptr, value = nullptr;
    napi_create_string_utf8(env, "modPow could not be computed", NAPI_AUTO_LENGTH, &text);
    napi_create_error(env, nullptr, text, &value);
    return value;
  }

 private:
  const Number base_, exponent_, modulus_;
  std::vector<uint8_t> power_;
};

}  // namespace

napi_value modPow(const Call& call) {
  const Bytes base = call.bytes(0), exponent = call.bytes(1), modulus = call.bytes(2);
  const bool isOdd = modulus.size > 0 && (modulus.data[modulus.size - 1] & 1) == 1;
  if (!isOdd || modulus.size > kMostBytes || base.size > kMostBytes || exponent.size > kMostBytes) {
    throw Failure{EINVAL, call.name(), nullptr, "numbers have up to 1024 bytes, and the modulus is odd"};
  }
  return AsyncWork::start(std::make_unique<Power>(base, exponent, modulus), call);
}

}  // namespace tardis::calls
