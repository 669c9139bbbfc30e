// What the system tells of one directory entry, as a row.
#include "entry.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "files.h"

namespace tardis {

namespace {

constexpr size_t kMostLinkBytes = 65535;

void fill(const Row& row, const struct statx& stat) {
  const RowType type = typeOfMode(stat.stx_mode);
  row.set<uint8_t>(kType, type);
  row.set<uint16_t>(kPermissions, stat.stx_mode & 07777);
  row.set<uint32_t>(kUid, stat.stx_uid);
  row.set<uint32_t>(kGid, stat.stx_gid);
  row.set<uint32_t>(kNlink, stat.stx_nlink);
  row.set<uint64_t>(kSize, type == kFile ? stat.stx_size : 0);
  if (type == kFile && stat.stx_blocks * 512 < stat.stx_size) row.setFlag(kSparse);
  row.set<int64_t>(kMtime, nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec));
  row.set<int64_t>(kCtime, nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec));
  if ((stat.stx_mask & STATX_BTIME) != 0) {
    row.set<int64_t>(kBtime, nanoseconds(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec));
  }
  row.set<uint64_t>(kIno, stat.stx_ino);
  if (type == kCharacterDevice || type == kBlockDevice) {
    row.set<uint64_t>(kRdev, makedev(stat.stx_rdev_major, stat.stx_rdev_minor));
  }
}

}  // namespace

Row beginRow(Growing& rows, const void* name, size_t nameBytes) {
  uint8_t* room = rows.room(kRowFixedBytes + nameBytes + kMostLinkBytes + 1);
  memset(room, 0, kRowFixedBytes);
  memcpy(room + kRowFixedBytes, name, nameBytes);
  const Row row(room);
  row.set<uint32_t>(kRowBytes, kRowFixedBytes + nameBytes);
  row.set<uint16_t>(kNameBytes, nameBytes);
  return row;
}

const char* look(int directory, const char* path, const Row& row, dev_t* device) {
  struct statx stat;
  const int got = retry([&] {
    return statx(directory, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &stat);
  });
  if (got != 0) return "statx";
  fill(row, stat);
  *device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
  if (!S_ISLNK(stat.stx_mode)) return nullptr;
  auto* target = reinterpret_cast<char*>(const_cast<uint8_t*>(row.at(row.bytes())));
  const ssize_t bytes = retry([&] { return readlinkat(directory, path, target, kMostLinkBytes + 1); });
  if (bytes < 0) return "readlinkat";
  if (bytes > static_cast<ssize_t>(kMostLinkBytes)) {
    errno = ENAMETOOLONG;
    return "readlinkat";
  }
  row.set<uint16_t>(kLinkBytes, bytes);
  row.set<uint32_t>(kRowBytes, row.bytes() + bytes);
  return nullptr;
}

void addRow(Growing& rows, int directory, dev_t device, const char* name, size_t nameBytes, uint8_t kind) {
  Row row = beginRow(rows, name, nameBytes);
  dev_t own = device;
  if (look(directory, name, row, &own) != nullptr) {
    if (errno == ENOENT) return;
    row = beginRow(rows, name, nameBytes);
    row.set<uint8_t>(kType, typeOfMode(DTTOIF(kind)));
    row.setFlag(kUnreadable);
  } else if (own != device) {
    row.setFlag(kOtherDevice);
  }
  rows.use(row.bytes());
}

dev_t deviceOf(int directory) {
  struct stat stat;
  if (fstat(directory, &stat) != 0) throw Failure{errno, "fstat"};
  return stat.st_dev;
}

}  // namespace tardis
