// Makes signatures, and loads and indexes those of others.
#include "block-sums.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

#include "call.h"

namespace tardis {

namespace {

constexpr uint32_t kMagic = 0x72730147;  // rolling sums by Rabin and Karp, strong sums by BLAKE2
constexpr size_t kHeaderBytes = 12;      // magic, length of blocks, length of strong sums
constexpr size_t kWeakBytes = 4;

constexpr int kFilterBits = 6;    // log2 of the filter's bits for each block: 1.5 % of other data pass
constexpr int kLeastFilter = 16;  // log2 of all bits
constexpr int kMostFilter = 23;   // 1 MiB, which the second cache of a processor holds

// Slots that are looked at for a sum. In half-full tables of usual sums, hardly any needs more. A hostile signature, the
// sums of which all want the same slot, has its other blocks left out of the index.
constexpr size_t kMostProbes = 64;

uint32_t bigEndian(const uint8_t* from) {
  return uint32_t{from[0]} << 24 | uint32_t{from[1]} << 16 | uint32_t{from[2]} << 8 | from[3];
}

[[noreturn]] void refuse(const char* why) { throw Failure{0, "rsyncStep", "ERSYNC", why}; }

// Bytes of a step. Each is multiplied by the power for its place in the step once, at the end.
constexpr size_t kStep = 64;

struct Powers {
  alignas(64) uint32_t ofPlace[kStep];
  uint32_t ofStep;
};

constexpr Powers powersOfBase() {
  Powers powers{};
  uint32_t power = 1;
  for (size_t place = kStep; place-- > 0; power *= kWeakBase) powers.ofPlace[place] = power;
  powers.ofStep = power;
  return powers;
}

constexpr Powers kPowers = powersOfBase();

#if defined(__x86_64__)

// Takes the whole steps into a sum. The compiler's own vectors take six times as long: they widen bytes in halves.
__attribute__((target("avx2"))) uint32_t weakSteps(const uint8_t* data, size_t steps, uint32_t sum) {
  constexpr size_t kLanes = 8;
  constexpr size_t kVectors = kStep / kLanes;
  const __m256i ofStep = _mm256_set1_epi32(static_cast<int>(kPowers.ofStep));
  __m256i places[kVectors];
  for (__m256i& place : places) place = _mm256_setzero_si256();
  for (size_t step = 0; step < steps; ++step, data += kStep) {
    sum *= kPowers.ofStep;
#pragma GCC unroll 8
    for (size_t i = 0; i < kVectors; ++i) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(data + i * kLanes));
      places[i] = _mm256_add_epi32(_mm256_mullo_epi32(places[i], ofStep), _mm256_cvtepu8_epi32(bytes));
    }
  }
  __m256i all = _mm256_setzero_si256();
  for (size_t i = 0; i < kVectors; ++i) {
    const __m256i powers = _mm256_load_si256(reinterpret_cast<const __m256i*>(kPowers.ofPlace + i * kLanes));
    all = _mm256_add_epi32(all, _mm256_mullo_epi32(places[i], powers));
  }
  alignas(32) uint32_t lanes[kLanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), all);
  for (const uint32_t lane : lanes) sum += lane;
  return sum;
}

bool hasSteps() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

#else

uint32_t weakSteps(const uint8_t*, size_t, uint32_t sum) { return sum; }

bool hasSteps() { return false; }

#endif

}  // namespace

uint32_t weakSum(const uint8_t* data, size_t size, uint32_t before) {
  const size_t steps = hasSteps() ? size / kStep : 0;
  uint32_t sum = steps == 0 ? before : weakSteps(data, steps, before);
  size_t at = steps * kStep;
  constexpr size_t kFew = 16;
  // The products of some bytes do not wait for one another.
  for (; at + kFew <= size; at += kFew) {
    uint32_t few = 0;
    for (size_t i = 0; i < kFew; ++i) few += data[at + i] * kPowers.ofPlace[kStep - kFew + i];
    sum = sum * kPowers.ofPlace[kStep - kFew - 1] + few;
  }
  for (; at < size; ++at) sum = sum * kWeakBase + data[at];
  return sum;
}

uint32_t weakPower(size_t bytes) {
  uint32_t power = 1;
  for (uint32_t square = kWeakBase; bytes > 0; bytes >>= 1, square *= square) {
    if ((bytes & 1) != 0) power *= square;
  }
  return power;
}

BlockSigner::BlockSigner(size_t blockBytes, size_t strongBytes) : blockBytes_(blockBytes), strongBytes_(strongBytes) {
  putNumber(kMagic, 4);
  putNumber(blockBytes, 4);
  putNumber(strongBytes, 4);
}

void BlockSigner::push(const uint8_t* data, size_t size, bool isLast) {
  while (size > 0) {
    if (begunBytes_ == 0) {
      const size_t done = whole(data, size);
      data += done;
      size -= done;
    }
    const size_t bytes = std::min(size, blockBytes_ - begunBytes_);
    weak_ = weakSum(data, bytes, weak_);
    strong_.take(data, bytes);
    begunBytes_ += bytes;
    data += bytes;
    size -= bytes;
    if (begunBytes_ == blockBytes_) endBlock();
  }
  if (isLast && begunBytes_ > 0) endBlock();
}

void BlockSigner::endBlock() {
  uint8_t strong[kBlake2Bytes];
  strong_.end(strong);
  putSum(weak_, strong);
  begunBytes_ = 0;
  weak_ = kWeakOfNothing;
}

// Adds the sums of the whole blocks. Returns their bytes.
size_t BlockSigner::whole(const uint8_t* data, size_t size) {
  uint8_t strong[kBlake2Lanes][kBlake2Bytes];
  size_t at = 0;
  while (size - at >= blockBytes_) {
    const size_t count = std::min(kBlake2Lanes, (size - at) / blockBytes_);
    blake2(data + at, blockBytes_, count, strong);
    for (size_t i = 0; i < count; ++i) putSum(weakSum(data + at + i * blockBytes_, blockBytes_), strong[i]);
    at += count * blockBytes_;
  }
  return at;
}

void BlockSigner::putSum(uint32_t weak, const uint8_t* strong) {
  putNumber(weak, kWeakBytes);
  put(strong, strongBytes_);
}

BlockSums::BlockSums(uint64_t signedBytes, size_t mostBlocks, size_t mostBlockBytes, uint64_t from)
    : signedBytes_(signedBytes),
      mostBlocks_(mostBlocks),
      mostBlockBytes_(std::min(mostBlockBytes, kMostBlockBytes)),
      from_(from) {}

void BlockSums::take(const uint8_t* data, size_t size, bool isLast) {
  if (header_.size() < kHeaderBytes) {
    const size_t bytes = std::min(size, kHeaderBytes - header_.size());
    header_.insert(header_.end(), data, data + bytes);
    data += bytes;
    size -= bytes;
    if (header_.size() == kHeaderBytes) checkHeader();
  }
  const size_t wantedBytes = count_ * sumBytes_;
  if (size > wantedBytes - signature_.size()) refuse("more sums than its content has blocks");
  signature_.insert(signature_.end(), data, data + size);
  if (!isLast) return;
  if (header_.size() < kHeaderBytes || signature_.size() < wantedBytes) refuse("it does not match its content");
  isWhole_ = true;
}

void BlockSums::checkHeader() {
  const size_t strongBytes = bigEndian(&header_[8]);
  blockBytes_ = bigEndian(&header_[4]);
  if (bigEndian(&header_[0]) != kMagic) refuse("another kind of sums");
  if (blockBytes_ == 0 || blockBytes_ > mostBlockBytes_) refuse("a block length that cannot be");
  if (strongBytes < kLeastStrongBytes || strongBytes > kBlake2Bytes) refuse("strong sums of a length that cannot be");
  const uint64_t blocks = (signedBytes_ + blockBytes_ - 1) / blockBytes_;
  if (blocks > mostBlocks_) refuse("too many blocks");
  count_ = static_cast<uint32_t>(blocks);
  sumBytes_ = kWeakBytes + strongBytes;
  signature_.reserve(count_ * sumBytes_);
}

void BlockSums::index() {
  std::call_once(indexed_, [this] {
    int bits = 1;
    while (uint32_t{1} << bits < count_) ++bits;
    slots_.assign(size_t{2} << bits, Slot{0, kNone});
    slotMask_ = static_cast<uint32_t>(slots_.size() - 1);
    const int filterBits = std::clamp(bits + kFilterBits, kLeastFilter, kMostFilter);
    filter_.assign((size_t{1} << filterBits) / 64, 0);
    filterShift_ = 32 - filterBits;
    for (uint32_t block = 0; block < count_; ++block) add(block);
  });
}

// Adds a block to the index. If blocks have equal sums, as zeros do, the first one is found.
void BlockSums::add(uint32_t block) {
  const uint32_t sum = weak(block);
  for (size_t probe = 0; probe < kMostProbes; ++probe) {
    Slot& slot = slots_[(slotOf(sum) + probe) & slotMask_];
    if (slot.block == kNone) {
      slot = {sum, block};
      filter_[sum >> filterShift_ >> 6] |= uint64_t{1} << (sum >> filterShift_ & 63);
      return;
    }
    if (slot.weak == sum && isStrong(slot.block, this->sum(block) + kWeakBytes)) return;
  }
}

uint32_t BlockSums::weak(uint32_t block) const { return bigEndian(sum(block)); }

bool BlockSums::isStrong(uint32_t block, const uint8_t* strong) const {
  return memcmp(sum(block) + kWeakBytes, strong, sumBytes_ - kWeakBytes) == 0;
}

bool BlockSums::isRepeated(uint32_t block) const {
  return block > 0 && memcmp(sum(block - 1), sum(block), sumBytes_) == 0;
}

bool BlockSums::hasBehind(uint32_t weak) const {
  for (size_t probe = 0; probe < kMostProbes; ++probe) {
    const Slot& slot = slots_[(slotOf(weak) + probe) & slotMask_];
    if (slot.block == kNone) return false;
    if (slot.weak == weak) return true;
  }
  return false;
}

uint32_t BlockSums::find(uint32_t weak, const uint8_t* strong) const {
  for (size_t probe = 0; probe < kMostProbes; ++probe) {
    const Slot& slot = slots_[(slotOf(weak) + probe) & slotMask_];
    if (slot.block == kNone) return kNone;
    if (slot.weak == weak && isStrong(slot.block, strong)) return slot.block;
  }
  return kNone;
}

}  // namespace tardis
