// Compares what was opened with what was listed.
#include "identity.h"

#include <linux/magic.h>

#include "calls.h"
#include "reading.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef EXFAT_SUPER_MAGIC
#define EXFAT_SUPER_MAGIC 0x2011BAB0
#endif

namespace tardis {

namespace {

// True for file systems that make inode numbers up, and may give a file another one when they look at it again.
bool makesInodesUp(int fd) {
  switch (static_cast<uint32_t>(typeOfFileSystem(fd))) {
    case FUSE_SUPER_MAGIC:
    case MSDOS_SUPER_MAGIC:
    case EXFAT_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case V9FS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: return true;
    default: return false;
  }
}

// True for file systems below whose directories the kernel mounts others when they are opened.
bool mountsByItself(int fd) {
  switch (static_cast<uint32_t>(typeOfFileSystem(fd))) {
    case AUTOFS_SUPER_MAGIC:
    case NFS_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case AFS_FS_MAGIC: return true;
    default: return false;
  }
}

bool isMountRoot(int fd) {
  struct statx stat;
  if (retry([&] { return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stat); }) != 0) throw Failure{errno, "statx"};
  return (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// True if opening the directory may have mounted it: it was a mount point already, or it is below such a file system.
bool wasMountedByOpening(int fd, const Identity& identity) {
  if (!isMountRoot(fd)) return false;
  if (identity.device == 0) return true;
  const Fd above(retry([&] { return openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  return above.valid() && statOf(above).st_dev == identity.device && mountsByItself(above.get());
}

bool hasSameAccess(const struct stat& stat, const Identity& identity) {
  return stat.st_uid == identity.uid && stat.st_gid == identity.gid && (stat.st_mode & 07777) == identity.permissions;
}

}  // namespace

Identity identityIn(const Bytes& bytes, const char* call) {
  Identity identity;
  if (bytes.size != sizeof identity) throw Failure{EINVAL, call, nullptr, "an identity has another length"};
  memcpy(&identity, bytes.data, sizeof identity);
  return identity;
}

void requireListed(int fd, const struct stat& stat, const Identity& identity, const char* call) {
  // A new directory may get the inode of a deleted one, and then belong to somebody else.
  const bool isOwned = identity.type != kDirectory || identity.uid == stat.st_uid;
  const bool isInode = identity.inode == stat.st_ino && isOwned;
  // Where inode or device prove nothing, the owner and the mode must be those of the listing too. Another entry then shows
  // nobody what was hidden from him.
  const bool isListed = identity.device == 0
                            ? isInode && hasSameAccess(stat, identity)
                            : identity.device == stat.st_dev &&
                                  (isInode || (hasSameAccess(stat, identity) && makesInodesUp(fd)));
  if (identity.type == typeOfMode(stat.st_mode)) {
    if (isListed || (identity.type == kDirectory && wasMountedByOpening(fd, identity))) return;
  }
  throw Failure{0, call, "EREPLACED", "it is not what was listed under this name"};
}

Fd openListed(const std::string& path, Identity* identity, For purpose, const char* call) {
  Fd fd = openWithoutLinks(path, purpose);
  const struct stat stat = statOf(fd);
  requireListed(fd.get(), stat, *identity, call);
  identity->device = stat.st_dev;
  return fd;
}

namespace calls {

// Opens a directory by its path to use names in it, and notes its device in the given identity.
napi_value openListed(const Call& call) {
  const Bytes bytes = call.bytes(1);
  Identity identity = identityIn(bytes, call.name());
  Fd fd = tardis::openListed(call.path(0), &identity, For::passing, call.name());
  memcpy(bytes.data, &identity, sizeof identity);
  return call.number(fd.release());
}

// Opens a regular file in an open directory.
napi_value openListedAt(const Call& call) {
  Name name;
  call.name(1, &name);
  const Identity identity = identityIn(call.bytes(2), call.name());
  Fd fd = openForReading(call.fd(0), name.text);
  const struct stat stat = statOf(fd);
  if (!S_ISREG(stat.st_mode)) throw Failure{0, "openat", "ENOTREG", "not a regular file"};
  requireListed(fd.get(), stat, identity, call.name());
  return call.number(fd.release());
}

}  // namespace calls

}  // namespace tardis
