// Sets the metadata of restored files. The owner is set first, because changing it clears set-id bits and capabilities.
// Attributes are set before permissions, which may forbid setting them. Times are set last.
#include "metadata.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "flags.h"
#include "xattrs.h"

namespace tardis {

namespace {

constexpr mode_t kSetIdBits = S_ISUID | S_ISGID;

// Returns 0 if a call succeeded, or its error if the system refuses what was requested: the user may not do it, or the
// file system cannot. Throws any other failure.
int refusalOf(int result, const char* syscall) {
  if (result == 0) return 0;
  switch (errno) {
    case EPERM: case EACCES: case EINVAL: case EOPNOTSUPP: case ENOSYS: case EROFS: case EOVERFLOW: return errno;
    default: throw Failure{errno, syscall};
  }
}

int unlessForgiven(int error, unsigned options, MetadataOption forgiven) {
  return (options & forgiven) != 0 ? 0 : error;
}

// True if an entry has this owner. The system also shows kOverflowId for owners that it cannot name in this user namespace.
bool isOwnedBy(int fd, uid_t uid, gid_t gid) {
  constexpr uint32_t kOverflowId = 65534;
  struct stat stat;
  return uid != kOverflowId && gid != kOverflowId && fstat(fd, &stat) == 0 && stat.st_uid == uid && stat.st_gid == gid;
}

// Sets the owner by `own`, unless a new entry has it already: asking takes a third of the time of setting, and most restores
// write files of their own user. A change clears set-id bits and capabilities, so all other entries get one. If it is
// refused, takes the set-id bits of a file from *permissions: a program that runs as its owner must not run as the user
// who restores it.
template <typename Own>
int setOwner(int fd, const Row& row, unsigned options, mode_t* permissions, Own&& own) {
  if ((options & kSetOwner) == 0) return 0;
  const uid_t uid = row.get<uint32_t>(kUid);
  const gid_t gid = row.get<uint32_t>(kGid);
  if ((options & kJustMade) != 0 && isOwnedBy(fd, uid, gid)) return 0;
  const int error = refusalOf(retry([&] { return own(uid, gid); }), "fchownat");
  if (error != 0) *permissions &= ~kSetIdBits;
  return unlessForgiven(error, options, kForgiveOwner);
}

// Sets the permissions by `change`. If that is refused, tries without the special bits, which a sandbox may forbid.
template <typename Change>
int setPermissions(mode_t permissions, unsigned options, Change&& change) {
  const int error = refusalOf(retry([&] { return change(permissions); }), "fchmodat");
  if (error != 0 && (permissions & ~0777u) != 0) refusalOf(retry([&] { return change(permissions & 0777); }), "fchmodat");
  return unlessForgiven(error, options, kForgivePermissions);
}

int ownPath(int fd, uid_t uid, gid_t gid) { return fchownat(fd, "", uid, gid, AT_EMPTY_PATH); }

// Sets times by a descriptor of O_PATH; systems before Linux 5.8 need its path.
int setTimes(int fd, const Row& row, unsigned options) {
  const timespec time = mtimeOf(row);
  const timespec times[2] = {time, time};
  int result = retry([&] { return utimensat(fd, "", times, AT_EMPTY_PATH); });
  if (result != 0 && errno == EINVAL) {
    result = retry([&] { return utimensat(AT_FDCWD, ProcPath(fd).get(), times, 0); });
  }
  return unlessForgiven(refusalOf(result, "utimensat"), options, kForgiveTimes);
}

}  // namespace

std::string Refused::text() const {
  std::string all;
  const auto add = [&all](int error, const char* name) {
    if (error != 0) appendRefused(&all, error, name);
  };
  add(owner, "owner");
  add(permissions, "permissions");
  add(times, "times");
  return all + attributes;
}

Refused setMetadata(int fd, const Row& row, unsigned options, bool directory) {
  Refused refused;
  mode_t permissions = row.get<uint16_t>(kPermissions) & 07777;
  mode_t withoutOwner = permissions;
  refused.owner = setOwner(fd, row, options, &withoutOwner, [fd](uid_t uid, gid_t gid) { return fchown(fd, uid, gid); });
  if (!directory) permissions = withoutOwner;
  if ((options & kDropInherited) != 0) {
    refused.permissions = dropInheritedAcls(fd, directory);
    if (!directory) clearFlags(fd);
  }
  if (row.hasFlag(kHasAttributes)) setAttributes({fd, false, refused.owner != 0}, row, &refused.attributes);
  const int error = setPermissions(permissions, options, [fd](mode_t mode) { return fchmod(fd, mode); });
  if (error != 0) refused.permissions = error;
  const timespec time = mtimeOf(row);
  const timespec times[2] = {time, time};
  refused.times =
      unlessForgiven(refusalOf(retry([&] { return futimens(fd, times); }), "futimens"), options, kForgiveTimes);
  return refused;
}

Refused setLinkMetadata(int fd, const Row& row, unsigned options) {
  Refused refused;
  mode_t none = 0;
  refused.owner = setOwner(fd, row, options, &none, [fd](uid_t uid, gid_t gid) { return ownPath(fd, uid, gid); });
  if (row.hasFlag(kHasAttributes)) setAttributes({fd, true}, row, &refused.attributes);
  refused.times = setTimes(fd, row, options);
  return refused;
}

Refused setNodeMetadata(int fd, const Row& row, unsigned options) {
  Refused refused;
  mode_t permissions = row.get<uint16_t>(kPermissions) & 07777;
  refused.owner = setOwner(fd, row, options, &permissions, [fd](uid_t uid, gid_t gid) { return ownPath(fd, uid, gid); });
  const ProcPath path(fd);
  if ((options & kDropInherited) != 0) refused.permissions = dropInheritedAcl(path.get());
  if (row.hasFlag(kHasAttributes)) setAttributes({fd, true}, row, &refused.attributes);
  const int error = setPermissions(permissions, options, [&path](mode_t mode) { return chmod(path.get(), mode); });
  if (error != 0) refused.permissions = error;
  refused.times = setTimes(fd, row, options);
  return refused;
}

}  // namespace tardis
