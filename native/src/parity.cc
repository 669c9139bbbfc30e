// Arithmetic in GF(256) for parity: the field of the polynomial x^8 + x^4 + x^3 + x^2 + 1, as in docs/inside/formats.md.
#include <cstring>

#include "calls.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tardis::calls {

namespace {

constexpr unsigned kPolynomial = 0x11d;

uint8_t product(unsigned a, unsigned b) {
  unsigned result = 0;
  for (; b != 0; b >>= 1) {
    if (b & 1) result ^= a;
    a <<= 1;
    if (a & 0x100) a ^= kPolynomial;
  }
  return static_cast<uint8_t>(result);
}

// Products of a factor with each value of the low four bits of a byte, and with each value of the high four bits.
struct Halves {
  alignas(16) uint8_t low[16];
  alignas(16) uint8_t high[16];

  explicit Halves(unsigned factor) {
    for (unsigned half = 0; half < 16; half++) {
      low[half] = product(factor, half);
      high[half] = product(factor, half << 4);
    }
  }
};

// A function that adds a multiple of `source` to `target`, and returns the number of bytes that it has processed. It
// processes whole vectors only.
using Adder = size_t (*)(uint8_t* target, const uint8_t* source, size_t size, const Halves& halves);

#if defined(__x86_64__)

__attribute__((target("avx2"))) size_t addAvx2(uint8_t* target, const uint8_t* source, size_t size,
                                               const Halves& halves) {
  const __m256i low = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(halves.low)));
  const __m256i high = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(halves.high)));
  const __m256i mask = _mm256_set1_epi8(15);
  size_t at = 0;
  for (; at + 32 <= size; at += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + at));
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi64(bytes, 4), mask);
    const __m256i sum = _mm256_xor_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(bytes, mask)),
                                         _mm256_shuffle_epi8(high, upper));
    __m256i* into = reinterpret_cast<__m256i*>(target + at);
    _mm256_storeu_si256(into, _mm256_xor_si256(_mm256_loadu_si256(into), sum));
  }
  return at;
}

__attribute__((target("ssse3"))) size_t addSsse3(uint8_t* target, const uint8_t* source, size_t size,
                                                 const Halves& halves) {
  const __m128i low = _mm_load_si128(reinterpret_cast<const __m128i*>(halves.low));
  const __m128i high = _mm_load_si128(reinterpret_cast<const __m128i*>(halves.high));
  const __m128i mask = _mm_set1_epi8(15);
  size_t at = 0;
  for (; at + 16 <= size; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + at));
    const __m128i upper = _mm_and_si128(_mm_srli_epi64(bytes, 4), mask);
    const __m128i sum =
        _mm_xor_si128(_mm_shuffle_epi8(low, _mm_and_si128(bytes, mask)), _mm_shuffle_epi8(high, upper));
    __m128i* into = reinterpret_cast<__m128i*>(target + at);
    _mm_storeu_si128(into, _mm_xor_si128(_mm_loadu_si128(into), sum));
  }
  return at;
}

#elif defined(__aarch64__)

size_t addNeon(uint8_t* target, const uint8_t* source, size_t size, const Halves& halves) {
  const uint8x16_t low = vld1q_u8(halves.low);
  const uint8x16_t high = vld1q_u8(halves.high);
  const uint8x16_t mask = vdupq_n_u8(15);
  size_t at = 0;
  for (; at + 16 <= size; at += 16) {
    const uint8x16_t bytes = vld1q_u8(source + at);
    const uint8x16_t sum =
        veorq_u8(vqtbl1q_u8(low, vandq_u8(bytes, mask)), vqtbl1q_u8(high, vshrq_n_u8(bytes, 4)));
    vst1q_u8(target + at, veorq_u8(vld1q_u8(target + at), sum));
  }
  return at;
}

#endif

size_t addNothing(uint8_t*, const uint8_t*, size_t, const Halves&) { return 0; }

Adder bestAdder() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return addAvx2;
  if (__builtin_cpu_supports("ssse3")) return addSsse3;
#elif defined(__aarch64__)
  return addNeon;
#endif
  return addNothing;
}

// Adds a multiple of `source` to `target` without vector instructions. Used for the bytes that an Adder leaves, fewer
// than a vector has. Used for all bytes if the processor lacks such instructions, or if `isPlain`.
void addPlain(uint8_t* target, const uint8_t* source, size_t size, const Halves& halves) {
  uint8_t products[256];
  const size_t worthATable = 256;
  if (size < worthATable) {
    for (size_t at = 0; at < size; at++) target[at] ^= halves.low[source[at] & 15] ^ halves.high[source[at] >> 4];
    return;
  }
  for (unsigned byte = 0; byte < 256; byte++) products[byte] = halves.low[byte & 15] ^ halves.high[byte >> 4];
  for (size_t at = 0; at < size; at++) target[at] ^= products[source[at]];
}

// Adds `source` itself to `target`. The compiler uses vector instructions for this loop.
void addAsIs(uint8_t* target, const uint8_t* source, size_t size) {
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t a, b;
    memcpy(&a, target + at, 8);
    memcpy(&b, source + at, 8);
    a ^= b;
    memcpy(target + at, &a, 8);
  }
  for (; at < size; at++) target[at] ^= source[at];
}

}  // namespace

// multiplyAdd(target, targetAt, source, sourceAt, bytes, factor, isPlain)
// Adds `factor` times a range of `source` to a range of `target`; `isPlain` avoids vector instructions.
napi_value multiplyAdd(const Call& call) {
  static const Adder best = bestAdder();
  const size_t size = call.count(4);
  uint8_t* target = call.bytes(0).range(call.count(1), size, call.name());
  const uint8_t* source = call.bytes(2).range(call.count(3), size, call.name());
  const unsigned factor = call.bits(5);
  if (factor > 255) throw Failure{EINVAL, call.name(), nullptr, "a factor is a byte"};
  const bool isPlain = call.truth(6);
  if (factor == 0) return call.nothing();
  if (factor == 1 && !isPlain) {
    addAsIs(target, source, size);
    return call.nothing();
  }
  const Halves halves(factor);
  const size_t done = isPlain ? 0 : best(target, source, size, halves);
  addPlain(target + done, source + done, size - done, halves);
  return call.nothing();
}

}  // namespace tardis::calls
