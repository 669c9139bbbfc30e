// SHA-256 (FIPS 180-4) by the instructions of x86 processors. A *lane* hashes one input after the other; two lanes advance
// block by block in turn, so that the instructions of one fill the time in which those of the other wait.
#include "sha256-lanes.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace tardis {

namespace {

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))

constexpr size_t kBlockBytes = 64;
constexpr size_t kLengthBytes = 8;
constexpr int kQuads = 16;  // of rounds in a block

alignas(16) constexpr uint32_t kRounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The eight words of a state, in the order in which the instructions take them: A, B, E, F and C, D, G, H, highest first.
struct State {
  __m128i abef;
  __m128i cdgh;
};

// Returns the state before the first block: the words a to h of FIPS 180-4, 5.3.3.
State firstState() {
  return {_mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f, static_cast<int>(0x9b05688c)),
          _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19)};
}

// One input on its way: first the whole blocks of its data, then one or two blocks with the rest, the padding and the
// length.
class Lane {
 public:
  State state;
  const uint8_t* at = nullptr;  // the next block
  size_t blocks = 0;            // blocks that follow one another from there

  void begin(const ToDigest& input) {
    state = firstState();
    digest_ = input.digest;
    at = input.data;
    blocks = input.size / kBlockBytes;
    const size_t rest = input.size % kBlockBytes;
    lastBlocks_ = rest + 1 + kLengthBytes <= kBlockBytes ? 1 : 2;
    memset(last_, 0, sizeof last_);
    if (rest > 0) memcpy(last_, input.data + input.size - rest, rest);
    last_[rest] = 0x80;
    const uint64_t bits = __builtin_bswap64(static_cast<uint64_t>(input.size) * 8);
    memcpy(last_ + lastBlocks_ * kBlockBytes - kLengthBytes, &bits, sizeof bits);
    isLast_ = false;
    if (blocks == 0) advance();
  }

  // Continues with the last blocks once those of the data are done. False if the input is finished; its digest is then
  // written.
  bool advance() {
    if (isLast_) {
      finish();
      return false;
    }
    isLast_ = true;
    at = last_;
    blocks = lastBlocks_;
    return true;
  }

 private:
  void finish() const {
    uint32_t abef[4];
    uint32_t cdgh[4];
    memcpy(abef, &state.abef, sizeof abef);
    memcpy(cdgh, &state.cdgh, sizeof cdgh);
    const uint32_t words[8] = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
    for (size_t word = 0; word < 8; ++word) {
      const uint32_t big = __builtin_bswap32(words[word]);
      memcpy(digest_ + word * sizeof big, &big, sizeof big);
    }
  }

  uint8_t* digest_ = nullptr;
  bool isLast_ = false;
  size_t lastBlocks_ = 0;
  uint8_t last_[2 * kBlockBytes];
};

// Hashes `blocks` blocks of each of `kLanes` lanes, and moves the lanes behind them.
template <int kLanes>
SHA_TARGET void hashBlocks(Lane* const (&lanes)[kLanes], size_t blocks) {
  const __m128i bigEndian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  for (size_t block = 0; block < blocks; ++block) {
    __m128i words[kLanes][4];
    State now[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      now[lane] = lanes[lane]->state;
      for (int quad = 0; quad < 4; ++quad) {
        const auto* from = reinterpret_cast<const __m128i*>(lanes[lane]->at + 16 * quad);
        words[lane][quad] = _mm_shuffle_epi8(_mm_loadu_si128(from), bigEndian);
      }
      lanes[lane]->at += kBlockBytes;
    }
#pragma GCC unroll 16
    for (int quad = 0; quad < kQuads; ++quad) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRounds + 4 * quad));
#pragma GCC unroll 2
      for (int lane = 0; lane < kLanes; ++lane) {
        __m128i(&w)[4] = words[lane];
        State& s = now[lane];
        const __m128i sums = _mm_add_epi32(w[quad % 4], constants);
        s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sums);
        s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sums, 0x0e));
        if (quad >= kQuads - 4) continue;  // the words of later rounds are known
        const __m128i middle = _mm_alignr_epi8(w[(quad + 3) % 4], w[(quad + 2) % 4], 4);
        const __m128i half = _mm_add_epi32(_mm_sha256msg1_epu32(w[quad % 4], w[(quad + 1) % 4]), middle);
        w[quad % 4] = _mm_sha256msg2_epu32(half, w[(quad + 3) % 4]);
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      State& state = lanes[lane]->state;
      state.abef = _mm_add_epi32(state.abef, now[lane].abef);
      state.cdgh = _mm_add_epi32(state.cdgh, now[lane].cdgh);
    }
  }
  for (Lane* lane : lanes) lane->blocks -= blocks;
}

constexpr unsigned kSsse3 = 1u << 9;   // ecx of leaf 1
constexpr unsigned kSse41 = 1u << 19;  // ecx of leaf 1
constexpr unsigned kSha = 1u << 29;    // ebx of leaf 7

}  // namespace

bool hasLanes() {
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSsse3) == 0 || (c & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

void digestInLanes(const ToDigest* inputs, size_t count) {
  Lane both[2];
  Lane* free[2] = {&both[0], &both[1]};
  size_t frees = 2;
  size_t next = 0;
  Lane* busy[2];
  size_t used = 0;
  while (next < count || used > 0) {
    while (frees > 0 && next < count) {
      busy[used] = free[--frees];
      busy[used++]->begin(inputs[next++]);
    }
    if (used == 2) {
      hashBlocks<2>({busy[0], busy[1]}, std::min(busy[0]->blocks, busy[1]->blocks));
    } else {
      hashBlocks<1>({busy[0]}, busy[0]->blocks);
    }
    for (size_t index = used; index-- > 0;) {
      if (busy[index]->blocks > 0 || busy[index]->advance()) continue;
      free[frees++] = busy[index];
      busy[index] = busy[--used];
    }
  }
}

}  // namespace tardis

#else

namespace tardis {

bool hasLanes() { return false; }

void digestInLanes(const ToDigest*, size_t) {}

}  // namespace tardis

#endif
