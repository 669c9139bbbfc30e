// Opens paths of any length.
#include "files.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <time.h>

#include <atomic>

namespace tardis {

namespace {

// True for file systems that generate contents when they are read.
bool makesContentsUp(int64_t type) {
  switch (type) {
    case FUSE_SUPER_MAGIC:
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC: return true;
    default: return false;
  }
}

constexpr int kLeaseStepMs = 5;
constexpr int kMostLeaseMs = 5000;
// A user who holds leases on very many files must not hold up a backup for each of them.
constexpr int kMostLeasesMs = 60000;
constexpr int64_t kLeasesPerMs = 3600000;
std::atomic<int> leasesMs{0};
std::atomic<int64_t> leasesSinceMs{0};

// Begins to count again once an hour has passed, since a process may make many backups.
void renewLeases() {
  timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  const int64_t nowMs = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
  int64_t sinceMs = leasesSinceMs.load();
  if (nowMs - sinceMs >= kLeasesPerMs && leasesSinceMs.compare_exchange_strong(sinceMs, nowMs)) leasesMs.store(0);
}

}  // namespace

bool waitForLease(int* waitedMs) {
  renewLeases();
  if (*waitedMs >= kMostLeaseMs || leasesMs.fetch_add(kLeaseStepMs) >= kMostLeasesMs) {
    errno = EAGAIN;
    return false;
  }
  *waitedMs += kLeaseStepMs;
  const timespec step = {0, kLeaseStepMs * 1000000L};
  nanosleep(&step, nullptr);
  return true;
}

Place shorten(const std::string& path, int from) {
  return shorten(from, path, "openat", [](int directory, const std::string& piece) {
    return opened(retry([&] { return openat(directory, piece.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }), "openat");
  });
}

int64_t typeOfFileSystem(int fd) {
  struct statfs status;
  if (retry([&] { return fstatfs(fd, &status); }) != 0) throw Failure{errno, "fstatfs"};
  return status.f_type;
}

bool reportsSizes(int directory) { return !makesContentsUp(typeOfFileSystem(directory)); }

Fd openDirectory(const std::string& path) {
  const Place place = shorten(path);
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  return opened(retry([&] { return openat(place.directory, place.rest, flags); }), "openat");
}

}  // namespace tardis
