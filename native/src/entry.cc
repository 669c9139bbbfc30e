// Reads the metadata of one directory entry into a row.
#include "entry.h"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "files.h"
#include "names.h"
#include "redirects.h"

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

// True if a directory has no entry besides `.` and `..`; false if it cannot be read.
bool isEmpty(int parent, const char* name) {
  const Fd directory(retry([&] { return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
  if (!directory.valid()) return false;
  Names names;
  try {
    names.read(directory.get(), 0);
  } catch (const Failure&) {
    return false;
  }
  return names.count() == 0;
}

// Returns what is mounted on a directory that may be a mount point. The call itself mounts nothing: an autofs that is
// not mounted yet counts as not mounted. With O_DIRECTORY, it would mount it.
MountState mountedOn(int parent, const char* name) {
  const Fd place(retry([&] { return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  if (!place.valid()) return kMounted;
  struct statfs status;
  if (retry([&] { return fstatfs(place.get(), &status); }) != 0) return kMounted;
  switch (static_cast<uint32_t>(status.f_type)) {
    case AUTOFS_SUPER_MAGIC: return kNotMounted;
    case RAMFS_MAGIC:
    case TMPFS_MAGIC: return kMountedInMemory;
    default: return isEmpty(parent, name) ? kMountedEmpty : kMounted;
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

const char* look(int directory, const char* path, const Row& row, dev_t* device, MountRoot* root) {
  struct statx stat;
  const int got = retry([&] {
    return statx(directory, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &stat);
  });
  if (got != 0) return "statx";
  if (S_ISREG(stat.stx_mode) && stat.stx_size > kMostFileBytes) {  // no row can represent it
    errno = EOVERFLOW;
    return "statx";
  }
  fill(row, stat);
  *device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
  if (root != nullptr) {
    const bool isKnown = (stat.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;  // since Linux 5.8
    const bool isRoot = (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    *root = !isKnown ? MountRoot::kUnknown : isRoot ? MountRoot::kYes : MountRoot::kNo;
  }
  if (!S_ISLNK(stat.stx_mode)) return nullptr;
  auto* target = reinterpret_cast<char*>(const_cast<uint8_t*>(row.at(row.bytes())));
  const ssize_t bytes = retry([&] { return readlinkat(directory, path, target, kMostLinkBytes + 1); });
  if (bytes < 0) return "readlinkat";
  if (bytes == 0 || bytes > static_cast<ssize_t>(kMostLinkBytes)) {  // no row can represent either
    errno = bytes == 0 ? EINVAL : ENAMETOOLONG;
    return "readlinkat";
  }
  row.set<uint16_t>(kLinkBytes, bytes);
  row.set<uint32_t>(kRowBytes, row.bytes() + bytes);
  return nullptr;
}

void addRow(Growing& rows, int directory, dev_t device, const char* name, size_t nameBytes, uint8_t kind) {
  Row row = beginRow(rows, name, nameBytes);
  dev_t own = device;
  MountRoot root = MountRoot::kNo;
  if (look(directory, name, row, &own, &root) != nullptr) {
    if (errno == ENOENT) return;
    row = beginRow(rows, name, nameBytes);
    row.set<uint8_t>(kType, typeOfMode(DTTOIF(kind)));
    row.setFlag(kUnreadable);
    if (kind == DT_UNKNOWN) row.setFlag(kUnknownType);
  } else if (own != device) {
    row.setFlag(kOtherDevice);
  }
  // A bind mount may be on the same device, and a subvolume of btrfs is on another one without being mounted.
  const bool isMounted = root == MountRoot::kYes || (root == MountRoot::kUnknown && row.hasFlag(kOtherDevice));
  if (isMounted && row.get<uint8_t>(kType) == kDirectory) {
    row.set<uint64_t>(kSize, mountedOn(directory, name));
  }
  rows.use(row.bytes());
}

void lookIn(int directory, const char* name, const Row& row) {
  dev_t device;
  const Elsewhere elsewhere(directory);
  const Fd live = elsewhere.has(name) ? elsewhere.openLive() : Fd();
  if (live.valid()) directory = live.get();
  const char* failed = look(directory, name, row, &device);
  if (failed != nullptr) throw Failure{errno, failed};
  if (device != deviceOf(directory)) row.setFlag(kOtherDevice);
}

dev_t deviceOf(int directory) {
  struct stat stat;
  if (fstat(directory, &stat) != 0) throw Failure{errno, "fstat"};
  return stat.st_dev;
}

}  // namespace tardis
