// Compares what was opened with what was listed.
#include "identity.h"

#include <linux/magic.h>
#include <sys/sysmacros.h>

#include <vector>

#include "calls.h"
#include "devices.h"
#include "reading.h"
#include "redirects.h"
#include "sha256.h"
#include "xattrs.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif
#ifndef STATX_MNT_ID  // headers before Linux 5.8: several mounts of one device are one
#define STATX_MNT_ID 0
#define stx_mnt_id stx_dev_minor
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef EXFAT_SUPER_MAGIC
#define EXFAT_SUPER_MAGIC 0x2011BAB0
#endif
#ifndef VBOXSF_SUPER_MAGIC
#define VBOXSF_SUPER_MAGIC 0x786F4256
#endif

namespace tardis {

namespace {

constexpr size_t kMostLevels = 1 << 16;  // directories above one another

// True for file systems that make inode numbers up, and may give a file another one when they look at it again.
bool makesInodesUp(int fd) {
  switch (static_cast<uint32_t>(typeOfFileSystem(fd))) {
    case FUSE_SUPER_MAGIC:
    case MSDOS_SUPER_MAGIC:
    case EXFAT_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case V9FS_MAGIC:
    case VBOXSF_SUPER_MAGIC:
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

// The owner and the mode of a directory.
struct Access {
  explicit Access(const struct stat& stat) : uid(stat.st_uid), gid(stat.st_gid), permissions(stat.st_mode & 07777) {}
  explicit Access(const struct statx& stat) : uid(stat.stx_uid), gid(stat.stx_gid), permissions(stat.stx_mode & 07777) {}
  explicit Access(const Identity& identity)
      : uid(identity.uid), gid(identity.gid), permissions(identity.permissions) {}

  bool operator==(const Access& other) const {
    return uid == other.uid && gid == other.gid && permissions == other.permissions;
  }

  uint32_t uid;
  uint32_t gid;
  uint32_t permissions;
};

// A directory on the way up.
struct Seen {
  bool operator==(const Seen& other) const { return place() == other.place(); }
  Closings::Place place() const { return {mount, device, inode}; }

  uint64_t mount;
  uint64_t device;
  uint64_t inode;
  Access access;
  bool isMountRoot;
};

// Looks at an open directory, or at one by its name in that.
Seen seen(int fd, const char* name) {
  struct statx stat;
  const int flags = name[0] == 0 ? AT_EMPTY_PATH : 0;
  constexpr unsigned wanted = STATX_BASIC_STATS | STATX_MNT_ID;
  if (retry([&] { return statx(fd, name, flags, wanted, &stat); }) != 0) throw Failure{errno, "statx"};
  const uint64_t device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
  return {stat.stx_mnt_id, device, stat.stx_ino, Access(stat), (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0};
}

bool isMountRoot(int fd) { return seen(fd, "").isMountRoot; }

Fd openAbove(int fd) {
  return Fd(retry([&] { return openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
}

// True if opening the directory may have mounted it: it was a mount point without a mount, or it is below such a file system.
bool wasMountedByOpening(int fd, const Identity& identity) {
  if (!isMountRoot(fd)) return false;
  if (identity.device == 0) return identity.mount == kNotMounted;
  const Fd above = openAbove(fd);
  return above.valid() && statOf(above).st_dev == identity.device && mountsByItself(above.get());
}

// True if what is mounted on a listed directory is closed to nobody who may read that directory.
bool isAsOpen(int fd, const struct stat& mounted, const Identity& identity) {
  if (Access(mounted) == Access(identity)) return true;
  constexpr mode_t toAll = S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;
  return (mounted.st_mode & toAll) == toAll && !hasAcl(fd);
}

// Owner, mode and ACL of a directory, as lines have them.
std::string rightsOf(int fd, const Access& access) {
  return std::string(reinterpret_cast<const char*>(&access), sizeof access) + aclOf(fd);
}

// Makes the digest for a directory of the one for that above it.
void extend(uint8_t (&line)[kLineBytes], const std::string& rights) {
  const std::string input = std::string(reinterpret_cast<const char*>(line), kLineBytes) + rights;
  uint8_t digest[kDigestBytes];
  sha256Of(input.data(), input.size(), digest);
  memcpy(line, digest, kLineBytes);
}

// True if no line was made: the directory above was not opened by its identity.
bool isUnknown(const uint8_t (&line)[kLineBytes]) {
  constexpr uint8_t nothing[kLineBytes] = {};
  return memcmp(line, nothing, kLineBytes) == 0;
}

// Makes the digest for a directory of those above it, which are ordered upwards.
void makeLine(const std::vector<std::string>& upwards, uint8_t (&line)[kLineBytes]) {
  memset(line, 0, kLineBytes);
  for (auto rights = upwards.rbegin(); rights != upwards.rend(); ++rights) extend(line, *rights);
}

// True if nobody but its owner and root may put another directory in the place of this one.
bool isOwnersAct(const struct stat& directory, const struct stat& above) {
  const bool mayOthersWrite = (above.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (above.st_mode & S_ISVTX) == 0;
  return (above.st_uid == directory.st_uid || above.st_uid == 0) && !mayOthersWrite;
}

// True if an ACL of the listed directory, or of this one, may make a difference to who can read what is in it. That of the
// listed one is unknown, but gives nobody more than the mode gives the group.
bool mayAclMatter(int fd, const struct stat& directory) {
  const unsigned group = (directory.st_mode & S_IRWXG) >> 3;
  return (group & ~directory.st_mode & (S_IROTH | S_IXOTH)) != 0 || hasAcl(fd);
}

// True if nobody but the owners of the directories, and root, may have put another entry of an open directory in the place of
// this one, or another directory in the place of one of those above it.
bool isOwnersLine(struct stat entry, int directory) {
  Fd place(fcntl(directory, F_DUPFD_CLOEXEC, 0));
  for (size_t levels = 0; place.valid() && levels < kMostLevels; ++levels) {
    const struct stat above = statOf(place);
    if (above.st_dev == entry.st_dev && above.st_ino == entry.st_ino) return true;  // the root is above itself
    if (!isOwnersAct(entry, above)) return false;
    entry = above;
    place = openAbove(place.get());
  }
  return false;
}

// Makes the digest of the owners and modes of all directories above an open one, from the top of the identity down. False if
// that top is not above it, something is mounted between them, or somebody may have made a difference by an ACL.
bool lineAbove(int fd, struct stat stat, const Identity& identity, uint8_t (&line)[kLineBytes]) {
  const bool isFromSystemRoot = identity.top == kSystemRoot;
  std::vector<std::string> between;
  bool mayMatter = false;
  for (Fd place;;) {
    Fd above = openAbove(fd);
    if (!above.valid() || between.size() >= kMostLevels) return false;
    const struct stat next = statOf(above);
    if (next.st_dev == stat.st_dev && next.st_ino == stat.st_ino) {  // the root is above itself
      if (!isFromSystemRoot) return false;
      break;
    }
    const bool isOnDevice = next.st_dev == identity.device;
    if (isOnDevice ? isMountRoot(fd) : !isFromSystemRoot) return false;
    mayMatter = mayMatter || mayAclMatter(fd, stat);
    if (mayMatter && !isOwnersAct(stat, next)) return false;
    between.push_back(rightsOf(above.get(), Access(next)));
    if (next.st_ino == identity.top) break;
    stat = next;
    place = std::move(above);
    fd = place.get();
  }
  makeLine(between, line);
  return true;
}

// True if the owners, modes and ACLs of a directory, whose own are given, and of those above it are what was listed. It climbs to
// the root of the system, since several directories on the way may have the inode of the top: something is mounted below
// itself, or inode numbers are made up.
bool isBelowListed(int fd, const Identity& identity, const std::string& rights) {
  const Seen root = seen(AT_FDCWD, "/");
  std::vector<std::string> upwards = {rights};
  uint8_t line[kLineBytes];
  const auto isListedLine = [&] {
    makeLine(upwards, line);
    return memcmp(line, identity.below, kLineBytes) == 0;
  };
  Seen here = seen(fd, "");
  for (Fd place;;) {
    Fd above = openAbove(fd);
    if (!above.valid() || upwards.size() >= kMostLevels) return false;
    const Seen next = seen(above.get(), "");
    if (next == here && (here.isMountRoot || here == root)) return identity.top == kSystemRoot && isListedLine();
    upwards.push_back(rightsOf(above.get(), next.access));
    if (next.device == identity.device && next.inode == identity.top && isListedLine()) return true;
    here = next;
    place = std::move(above);
    fd = place.get();
  }
}

// True if the same users may reach the directory as the listed one. It is on the same device, and below the same top; it and all
// directories between have the owners and modes that were listed.
bool isReachedAlike(int fd, const struct stat& found, const Identity& identity) {
  if (identity.top == 0 || found.st_dev != identity.device || !(Access(found) == Access(identity))) return false;
  uint8_t line[kLineBytes];
  return lineAbove(fd, found, identity, line) && memcmp(line, identity.above, kLineBytes) == 0;
}

bool isListed(int fd, const struct stat& stat, const Identity& identity) {
  if (identity.type != typeOfMode(stat.st_mode) && identity.node == 0) return false;
  if (identity.node != 0 && !(S_ISBLK(stat.st_mode) && stat.st_rdev == identity.node)) return false;
  // A new directory may get the inode of a deleted one, and then belong to somebody else.
  const bool isOwned = identity.type != kDirectory || identity.uid == stat.st_uid;
  const bool isInode = identity.inode == stat.st_ino && isOwned;
  // Where inode or device prove nothing, the owner and the mode must be those of the listing too. Another file of the directory
  // then shows nobody what was hidden from him. For a directory, those above it must be alike too (see `isReachedAlike`).
  const bool isAlike = Access(stat) == Access(identity);
  const bool mayDiffer = isAlike && identity.type != kDirectory;
  if (identity.device == 0 ? isInode && isAlike
                           : identity.device == stat.st_dev && (isInode || (mayDiffer && makesInodesUp(fd)))) {
    return true;
  }
  return identity.type == kDirectory && wasMountedByOpening(fd, identity) && isAsOpen(fd, stat, identity);
}

[[noreturn]] void refuse(const char* call) {
  throw Failure{0, call, "EREPLACED", "it is not what was listed under this name"};
}

}  // namespace

Identity identityIn(const Bytes& bytes, const char* call) {
  Identity identity;
  if (bytes.size != sizeof identity) throw Failure{EINVAL, call, nullptr, "an identity has another length"};
  memcpy(&identity, bytes.data, sizeof identity);
  return identity;
}

Identity identityOf(const Row& row, uint64_t device) {
  Identity identity = {};
  const bool isElsewhere = row.hasFlag(kOtherDevice);
  identity.device = isElsewhere ? 0 : device;
  identity.inode = row.get<uint64_t>(kIno);
  identity.uid = row.get<uint32_t>(kUid);
  identity.gid = row.get<uint32_t>(kGid);
  identity.permissions = row.get<uint16_t>(kPermissions);
  identity.type = row.get<uint8_t>(kType);
  if (identity.type == kFile) identity.node = static_cast<uint32_t>(row.get<uint64_t>(kRdev));
  if (isElsewhere && identity.type == kDirectory) identity.mount = static_cast<uint8_t>(row.get<uint64_t>(kSize));
  return identity;
}

Identity identityBelow(const Row& row, const Identity& above) {
  Identity identity = identityOf(row, above.device);
  if (identity.device == 0) return identity;  // a mount point: there is nothing above it on its device
  identity.top = above.top == 0 ? above.inode : above.top;
  memcpy(identity.above, above.below, kLineBytes);
  return identity;
}

void requireListed(int fd, const struct stat& stat, const Identity& identity, const char* call) {
  if (!isListed(fd, stat, identity)) refuse(call);
}

void requireListedOrLike(const Fd& entry, int directory, const Identity& identity, const char* call) {
  const struct stat stat = statOf(entry);
  if (isListed(entry.get(), stat, identity)) return;
  const bool isLike = identity.type != kFile && identity.type == typeOfMode(stat.st_mode) &&
                      identity.device == stat.st_dev && Access(stat) == Access(identity);
  if (!isLike || isMountRoot(entry.get())) refuse(call);
  const bool mayMatter = identity.type == kDirectory && mayAclMatter(entry.get(), stat);
  if (mayMatter && !isOwnersLine(stat, directory)) refuse(call);
}

Fd openListed(const std::string& path, Identity* identity, For purpose, const char* call) {
  Fd fd = openWithoutLinks(path, purpose);
  const struct stat stat = statOf(fd);
  if (!isListed(fd.get(), stat, *identity) && !isReachedAlike(fd.get(), stat, *identity)) refuse(call);
  bool isFirst = isUnknown(identity->below);
  if (identity->device != stat.st_dev) {  // a mount point, below which others are reached
    isFirst = true;
    identity->uid = stat.st_uid;
    identity->gid = stat.st_gid;
    identity->permissions = stat.st_mode & 07777;
    identity->top = 0;
    memset(identity->above, 0, kLineBytes);
  }
  identity->device = stat.st_dev;
  identity->inode = stat.st_ino;
  if (isFirst) {
    memcpy(identity->below, identity->above, kLineBytes);
    extend(identity->below, rightsOf(fd.get(), Access(*identity)));
  }
  return fd;
}

bool Closings::isClosed(int fd, const Identity& identity) {
  try {
    const Seen now = seen(fd, "");
    const bool isOthers = now.access.uid != identity.uid || now.access.gid != identity.gid;
    if (isOthers || (identity.permissions & ~now.access.permissions & (S_IRWXG | S_IRWXO)) != 0) return true;
    if (identity.top != 0 && isUnknown(identity.above)) return false;
    const std::string rights = rightsOf(fd, Access(identity));
    uint8_t line[kLineBytes] = {};
    if (identity.top == 0 || climb(fd, identity, line)) {
      extend(line, rights);
      if (memcmp(line, identity.below, kLineBytes) == 0) return false;
    }
    return identity.top == 0 || !isBelowListed(fd, identity, rights);
  } catch (const Failure&) {
    return true;  // this process may have been able to pass a directory above, and no longer is
  }
}

// Makes the digest of all directories above an open one, of those that are known or from the top down. False if the top is not
// above it, or if an inode on the way may stand for several directories.
bool Closings::climb(int fd, const Identity& identity, uint8_t (&line)[kLineBytes]) {
  if (top_ != identity.top || device_ != identity.device) known_.clear();
  top_ = identity.top;
  device_ = identity.device;
  std::vector<std::pair<Place, std::string>> between;
  Seen here = seen(fd, "");
  for (Fd place;;) {
    const Seen next = seen(fd, "..");
    if (next == here && (!here.isMountRoot || top_ != kSystemRoot)) return false;
    if (next == here) break;
    const auto known = known_.find(next.place());
    if (known != known_.end()) {
      memcpy(line, known->second.data(), kLineBytes);
      break;
    }
    Fd above = openAbove(fd);
    if (!above.valid() || between.size() >= kMostLevels) return false;
    here = seen(above.get(), "");
    between.emplace_back(here.place(), rightsOf(above.get(), here.access));
    if (here.device == device_ && here.inode == top_) break;
    place = std::move(above);
    fd = place.get();
  }
  for (; !between.empty(); between.pop_back()) {
    extend(line, between.back().second);
    memcpy(known_[between.back().first].data(), line, kLineBytes);
  }
  return true;
}

namespace calls {

// Notes in the identity of an open directory if that gives less access than it was listed with.
napi_value noteClosing(const Call& call) {
  const Bytes bytes = call.bytes(1);
  Identity identity = identityIn(bytes, call.name());
  if (Closings().isClosed(call.fd(0), identity)) identity.wasClosed = 1;
  memcpy(bytes.data, &identity, sizeof identity);
  return call.nothing();
}

// Opens a directory by its path to use names in it. The given identity becomes that of the opened directory.
napi_value openListed(const Call& call) {
  const Bytes bytes = call.bytes(1);
  Identity identity = identityIn(bytes, call.name());
  Fd fd = tardis::openListed(call.path(0), &identity, For::passing, call.name());
  memcpy(bytes.data, &identity, sizeof identity);
  return call.number(fd.release());
}

// Gives the identity of a named directory a line from the root of the system down, if its inode number proves nothing; and the
// device of the snapshot, if it is opened there.
napi_value beginLine(const Call& call) {
  const Bytes bytes = call.bytes(1);
  Identity identity = identityIn(bytes, call.name());
  const Fd fd = openWithoutLinks(call.path(0), For::passing);
  if (Way(call.path(0)).isRedirected()) {
    identity.device = statOf(fd).st_dev;
    memcpy(bytes.data, &identity, sizeof identity);
  }
  if (!makesInodesUp(fd.get())) return call.nothing();
  identity.top = kSystemRoot;
  if (lineAbove(fd.get(), statOf(fd), identity, identity.above)) memcpy(bytes.data, &identity, sizeof identity);
  return call.nothing();
}

// Opens a regular file in an open directory, or the block device whose contents were listed under a name.
napi_value openListedAt(const Call& call) {
  const Name name = call.name(1);
  const Identity identity = identityIn(call.bytes(2), call.name());
  if (identity.node != 0) return call.number(openDevice(call.fd(0), name.text, identity, call.name()).release());
  Fd fd = openForReading(call.fd(0), name.text);
  const struct stat stat = statOf(fd);
  if (!S_ISREG(stat.st_mode)) throw Failure{0, "openat", "ENOTREG", "not a regular file"};
  requireListed(fd.get(), stat, identity, call.name());
  return call.number(fd.release());
}

}  // namespace calls

}  // namespace tardis
