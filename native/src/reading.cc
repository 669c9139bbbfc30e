// Reads a whole file, and detects every change of it since it was listed and while it is read.
#include "reading.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "calls.h"
#include "flags.h"
#include "sha256.h"
#include "sparse.h"

namespace tardis {

struct stat statOf(const Fd& fd) {
  struct stat stat;
  if (fstat(fd.get(), &stat) != 0) throw Failure{errno, "fstat"};
  return stat;
}

int64_t mtimeOf(const struct stat& stat) { return nanoseconds(stat.st_mtim.tv_sec, stat.st_mtim.tv_nsec); }

int64_t ctimeOf(const struct stat& stat) { return nanoseconds(stat.st_ctim.tv_sec, stat.st_ctim.tv_nsec); }

// Opens a file by open(flags), which leaves its access time unchanged if this is permitted.
template <typename Open>
Fd openQuietly(Open&& open) {
  Fd fd(open(kForReading | O_NOATIME));
  if (!fd.valid() && errno == EPERM) fd = Fd(open(kForReading));
  return fd;
}

Fd openForReading(int directory, const char* name) {
  Fd fd = openQuietly([&](int flags) { return openPatiently([&] { return openat(directory, name, flags); }); });
  if (fd.valid()) return fd;
  // Opening a socket fails with ENXIO.
  if (errno == ENXIO) throw Failure{0, "openat", "ENOTREG", "not a regular file"};
  throw Failure{errno, "openat"};
}

bool mayHaveAttributes(const Fd& fd, const struct stat& stat) {
  return flistxattr(fd.get(), nullptr, 0) > 0 || hasFlags(fd.get(), stat.st_dev);
}

bool isOnDisk(const Fd& fd) {
#ifdef RWF_NOWAIT
  uint8_t first;
  const iovec part = {&first, 1};
  return preadv2(fd.get(), &part, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
#else
  return false;
#endif
}

void beginReading(int directory, const char* name, uint64_t size) {
  const Fd fd = openQuietly([&](int flags) { return openat(directory, name, flags); });
  struct stat stat;
  if (!fd.valid() || fstat(fd.get(), &stat) != 0 || !S_ISREG(stat.st_mode)) return;
  posix_fadvise(fd.get(), 0, static_cast<off_t>(size), POSIX_FADV_WILLNEED);
}

size_t readWhole(const Fd& fd, uint8_t* target, size_t size, bool* longer) {
  size_t got = 0;
  for (;;) {
    uint8_t further;
    iovec parts[2] = {{target + got, size - got}, {&further, 1}};
    const ssize_t bytes = retry([&] { return preadv(fd.get(), parts, 2, static_cast<off_t>(got)); });
    if (bytes < 0) throw Failure{errno, "preadv"};
    got += bytes;
    *longer = got > size;
    // A read may return less than requested before the end of a file: over 2 GiB, or on some FUSE file systems.
    if (bytes == 0 || got >= size) return *longer ? size : got;
  }
}

namespace calls {

namespace {

template <typename Value>
bool renew(const Row& row, RowField field, Value value) {
  if (row.get<Value>(field) == value) return false;
  row.set<Value>(field, value);
  return true;
}

// Updates all fields of the row except the birth time from `stat`. Returns true if any differed.
bool renew(const Row& row, const struct stat& stat) {
  bool changed = renew<uint8_t>(row, kType, kFile);
  changed |= renew<uint16_t>(row, kPermissions, stat.st_mode & 07777);
  changed |= renew<uint32_t>(row, kUid, stat.st_uid);
  changed |= renew<uint32_t>(row, kGid, stat.st_gid);
  changed |= renew<uint32_t>(row, kNlink, static_cast<uint32_t>(stat.st_nlink));
  changed |= renew<uint64_t>(row, kSize, stat.st_size);
  changed |= renew<int64_t>(row, kMtime, mtimeOf(stat));
  changed |= renew<int64_t>(row, kCtime, ctimeOf(stat));
  changed |= renew<uint64_t>(row, kIno, stat.st_ino);
  return changed;
}

// Maximum number of extents in a sparse form. A file that is read whole is too small for more if each hole has at least
// one page.
constexpr size_t kMostExtents = 256;

// Reads an extent. Returns false if the file ends before the extent does.
bool readExtent(const Fd& fd, uint8_t* target, const Extent& extent) {
  for (size_t done = 0; done < extent.length;) {
    const ssize_t bytes = retry([&] {
      return pread(fd.get(), target + done, extent.length - done, static_cast<off_t>(extent.offset + done));
    });
    if (bytes < 0) throw Failure{errno, "pread"};
    if (bytes == 0) return false;
    done += bytes;
  }
  return true;
}

// Opens the regular file that has the name now, for reading: that of the row, or another one of the same owner. Another
// owner may have hidden it from those who can read what the row's file becomes in the store.
Fd openOwners(int directory, const Name& name, const Row& row, struct stat* stat, const char* call) {
  Fd fd = openForReading(directory, name.text);
  *stat = statOf(fd);
  if (!S_ISREG(stat->st_mode)) throw Failure{0, "openat", "ENOTREG", "not a regular file"};
  const bool isOther = row.get<uint64_t>(kIno) != stat->st_ino && row.get<uint32_t>(kUid) != stat->st_uid;
  if (isOther) throw Failure{0, call, "EREPLACED", "it is not what was listed under this name"};
  return fd;
}

// Reads a file in its sparse form to the target, which has room for the file's size. Returns 0 if the file must
// be read whole: it has no holes worth the form, or it ends before its last extent does.
size_t readSparse(const Fd& fd, uint8_t* target, const struct stat& stat) {
  const uint64_t size = stat.st_size;
  bool dense;
  const std::vector<Extent> extents = dataOf(fd.get(), size, kMostExtents, &dense);
  if (dense) return 0;
  putHead(target, size, extents);
  size_t at = headBytes(extents);
  for (const Extent& extent : extents) {
    if (!readExtent(fd, target + at, extent)) return 0;
    at += extent.length;
  }
  return at;
}

}  // namespace

napi_value openOwnersAt(const Call& call) {
  const Name name = call.name(1);
  struct stat stat;
  return call.number(openOwners(call.fd(0), name, Row::checked(call.bytes(2), 0, call.name()), &stat, call.name()).release());
}

napi_value readFileAt(const Call& call) {
  const bool isOpen = call.bytes(1).size == 0;
  const Name name = call.nameOrNone(1);
  const Row row = Row::checked(call.bytes(2), call.count(3), call.name());
  const size_t limit = call.count(6);
  uint8_t* target = call.bytes(4).range(call.count(5), limit, call.name());
  uint8_t* digest = call.bytes(7).range(call.count(8), kDigestBytes, call.name());

  struct stat before;
  const Fd fd = isOpen ? opened(fcntl(call.fd(0), F_DUPFD_CLOEXEC, 0), "fcntl")
                       : openOwners(call.fd(0), name, row, &before, call.name());
  if (isOpen) before = statOf(fd);
  if (!S_ISREG(before.st_mode)) throw Failure{0, "fstat", "ENOTREG", "not a regular file"};
  if (static_cast<uint64_t>(before.st_size) > kMostFileBytes) throw Failure{EOVERFLOW, "fstat"};
  row.clearFlag(kSparse);
  bool changed = renew(row, before);
  if (changed) row.setFlag(kChanged);
  const size_t size = static_cast<size_t>(before.st_size);
  const bool mayHaveHoles = static_cast<uint64_t>(before.st_blocks) * 512 < size;
  if (size > limit) {
    if (mayHaveHoles) row.setFlag(kSparse);  // the reader of the file checks the holes
    throw Failure{EFBIG, call.name()};
  }

  bool longer = false;
  size_t got = mayHaveHoles ? readSparse(fd, target, before) : 0;
  const bool sparse = got > 0;
  if (sparse) row.setFlag(kSparse);
  else got = readWhole(fd, target, size, &longer);
  const struct stat after = statOf(fd);
  const bool otherBytes = !sparse && (longer || got < size);
  const bool resized = after.st_size != before.st_size;
  // The times may be too coarse to show a change of owner or mode.
  const bool otherAccess = after.st_mode != before.st_mode || after.st_uid != before.st_uid || after.st_gid != before.st_gid;
  changed = otherBytes || resized || otherAccess || mtimeOf(after) != mtimeOf(before) || ctimeOf(after) != ctimeOf(before);
  if (changed) {
    row.setFlag(kChanged);
    if (!sparse) row.set<uint64_t>(kSize, got);
    if (otherBytes && !resized) row.set<uint64_t>(kSize, longer ? size + 1 : size);
  }
  sha256Of(target, got, digest);
  return call.number(static_cast<double>(got));
}

}  // namespace calls

}  // namespace tardis
