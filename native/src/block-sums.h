// The sums of a content's blocks: a signature in librsync's format, made here, or loaded and indexed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "blake2.h"
#include "maker.h"

namespace tardis {

// librsync's rolling sum by Rabin and Karp: the bytes are the digits of a number to this base, modulo 2^32. The sum of no
// bytes is 1.
constexpr uint32_t kWeakBase = 0x08104225;
constexpr uint32_t kWeakOfNothing = 1;

// Returns the weak sum of some bytes, after others with the sum `before`.
uint32_t weakSum(const uint8_t* data, size_t size, uint32_t before = kWeakOfNothing);

// Returns the power of the base by which a byte was multiplied when `bytes` others have followed it.
uint32_t weakPower(size_t bytes);

constexpr size_t kLeastStrongBytes = 16;       // collisions of shorter sums can be constructed
constexpr size_t kMostBlockBytes = 64u << 20;  // a search reads ahead by some blocks

// Makes a signature.
class BlockSigner : public Maker {
 public:
  BlockSigner(size_t blockBytes, size_t strongBytes);
  void push(const uint8_t* data, size_t size, bool isLast) override;

 private:
  size_t whole(const uint8_t* data, size_t size);
  void endBlock();
  void putSum(uint32_t weak, const uint8_t* strong);

  const size_t blockBytes_;
  const size_t strongBytes_;
  // A block that arrives in pieces: the bytes of it that were taken, and the sums of these.
  size_t begunBytes_ = 0;
  uint32_t weak_ = kWeakOfNothing;
  Blake2 strong_;
};

// The sums of a basis. Once they are whole, nothing in them changes, so all threads share them.
class BlockSums {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `signedBytes` is the length of the range that was signed, which begins at `from` in the basis. A signature with longer
  // blocks, or more of them, is refused.
  BlockSums(uint64_t signedBytes, size_t mostBlocks, size_t mostBlockBytes, uint64_t from);

  // Takes the next bytes of the signature, which may be hostile. Throws ERSYNC before memory is taken for what cannot be,
  // and if a whole signature does not have one sum for each block.
  void take(const uint8_t* data, size_t size, bool isLast);
  bool isWhole() const { return isWhole_; }

  // Builds the index, unless it is there. The calls below need it.
  void index();

  uint64_t from() const { return from_; }
  size_t blockBytes() const { return blockBytes_; }
  uint32_t count() const { return count_; }
  uint32_t weak(uint32_t block) const;
  bool isStrong(uint32_t block, const uint8_t* strong) const;
  // True if a block has the sums of the block before it.
  bool isRepeated(uint32_t block) const;

  // The filter has a bit for each value of the first bits of a weak sum. If it is not set, no block has this sum.
  const uint64_t* filter() const { return filter_.data(); }
  int filterShift() const { return filterShift_; }
  static bool isSet(const uint64_t* filter, int shift, uint32_t weak) {
    return (filter[weak >> shift >> 6] >> (weak >> shift & 63) & 1) != 0;
  }

  // Fetches what `has` will read into the processor's cache.
  void willFind(uint32_t weak) const { __builtin_prefetch(&slots_[slotOf(weak)]); }
  // True if some indexed block has this weak sum. Mostly the first slot shows that none has.
  bool has(uint32_t weak) const { return slots_[slotOf(weak)].block != kNone && hasBehind(weak); }
  // Returns an indexed block with these sums, or kNone.
  uint32_t find(uint32_t weak, const uint8_t* strong) const;

 private:
  struct Slot {
    uint32_t weak;
    uint32_t block;
  };

  void checkHeader();
  bool hasBehind(uint32_t weak) const;
  void add(uint32_t block);
  const uint8_t* sum(uint32_t block) const { return &signature_[sumBytes_ * block]; }
  size_t slotOf(uint32_t weak) const { return (weak * 0x85EBCA6B >> 7) & slotMask_; }

  const uint64_t signedBytes_;
  const size_t mostBlocks_;
  const size_t mostBlockBytes_;
  const uint64_t from_;
  std::vector<uint8_t> header_;
  std::vector<uint8_t> signature_;  // without the header
  std::atomic<bool> isWhole_{false};
  std::once_flag indexed_;
  size_t blockBytes_ = 0;
  size_t sumBytes_ = 0;
  uint32_t count_ = 0;
  std::vector<uint64_t> filter_;
  int filterShift_ = 0;
  std::vector<Slot> slots_;  // by weak sum, with open addressing
  uint32_t slotMask_ = 0;
};

}  // namespace tardis
