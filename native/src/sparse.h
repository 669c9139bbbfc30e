// The sparse form of a file: where its data lies, then the data alone. Little endian:
//
//  0 u64 size of the file   8 u64 number of extents   16 for each: u64 offset, u64 length   then the data
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace tardis {

constexpr size_t kSparseFixedBytes = 16;
constexpr size_t kExtentBytes = 16;

struct Extent {
  uint64_t offset;
  uint64_t length;
};

// Where the data of an open file lies, in order. Empty with *dense set when the file has no holes, or too few of them
// for the sparse form to be smaller. Small holes count as data where there would be more than `most` extents.
std::vector<Extent> dataOf(int fd, uint64_t size, size_t most, bool* dense);

// The bytes that come before the data.
void putHead(uint8_t* target, uint64_t size, const std::vector<Extent>& extents);

inline size_t headBytes(const std::vector<Extent>& extents) { return kSparseFixedBytes + extents.size() * kExtentBytes; }

}  // namespace tardis
