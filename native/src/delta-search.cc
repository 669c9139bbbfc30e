// Finds blocks of a basis in new data.
//
// Old data: behind a match the next block is expected, so several are hashed at once, and nothing is looked up. New data: a
// window of a block's length moves byte by byte. A filter with 64 bits for each block shows for all but 1.5 % of the positions
// that no block has their weak sum; it is in the processor's cache, the index is not. Two windows move in turns, since each
// sum waits for the one before. Candidates are kept, and looked up behind the loop.
//
// The delta does not depend on the pieces in which the data comes: nothing is decided before the bytes that decide it are
// there.
#include "delta-search.h"

#include <algorithm>
#include <cstring>

namespace tardis {

namespace {

constexpr uint32_t kMagic = 0x72730236;
constexpr uint32_t kEnd = 0;
constexpr uint32_t kLongLiteral = 0x42;        // its length has two bytes
constexpr size_t kShortLiteralBytes = 64;      // the command is the length
constexpr uint32_t kCopy = 0x45;
constexpr size_t kLiteralBytes = 32u << 10;    // in one command
constexpr size_t kPositions = 8192;            // of one window in a turn
constexpr size_t kLeastPositions = 512;
constexpr size_t kLongSearch = 16 * kPositions;
constexpr size_t kEdited = 2;                  // blocks behind a change in place, within which the basis goes on
constexpr size_t kDroppedBytes = 256u << 10;   // of used input, before it is removed
constexpr uint32_t kInverseOfBase = 0x98f009ad;
// A rolling sum adds this to each byte that leaves, since the sum of no bytes is 1.
constexpr uint32_t kLeaving = kWeakBase - kWeakOfNothing;

static_assert(kWeakBase * kInverseOfBase == 1);

// log2 of the bytes of a number in a command.
int widthOf(uint64_t value) { return value < 1u << 8 ? 0 : value < 1u << 16 ? 1 : value >> 32 == 0 ? 2 : 3; }

}  // namespace

DeltaSearch::DeltaSearch(std::shared_ptr<const BlockSums> sums) : sums_(std::move(sums)), blockBytes_(sums_->blockBytes()) {
  for (Window& window : windows_) window.candidates.resize(kPositions);
  putNumber(kMagic, 4);
}

void DeltaSearch::push(const uint8_t* data, size_t size, bool isLast) {
  in_.insert(in_.end(), data, data + size);
  search(isLast);
  if (isLast) finish();
  if (literal_ < kDroppedBytes) return;
  in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(literal_));
  droppedBytes_ += literal_;
  at_ -= literal_;
  literal_ = 0;
}

// Compares up to the end of the input. Unless it is the last, as many bytes stay as decide about a match.
void DeltaSearch::search(bool isLast) {
  const size_t aheadBytes = isLast ? blockBytes_ : (kEdited + 1) * blockBytes_ + 2 * kPositions;
  while (at_ + aheadBytes <= in_.size()) {
    if (!isMissing_) {
      bool isFound = false;
      for (size_t skipped = 0; skipped <= kEdited && !isFound; ++skipped) isFound = follow(at_ + skipped * blockBytes_);
      if (isFound) continue;
    }
    const size_t positions = in_.size() - blockBytes_ - at_ + 1;
    const size_t most = isMissing_ ? kLongSearch : kEdited * blockBytes_;
    const Match match = first(at_, at_ + std::min(positions, most));
    isMissing_ = true;
    at_ = match.at;
    if (match.block != BlockSums::kNone) copy(match.block, blockBytes_);
    while (at_ - literal_ >= kLiteralBytes) putLiterals(literal_ + kLiteralBytes);
  }
}

// Copies the blocks that are expected at a position, which is the next one or some blocks behind it. False if there are none.
bool DeltaSearch::follow(size_t at) {
  const uint64_t block = next_ + (at - at_) / blockBytes_;
  const size_t count = runAt(at, block);
  if (count == 0) return false;
  at_ = at;
  copy(block, count * blockBytes_);
  return true;
}

// Returns the number of blocks from this one on that are at a position, one behind the other.
size_t DeltaSearch::runAt(size_t at, uint64_t block) const {
  const BlockSums& sums = *sums_;
  if (block >= sums.count() || at > in_.size()) return 0;
  const size_t most = std::min<size_t>(sums.count() - block, (in_.size() - at) / blockBytes_);
  uint8_t strong[kBlake2Lanes][kBlake2Bytes];
  size_t run = 0;
  while (run < most) {
    const uint8_t* const data = &in_[at + run * blockBytes_];
    const auto number = static_cast<uint32_t>(block + run);
    // Zeros need not be hashed again.
    if (run > 0 && sums.isRepeated(number) && memcmp(data - blockBytes_, data, blockBytes_) == 0) {
      run += 1;
      continue;
    }
    uint32_t alike = 0;
    while (alike < kBlake2Lanes && run + alike < most &&
           weakSum(data + alike * blockBytes_, blockBytes_) == sums.weak(number + alike)) {
      ++alike;
    }
    blake2(data, blockBytes_, alike, strong);
    for (uint32_t i = 0; i < alike; ++i) {
      if (!sums.isStrong(number + i, strong[i])) return run + i;
    }
    run += alike;
    if (alike < kBlake2Lanes) return run;
  }
  return run;
}

// Returns the first position from `from` on at which a block is; `to` and kNone if there is none before `to`.
DeltaSearch::Match DeltaSearch::first(size_t from, size_t to) {
  while (from < to) {
    // Both windows move over the same positions if these are few.
    const bool isTwo = to - from >= 2 * kLeastPositions;
    const size_t positions = std::min(kPositions, isTwo ? (to - from) / 2 : to - from);
    windows_[0].from = from;
    windows_[1].from = isTwo ? from + positions : from;
    scan(positions);
    for (const Window& window : windows_) {
      for (size_t i = 0; i < window.count; ++i) {
        const Candidate& candidate = window.candidates[i];
        const size_t at = window.from + candidate.at;
        const uint32_t block = blockAt(at, candidate.weak);
        if (block != BlockSums::kNone) return {at, block};
      }
      if (!isTwo) break;
    }
    from += isTwo ? 2 * positions : positions;
  }
  return {to, BlockSums::kNone};
}

// Moves both windows over this many positions, and notes the candidates.
void DeltaSearch::scan(size_t positions) {
  const BlockSums& sums = *sums_;
  const size_t block = blockBytes_;
  const uint32_t power = weakPower(block);
  const uint64_t* const filter = sums.filter();
  const int shift = sums.filterShift();
  const uint8_t* const one = in_.data() + windows_[0].from;
  const uint8_t* const two = in_.data() + windows_[1].from;
  Candidate* const ofOne = windows_[0].candidates.data();
  Candidate* const ofTwo = windows_[1].candidates.data();
  size_t countOne = 0;
  size_t countTwo = 0;
  uint32_t weakOne = weakSum(one, block);
  uint32_t weakTwo = weakSum(two, block);
  for (size_t i = 0;; ++i) {
    if (__builtin_expect(BlockSums::isSet(filter, shift, weakOne), 0)) {
      sums.willFind(weakOne);
      ofOne[countOne++] = {static_cast<uint32_t>(i), weakOne};
    }
    if (__builtin_expect(BlockSums::isSet(filter, shift, weakTwo), 0)) {
      sums.willFind(weakTwo);
      ofTwo[countTwo++] = {static_cast<uint32_t>(i), weakTwo};
    }
    if (i + 1 == positions) break;
    weakOne = weakOne * kWeakBase + one[i + block] - power * (one[i] + kLeaving);
    weakTwo = weakTwo * kWeakBase + two[i + block] - power * (two[i] + kLeaving);
  }
  windows_[0].count = countOne;
  windows_[1].count = countTwo;
}

// Returns the block with this weak sum that is at a position, or kNone. Hashing is bounded: a hostile basis, with the weak
// sums of data that it has not, would have each position hashed. Chance makes one byte of each 4 GiB of a basis be hashed for
// each byte of data; twice that is hashed, and as much as the data has. Behind that, blocks may be overlooked.
uint32_t DeltaSearch::blockAt(size_t at, uint32_t weak) {
  if (!sums_->has(weak)) return BlockSums::kNone;
  const uint64_t basisBytes = uint64_t{sums_->count()} * blockBytes_;
  const uint64_t mostBytes = (1 + (basisBytes >> 31)) * (droppedBytes_ + at + kLongSearch);
  if (vainBytes_ > mostBytes) return BlockSums::kNone;
  uint8_t strong[1][kBlake2Bytes];
  blake2(&in_[at], blockBytes_, 1, strong);
  const uint32_t block = sums_->find(weak, strong[0]);
  if (block == BlockSums::kNone) vainBytes_ += blockBytes_;
  return block;
}

// Ends the delta.
void DeltaSearch::finish() {
  const size_t end = in_.size();
  at_ = lastBlock(end);
  if (at_ < end) copy(sums_->count() - 1, end - at_);
  while (literal_ < at_) putLiterals(std::min(at_, literal_ + kLiteralBytes));
  putCopy();
  putNumber(kEnd, 1);
}

// Returns the position from which on the data is the last block of the basis, which may be shorter than the others; `end` if
// there is none. Each end of what is left, from the longest to the shortest, is compared with that block.
size_t DeltaSearch::lastBlock(size_t end) const {
  const uint32_t count = sums_->count();
  if (count == 0 || at_ == end) return end;
  const uint32_t wanted = sums_->weak(count - 1);
  uint32_t weak = weakSum(&in_[at_], end - at_);
  uint32_t power = weakPower(end - at_);
  for (size_t at = at_; at < end; ++at) {
    uint8_t strong[1][kBlake2Bytes];
    if (weak == wanted) {
      blake2(&in_[at], end - at, 1, strong);
      if (sums_->isStrong(count - 1, strong[0])) return at;
    }
    power *= kInverseOfBase;
    weak -= power * (in_[at] + kLeaving);
  }
  return end;
}

// Puts the new bytes before the position, then a copy of `bytes` bytes from this block on, which may go on.
void DeltaSearch::copy(uint64_t block, uint64_t bytes) {
  while (literal_ < at_) putLiterals(std::min(at_, literal_ + kLiteralBytes));
  const uint64_t from = sums_->from() + block * blockBytes_;
  if (copyBytes_ == 0 || copyAt_ + copyBytes_ != from) {
    putCopy();
    copyAt_ = from;
  }
  copyBytes_ += bytes;
  totals_.copiedBytes += bytes;
  at_ += bytes;
  literal_ = at_;
  next_ = block + (bytes + blockBytes_ - 1) / blockBytes_;
  isMissing_ = false;
}

// Puts the new bytes up to a position.
void DeltaSearch::putLiterals(size_t upTo) {
  putCopy();
  const size_t bytes = upTo - literal_;
  if (bytes > kShortLiteralBytes) putNumber(kLongLiteral, 1);
  putNumber(bytes, bytes > kShortLiteralBytes ? 2 : 1);
  put(&in_[literal_], bytes);
  literal_ = upTo;
  totals_.literalBytes += bytes;
  totals_.commands += 1;
}

// Puts the copy that is open, if any.
void DeltaSearch::putCopy() {
  if (copyBytes_ == 0) return;
  const int position = widthOf(copyAt_);
  const int length = widthOf(copyBytes_);
  putNumber(kCopy + 4 * position + length, 1);
  putNumber(copyAt_, 1 << position);
  putNumber(copyBytes_, 1 << length);
  totals_.commands += 1;
  copyBytes_ = 0;
}

}  // namespace tardis
