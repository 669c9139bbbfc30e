// The search for blocks of a basis in new data. It makes a delta in librsync's format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "block-sums.h"
#include "maker.h"

namespace tardis {

class DeltaSearch : public Maker {
 public:
  // The sums are indexed.
  explicit DeltaSearch(std::shared_ptr<const BlockSums> sums);
  void push(const uint8_t* data, size_t size, bool isLast) override;

 private:
  struct Match {
    size_t at;
    uint32_t block;
  };
  // A position of a window whose weak sum passes the filter.
  struct Candidate {
    uint32_t at;
    uint32_t weak;
  };
  struct Window {
    size_t from;
    size_t count;  // of candidates
    std::vector<Candidate> candidates;
  };

  void search(bool isLast);
  bool follow(size_t at);
  size_t runAt(size_t at, uint64_t block) const;
  Match first(size_t from, size_t to);
  void scan(size_t positions);
  uint32_t blockAt(size_t at, uint32_t weak);
  void finish();
  size_t lastBlock(size_t end) const;
  void copy(uint64_t block, uint64_t bytes);
  void putLiterals(size_t upTo);
  void putCopy();

  const std::shared_ptr<const BlockSums> sums_;
  const size_t blockBytes_;
  std::vector<uint8_t> in_;
  uint64_t droppedBytes_ = 0;  // before in_
  size_t at_ = 0;              // the next position to compare
  size_t literal_ = 0;         // begin of the new bytes up to at_ that are not in the delta yet
  uint64_t next_ = 0;          // the block that follows the last match
  bool isMissing_ = false;     // true if nothing was found since the last match
  uint64_t copyAt_ = 0;        // a copy that may go on; none if it has no bytes
  uint64_t copyBytes_ = 0;
  uint64_t vainBytes_ = 0;     // that were hashed, and are no block
  Window windows_[2];
};

}  // namespace tardis
