// The sparse form of a file: the positions of its data, then only the data. Little endian:
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

// Returns the extents of an open file's data, in order. Returns none and sets `*dense` if the file has no holes, if it
// has too few for the sparse form to be smaller, or if its file system is not trusted to report them. If there would be
// more than `most` extents, small holes count as data. Moves the descriptor's offset.
std::vector<Extent> dataOf(int fd, uint64_t size, size_t most, bool* dense);

// Writes the header, the bytes before the data.
void putHead(uint8_t* target, uint64_t size, const std::vector<Extent>& extents);

inline size_t headBytes(const std::vector<Extent>& extents) { return kSparseFixedBytes + extents.size() * kExtentBytes; }

}  // namespace tardis
