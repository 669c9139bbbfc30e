// Finds the holes of a file, and sets the length of files.
#include "sparse.h"

#include <linux/magic.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "calls.h"
#include "files.h"

namespace tardis {

namespace {

// Adds an extent. Joins it with the last one if the hole between them is smaller than leastHole.
void add(std::vector<Extent>& extents, uint64_t from, uint64_t to, uint64_t leastHole) {
  if (!extents.empty()) {
    Extent& last = extents.back();
    if (from - (last.offset + last.length) < leastHole) {
      last.length = to - last.offset;
      return;
    }
  }
  extents.push_back({from, to - from});
}

// Joins extents until no hole between two of them is smaller than leastHole.
void join(std::vector<Extent>& extents, uint64_t leastHole) {
  std::vector<Extent> joined;
  for (const Extent& extent : extents) add(joined, extent.offset, extent.offset + extent.length, leastHole);
  extents.swap(joined);
}

}  // namespace

std::vector<Extent> dataOf(int fd, uint64_t size, size_t most, bool* dense) {
  std::vector<Extent> extents;
  uint64_t leastHole = 1;
  *dense = true;
  // A FUSE server may report a hole where there is data, and only reading the whole file would show it.
  if (typeOfFileSystem(fd) == FUSE_SUPER_MAGIC) return {};
  for (uint64_t at = 0; at < size;) {
    const off_t from = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (from < 0 && errno == ENXIO) break;  // only a hole up to the end
    const off_t end = from < 0 ? from : lseek(fd, from, SEEK_HOLE);
    if (end < 0) {
      // This file system does not report holes, or the file was truncated meanwhile.
      if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENXIO) return {};
      throw Failure{errno, "lseek"};
    }
    // If offsets run backwards, the reported map cannot be trusted.
    if (static_cast<uint64_t>(from) < at || end <= from) return {};
    if (static_cast<uint64_t>(from) >= size) break;
    const uint64_t to = std::min(static_cast<uint64_t>(end), size);
    add(extents, from, to, leastHole);
    at = to;
    while (extents.size() > most) {
      leastHole = leastHole < 4096 ? 8192 : leastHole * 2;
      join(extents, leastHole);
    }
  }
  uint64_t bytes = headBytes(extents);
  for (const Extent& extent : extents) bytes += extent.length;
  *dense = bytes >= size;
  if (*dense) extents.clear();
  return extents;
}

void putHead(uint8_t* target, uint64_t size, const std::vector<Extent>& extents) {
  const uint64_t count = extents.size();
  memcpy(target, &size, sizeof size);
  memcpy(target + 8, &count, sizeof count);
  if (count > 0) memcpy(target + kSparseFixedBytes, extents.data(), count * kExtentBytes);
}

namespace calls {

napi_value sparseHead(const Call& call) {
  const int fd = call.fd(0);
  const size_t size = call.count(1);
  const size_t most = call.count(2);
  bool dense;
  const std::vector<Extent> extents = dataOf(fd, size, most, &dense);
  if (dense) return call.buffer(nullptr, 0);
  std::vector<uint8_t> head(headBytes(extents));
  putHead(head.data(), size, extents);
  return call.buffer(head.data(), head.size());
}

napi_value resizeFile(const Call& call) {
  const int fd = call.fd(0);
  const size_t size = call.count(1);
  if (retry([&] { return ftruncate(fd, static_cast<off_t>(size)); }) != 0) throw Failure{errno, "ftruncate"};
  return call.nothing();
}

}  // namespace calls

}  // namespace tardis
