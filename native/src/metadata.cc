// Sets the metadata of restored files. The owner is set first, because changing it clears set-id bits and capabilities.
// Attributes are set before permissions, which may forbid setting them. Times are set last.
#include "metadata.h"

#include <fcntl.h>
#include <unistd.h>

#include "xattrs.h"
#include "files.h"

namespace tardis {

namespace {

// True if the owner is now that of the row. False if that is not permitted and `options` have kForgiveOwner. Throws any
// other failure.
bool settleOwner(int result, unsigned options) {
  if (result == 0) return true;
  if (errno == EPERM && (options & kForgiveOwner) != 0) return false;
  throw Failure{errno, "fchownat"};
}

bool ownName(int directory, const char* name, const Row& row, unsigned options) {
  if ((options & kSetOwner) == 0) return true;
  const int result = retry([&] {
    return fchownat(directory, name, row.get<uint32_t>(kUid), row.get<uint32_t>(kGid), AT_SYMLINK_NOFOLLOW);
  });
  return settleOwner(result, options);
}

std::string finishName(int directory, const char* name, const Row& row) {
  std::string failed;
  if (row.hasFlag(kHasAttributes)) setAttributes({-1, directory, name}, row, &failed);
  const timespec time = mtimeOf(row);
  const timespec times[2] = {time, time};
  if (retry([&] { return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW); }) != 0) {
    throw Failure{errno, "utimensat"};
  }
  return failed;
}

}  // namespace

std::string setMetadata(int fd, const Row& row, unsigned options, bool directory) {
  std::string failed;
  mode_t permissions = row.get<uint16_t>(kPermissions) & 07777;
  if ((options & kSetOwner) != 0) {
    const int result = retry([&] { return fchown(fd, row.get<uint32_t>(kUid), row.get<uint32_t>(kGid)); });
    // A program that runs as its owner must not run as the user who restores it.
    if (!settleOwner(result, options) && !directory) permissions &= ~(S_ISUID | S_ISGID);
  }
  if ((options & kDropAcl) != 0) dropInheritedAcls(fd, directory);
  if (row.hasFlag(kHasAttributes)) setAttributes({fd, -1, nullptr}, row, &failed);
  if (retry([&] { return fchmod(fd, permissions); }) != 0) throw Failure{errno, "fchmod"};
  const timespec time = mtimeOf(row);
  const timespec times[2] = {time, time};
  if (retry([&] { return futimens(fd, times); }) != 0) throw Failure{errno, "futimens"};
  return failed;
}

std::string setLinkMetadata(int directory, const char* name, const Row& row, unsigned options) {
  ownName(directory, name, row, options);
  return finishName(directory, name, row);
}

std::string setNodeMetadata(int directory, const char* name, const Row& row, unsigned options) {
  mode_t permissions = row.get<uint16_t>(kPermissions) & 07777;
  if (!ownName(directory, name, row, options)) permissions &= ~(S_ISUID | S_ISGID);
  if (retry([&] { return fchmodat(directory, name, permissions, AT_SYMLINK_NOFOLLOW); }) != 0) {
    throw Failure{errno, "fchmodat"};
  }
  return finishName(directory, name, row);
}

}  // namespace tardis
