// Owner first, because changing it takes set-id bits away; then permissions; times last.
#include "metadata.h"

#include <fcntl.h>
#include <unistd.h>

#include "files.h"

namespace tardis {

namespace {

// Whether the owner is now the row's, as far as it was asked for.
bool settleOwner(int result, unsigned options) {
  if (result == 0) return true;
  if (errno == EPERM && (options & kForgiveOwner) != 0) return false;
  throw Failure{errno, "fchownat"};
}

}  // namespace

void setMetadata(int fd, const Row& row, unsigned options, bool directory) {
  mode_t permissions = row.get<uint16_t>(kPermissions) & 07777;
  if ((options & kSetOwner) != 0) {
    const int result = retry([&] { return fchown(fd, row.get<uint32_t>(kUid), row.get<uint32_t>(kGid)); });
    // A program that runs as its owner must not run as whoever restores it.
    if (!settleOwner(result, options) && !directory) permissions &= ~(S_ISUID | S_ISGID);
  }
  if (retry([&] { return fchmod(fd, permissions); }) != 0) throw Failure{errno, "fchmod"};
  const timespec time = timeOf(row.get<int64_t>(kMtime));
  const timespec times[2] = {time, time};
  if (retry([&] { return futimens(fd, times); }) != 0) throw Failure{errno, "futimens"};
}

void setLinkMetadata(int directory, const char* name, const Row& row, unsigned options) {
  if ((options & kSetOwner) != 0) {
    settleOwner(retry([&] {
                  return fchownat(directory, name, row.get<uint32_t>(kUid), row.get<uint32_t>(kGid),
                                  AT_SYMLINK_NOFOLLOW);
                }),
                options);
  }
  const timespec time = timeOf(row.get<int64_t>(kMtime));
  const timespec times[2] = {time, time};
  if (retry([&] { return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW); }) != 0) {
    throw Failure{errno, "utimensat"};
  }
}

}  // namespace tardis
