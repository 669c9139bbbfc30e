// File descriptors that close themselves, and functions that open paths of any length.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "call.h"

namespace tardis {

// Flags to open any entry for reading: a link is not followed, a fifo not waited for, and no terminal taken over.
constexpr int kForReading = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// Owns a descriptor until it is released to the caller.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Owns the descriptor that a call has returned. Throws the error of the call if it has failed.
inline Fd opened(int fd, const char* syscall) {
  if (fd < 0) throw Failure{errno, syscall};
  return Fd(fd);
}

// The path through /proc of a name in an open directory, or of what a descriptor stands for, also if that is a link. It is
// for calls that accept paths only, or refuse a descriptor of O_PATH.
class ProcPath {
 public:
  ProcPath(int directory, const char* name) { snprintf(text_, sizeof text_, "/proc/self/fd/%d/%s", directory, name); }
  explicit ProcPath(int fd) { snprintf(text_, sizeof text_, "/proc/self/fd/%d", fd); }
  const char* get() const { return text_; }

 private:
  char text_[PATH_MAX + 32];
};

// Repeats a system call for as long as a signal interrupts it.
template <typename Run>
auto retry(Run&& run) {
  for (;;) {
    const auto result = run();
    if (result != -1 || errno != EINTR) return result;
  }
}

// Waits a little for the holder of a lease on a file (Samba, an NFS server) to give it up, which the failed opening has
// requested. Returns false once one file, or all files of this process, have waited for long enough.
bool waitForLease(int* waitedMs);

// Opens a file as `retry` does, but waits for the holder of a lease on it.
template <typename Open>
int openPatiently(Open&& open) {
  for (int waitedMs = 0;;) {
    const int fd = static_cast<int>(retry(open));
    if (fd >= 0 || errno != EAGAIN || !waitForLease(&waitedMs)) return fd;
  }
}

// The directory in which to look up the last part of a path, and that part. The system accepts at most PATH_MAX bytes
// at once, so the parts before it are opened one after another.
struct Place {
  Fd holder;         // the last opened part, if the path needed any
  int directory;     // the directory to look up in
  const char* rest;  // points into the path
};

// Opens the leading parts of a path with open(directory, piece), which returns a Fd or throws.
template <typename Open>
Place shorten(int directory, const std::string& path, const char* syscall, Open&& open) {
  Place place{Fd(), directory, path.c_str()};
  size_t from = 0;
  while (path.size() - from >= PATH_MAX) {
    const size_t slash = path.rfind('/', from + PATH_MAX - 1);
    if (slash == std::string::npos || slash <= from) throw Failure{ENAMETOOLONG, syscall};
    place.holder = open(place.directory, path.substr(from, slash - from));
    place.directory = place.holder.get();
    from = path.find_first_not_of('/', slash);
    if (from == std::string::npos) from = path.size();
    place.rest = from < path.size() ? path.c_str() + from : ".";
  }
  return place;
}

// Opens the leading parts of a path, and follows links in them as the system does for a short path.
Place shorten(const std::string& path, int from = AT_FDCWD);

// Returns the magic number of a file's file system.
int64_t typeOfFileSystem(int fd);

// True if the sizes of files in an open directory are true. Some file systems make contents up when they are read, and
// report a size of 0.
bool reportsSizes(int directory);

// Opens a directory that is not a symbolic link.
Fd openDirectory(const std::string& path);

// Opens an untrusted path that must be a directory beneath `root`, without following a link. An empty path returns a
// duplicate of `root`.
Fd openDirectoryBeneath(int root, const std::string& path, const char* call);

// The use of a directory that is opened: reading its list, or names in it alone. For names the right to pass is enough, as
// for all programs that open a path.
enum class For { reading, passing };

// Opens a directory, and follows no link in any part of its path (ELOOP). A redirected one is opened in its snapshot.
Fd openWithoutLinks(const std::string& path, For purpose);

// Opens a directory as above for names in it, also if it is redirected.
Fd openLiveWithoutLinks(const std::string& path);

}  // namespace tardis
