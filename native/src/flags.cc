// Reads the flags of inodes, and sets them on restored files.
#include "flags.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "calls.h"
#include "files.h"

namespace tardis {

namespace {

constexpr uint32_t kKept =
    FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_DIRSYNC_FL;
// STATX_ATTR_IMMUTABLE, _APPEND, _NODUMP, which older headers lack; their values equal those of the flags.
constexpr uint64_t kReportedFlags = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL;

bool lookAt(int directory, const char* name, struct statx* stat) {
  constexpr int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
  return retry([&] { return statx(directory, name, flags, STATX_TYPE, stat); }) == 0;
}

uint32_t keptOf(int fd) {
  int flags = 0;
  return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? static_cast<uint32_t>(flags) & kKept : 0;
}

}  // namespace

uint32_t flagsOf(int directory, const char* name) {
  struct statx stat;
  // All flags are requested only from file systems that report some of them by statx. Others, such as FUSE, may pass
  // the request on to a program.
  if (!lookAt(directory, name, &stat) || (stat.stx_attributes_mask & kReportedFlags) == 0) return 0;
  if (!S_ISREG(stat.stx_mode) && !S_ISDIR(stat.stx_mode)) return 0;
  const auto reported = static_cast<uint32_t>(stat.stx_attributes & kReportedFlags);
  if (name[0] == 0) {
    int flags = 0;
    if (ioctl(directory, FS_IOC_GETFLAGS, &flags) == 0) return static_cast<uint32_t>(flags) & kKept;
    return errno == EBADF ? reported : 0;  // one that was opened by O_PATH has what the file system reports
  }
  const Fd fd(retry([&] { return openat(directory, name, kForReading); }));
  return fd.valid() ? keptOf(fd.get()) : reported;
}

bool hasFlags(int fd, dev_t device) {
  static thread_local dev_t known = 0;
  static thread_local bool reports = false;
  if (device != known || known == 0) {
    struct statx stat;
    reports = lookAt(fd, "", &stat) && (stat.stx_attributes_mask & kReportedFlags) != 0;
    known = device;
  }
  return reports && keptOf(fd) != 0;
}

void clearFlags(int fd) {
  struct statx stat;
  if (!lookAt(fd, "", &stat) || (stat.stx_attributes_mask & kReportedFlags) == 0) return;
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (static_cast<uint32_t>(flags) & kKept) == 0) return;
  flags = static_cast<int>(static_cast<uint32_t>(flags) & ~kKept);
  ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

namespace calls {

napi_value flagsAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.nameOrNone(1);  // none: the directory itself
  struct statx stat;
  if (!lookAt(directory, name.text, &stat)) return call.number(0);
  return call.number(static_cast<double>(stat.stx_attributes & stat.stx_attributes_mask & kReportedFlags));
}

napi_value setFlagsAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  const uint32_t wanted = call.bits(2) & kKept;
  const Fd fd = opened(retry([&] { return openat(directory, name.text, kForReading); }), "openat");
  int flags = 0;
  if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) throw Failure{errno, "FS_IOC_GETFLAGS"};
  const int changed = static_cast<int>((static_cast<uint32_t>(flags) & ~kKept) | wanted);
  if (changed == flags) return call.nothing();
  if (ioctl(fd.get(), FS_IOC_SETFLAGS, &changed) != 0) throw Failure{errno, "FS_IOC_SETFLAGS"};
  return call.nothing();
}

}  // namespace calls

}  // namespace tardis
