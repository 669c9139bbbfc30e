// Computes CRC-32 (that of zlib) by carry-less multiplication, which is many times as fast as tables. Other processors
// use a table for each of eight bytes.
#include <cstring>

#include "calls.h"
#include "encoding.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tardis {

namespace {

constexpr size_t kAtOnce = 8;

// The remainders of all bytes, for the polynomial 0x04c11db7 with its bits reversed. The n-th row has those of a byte
// that n bytes follow.
struct Table {
  constexpr Table() : of() {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xedb88320 : 0);
      of[0][byte] = rest;
    }
    for (size_t after = 1; after < kAtOnce; ++after) {
      for (uint32_t byte = 0; byte < 256; ++byte) {
        const uint32_t rest = of[after - 1][byte];
        of[after][byte] = (rest >> 8) ^ of[0][rest & 0xff];
      }
    }
  }
  uint32_t of[kAtOnce][256];
};

constexpr Table kTable;

uint32_t added(uint32_t rest, const uint8_t* data, size_t size) {
  for (; size >= kAtOnce; size -= kAtOnce, data += kAtOnce) {
    uint8_t bytes[kAtOnce];
    memcpy(bytes, data, sizeof bytes);
    for (size_t at = 0; at < sizeof rest; ++at) bytes[at] ^= static_cast<uint8_t>(rest >> (8 * at));
    rest = 0;
    for (size_t at = 0; at < kAtOnce; ++at) rest ^= kTable.of[kAtOnce - 1 - at][bytes[at]];
  }
  for (size_t at = 0; at < size; ++at) rest = (rest >> 8) ^ kTable.of[0][(rest ^ data[at]) & 0xff];
  return rest;
}

#if defined(__x86_64__)

constexpr size_t kLane = 16;
constexpr size_t kBlock = 4 * kLane;

// Folds 16 bytes (`lane`) into the 16 bytes that follow at the distance of `factors` (`there`). The remainder stays the
// same.
__attribute__((target("pclmul,sse2"))) inline __m128i moved(__m128i lane, __m128i factors, __m128i there) {
  const __m128i low = _mm_clmulepi64_si128(lane, factors, 0x00);
  const __m128i high = _mm_clmulepi64_si128(lane, factors, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

__attribute__((target("pclmul,sse2"))) inline __m128i lane(const uint8_t* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

// Folds bytes into 16 bytes, and returns the remainder of these, which is that of all bytes. `size` is at least one
// block, and a multiple of 16. The factors are powers of x modulo the polynomial, with their bits reversed. A pair of
// factors stands for a distance: 64 bytes (`byBlock`) or 16 bytes (`byLane`). The exponents of a pair are the distance
// in bits less 32, and the distance in bits plus 32.
__attribute__((target("pclmul,sse2"))) uint32_t folded(uint32_t rest, const uint8_t* data, size_t size) {
  const __m128i byBlock = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i byLane = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const uint8_t* const end = data + size;
  __m128i lanes[4] = {lane(data), lane(data + kLane), lane(data + 2 * kLane), lane(data + 3 * kLane)};
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(static_cast<int>(rest)));
  for (data += kBlock; static_cast<size_t>(end - data) >= kBlock; data += kBlock) {
    lanes[0] = moved(lanes[0], byBlock, lane(data));
    lanes[1] = moved(lanes[1], byBlock, lane(data + kLane));
    lanes[2] = moved(lanes[2], byBlock, lane(data + 2 * kLane));
    lanes[3] = moved(lanes[3], byBlock, lane(data + 3 * kLane));
  }
  __m128i last = moved(lanes[0], byLane, lanes[1]);
  last = moved(last, byLane, lanes[2]);
  last = moved(last, byLane, lanes[3]);
  for (; data < end; data += kLane) last = moved(last, byLane, lane(data));
  uint8_t bytes[kLane];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), last);
  return added(0, bytes, sizeof bytes);
}

bool isFast() {
  static const bool has = __builtin_cpu_supports("pclmul") != 0;
  return has;
}

#endif

}  // namespace

uint32_t crc32Of(const uint8_t* data, size_t size, uint32_t before) {
  uint32_t rest = ~before;
#if defined(__x86_64__)
  if (isFast() && size >= kBlock) {
    const size_t whole = size - size % kLane;
    rest = folded(rest, data, whole);
    data += whole;
    size -= whole;
  }
#endif
  return ~added(rest, data, size);
}

namespace calls {

napi_value crc32(const Call& call) {
#if defined(__x86_64__)
  if (isFast()) {
    const Bytes data = call.bytes(0);
    return call.number(crc32Of(data.data, data.size, call.bits(1)));
  }
#endif
  return call.nothing();
}

}  // namespace calls

}  // namespace tardis
