// BLAKE2b. One code hashes a message in words of 64 bits, and four or eight messages in vectors of the compiler: a vector has
// a word of each. Eight take AVX-512, with its rotations, and four AVX2; pairs of words are no faster than single ones.
#include "blake2.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tardis {

namespace {

constexpr size_t kMessageBytes = 128;  // in a block
constexpr int kRounds = 12;
constexpr uint64_t kParameters = 0x01010000 | kBlake2Bytes;  // no tree, no key, the length of the sum

constexpr uint64_t kStart[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
constexpr uint8_t kOrder[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

#define TARDIS_INLINE inline __attribute__((always_inline))

// The function G of the RFC.
template <class Word>
TARDIS_INLINE void mix(Word* v, int a, int b, int c, int d, const Word& x, const Word& y) {
  v[a] += v[b] + x;
  v[d] ^= v[a];
  v[d] = v[d] >> 32 | v[d] << 32;
  v[c] += v[d];
  v[b] ^= v[c];
  v[b] = v[b] >> 24 | v[b] << 40;
  v[a] += v[b] + y;
  v[d] ^= v[a];
  v[d] = v[d] >> 16 | v[d] << 48;
  v[c] += v[d];
  v[b] ^= v[c];
  v[b] = v[b] >> 63 | v[b] << 1;
}

template <int kRound, class Word>
TARDIS_INLINE void mixRound(Word* v, const Word* m) {
  constexpr const uint8_t* order = kOrder[kRound % 10];
  mix(v, 0, 4, 8, 12, m[order[0]], m[order[1]]);
  mix(v, 1, 5, 9, 13, m[order[2]], m[order[3]]);
  mix(v, 2, 6, 10, 14, m[order[4]], m[order[5]]);
  mix(v, 3, 7, 11, 15, m[order[6]], m[order[7]]);
  mix(v, 0, 5, 10, 15, m[order[8]], m[order[9]]);
  mix(v, 1, 6, 11, 12, m[order[10]], m[order[11]]);
  mix(v, 2, 7, 8, 13, m[order[12]], m[order[13]]);
  mix(v, 3, 4, 9, 14, m[order[14]], m[order[15]]);
}

// The rounds are unrolled, so that the order of each is known to the compiler: a loop takes 1.5 times as long.
template <class Word, int... kEach>
TARDIS_INLINE void mixAll(Word* v, const Word* m, std::integer_sequence<int, kEach...>) {
  (mixRound<kEach>(v, m), ...);
}

// Takes a block into the state `h`. `bytes` is the number of bytes up to its end.
template <class Word>
TARDIS_INLINE void takeBlock(Word* h, const Word* m, uint64_t bytes, bool isLast) {
  Word v[16];
  for (int i = 0; i < 8; ++i) {
    v[i] = h[i];
    v[i + 8] = Word{} + kStart[i];
  }
  v[12] ^= Word{} + bytes;
  if (isLast) v[14] = ~v[14];
  mixAll(v, m, std::make_integer_sequence<int, kRounds>{});
  for (int i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
}

// Hashes as many messages of whole blocks as there are lanes. The order of the words is known to the compiler here, too.
template <size_t kLanes, class Lanes>
TARDIS_INLINE void hashMessages(const uint8_t* data, size_t size, uint8_t (*sums)[kBlake2Bytes]) {
  Lanes h[8];
  for (int i = 0; i < 8; ++i) h[i] = Lanes{} + kStart[i];
  h[0] ^= Lanes{} + kParameters;
  for (size_t at = 0; at < size; at += kMessageBytes) {
    Lanes m[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; ++i) {
      uint64_t words[kLanes];
#pragma GCC unroll 8
      for (size_t lane = 0; lane < kLanes; ++lane) memcpy(&words[lane], data + lane * size + at + 8 * i, 8);
      memcpy(&m[i], words, sizeof words);
    }
    takeBlock(h, m, at + kMessageBytes, at + kMessageBytes == size);
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t i = 0; i < kBlake2Bytes / 8; ++i) {
      const uint64_t word = h[i][lane];
      memcpy(sums[lane] + 8 * i, &word, 8);
    }
  }
}

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void hashEight(const uint8_t* data, size_t size, uint8_t (*sums)[kBlake2Bytes]) {
  hashMessages<8, uint64_t __attribute__((vector_size(64)))>(data, size, sums);
}

__attribute__((target("avx2"))) void hashFour(const uint8_t* data, size_t size, uint8_t (*sums)[kBlake2Bytes]) {
  hashMessages<4, uint64_t __attribute__((vector_size(32)))>(data, size, sums);
}

// Hashes as many of the messages as the processor can hash at once; returns their number.
size_t hashAtOnce(const uint8_t* data, size_t size, size_t count, uint8_t (*sums)[kBlake2Bytes]) {
  static const bool hasEight = __builtin_cpu_supports("avx512f");
  static const bool hasFour = __builtin_cpu_supports("avx2");
  if (hasEight && count >= 8) return hashEight(data, size, sums), 8;
  if (hasFour && count >= 4) return hashFour(data, size, sums), 4;
  return 0;
}

#else

size_t hashAtOnce(const uint8_t*, size_t, size_t, uint8_t (*)[kBlake2Bytes]) { return 0; }

#endif

}  // namespace

void Blake2::begin() {
  memcpy(state_, kStart, sizeof state_);
  state_[0] ^= kParameters;
  takenBytes_ = 0;
  keptBytes_ = 0;
}

void Blake2::take(const uint8_t* data, size_t size) {
  while (size > 0) {
    if (keptBytes_ == kBlockBytes) {  // more follows, so it is not the last one
      uint64_t m[16];
      memcpy(m, kept_, sizeof m);
      takenBytes_ += kBlockBytes;
      takeBlock(state_, m, takenBytes_, false);
      keptBytes_ = 0;
    }
    const size_t bytes = std::min(size, kBlockBytes - keptBytes_);
    memcpy(kept_ + keptBytes_, data, bytes);
    keptBytes_ += bytes;
    data += bytes;
    size -= bytes;
  }
}

void Blake2::end(uint8_t* sum) {
  uint64_t m[16] = {};
  memcpy(m, kept_, keptBytes_);
  takeBlock(state_, m, takenBytes_ + keptBytes_, true);
  memcpy(sum, state_, kBlake2Bytes);
  begin();
}

void blake2(const uint8_t* data, size_t size, size_t count, uint8_t (*sums)[kBlake2Bytes]) {
  const bool isOfBlocks = size > 0 && size % kMessageBytes == 0;
  Blake2 hash;
  for (size_t i = 0; i < count;) {
    const size_t hashed = isOfBlocks ? hashAtOnce(data + i * size, size, count - i, sums + i) : 0;
    i += hashed;
    if (hashed > 0) continue;
    hash.take(data + i * size, size);
    hash.end(sums[i]);
    i += 1;
  }
}

}  // namespace tardis
