// Opens directories, and opens untrusted paths without ever leaving their directory.
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "calls.h"
#include "files.h"
#include "redirects.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

namespace tardis::calls {

namespace {

constexpr unsigned kKindDirectory = 0;
constexpr unsigned kKindFile = 1;
constexpr unsigned kKindPassing = 2;

constexpr int kPassing = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr int kForDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

using OpenPiece = Fd (*)(int directory, const std::string& piece, int flags);

Fd openBySystem(int directory, const std::string& piece, int flags, uint64_t resolve) {
  open_how how = {};
  // openat2 with O_NOFOLLOW returns ENOTDIR for a link in place of a directory. Without that flag it returns ELOOP, as
  // `openByWalking` does.
  how.flags = static_cast<unsigned>(flags & ~O_NOFOLLOW);
  how.resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto open = [&] { return syscall(SYS_openat2, directory, piece.c_str(), &how, sizeof how); };
  return opened(openPatiently(open), "openat2");
}

// Opens one name. The system returns ENOTDIR for a link if a directory is requested; this throws ELOOP instead.
Fd openName(int directory, const char* name, int flags) {
  Fd fd(openPatiently([&] { return openat(directory, name, flags); }));
  if (fd.valid()) return fd;
  const int failed = errno;
  struct stat stat;
  const bool link = failed == ENOTDIR && fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISLNK(stat.st_mode);
  throw Failure{link ? ELOOP : failed, "openat"};
}

// Opens a path name by name. An absolute path begins at the root.
Fd openByWalking(int directory, const std::string& piece, int flags) {
  Fd passed;
  size_t from = piece.find_first_not_of('/');
  if (from == std::string::npos) return openName(directory, piece.c_str(), flags);  // the root itself
  if (from > 0) passed = openName(directory, "/", kPassing);
  for (;;) {
    const size_t slash = piece.find('/', from);
    const int at = passed.valid() ? passed.get() : directory;
    const std::string name = piece.substr(from, slash == std::string::npos ? slash : slash - from);
    if (slash == std::string::npos) return openName(at, name.c_str(), flags);
    passed = openName(at, name.c_str(), kPassing);
    from = slash + 1;
  }
}

// Opens a path with openat2 if possible. That call is missing before Linux 5.6 (ENOSYS), and sandboxes may block it
// (EPERM).
Fd openByEither(int directory, const std::string& piece, int flags, uint64_t resolve) {
  try {
    return openBySystem(directory, piece, flags, resolve);
  } catch (const Failure& failure) {
    if (failure.number != ENOSYS && failure.number != EPERM) throw;
  }
  return openByWalking(directory, piece, flags);
}

Fd openBeneathByEither(int directory, const std::string& piece, int flags) {
  return openByEither(directory, piece, flags, RESOLVE_BENEATH);
}

// Returns the path without empty parts and `.`. Throws EXDEV for an absolute path and for any "..", even one that would
// stay below the root: no honest sender sends one.
std::string normalized(const std::string& path, const char* syscall) {
  if (!path.empty() && path[0] == '/') throw Failure{EXDEV, syscall, nullptr, "a path beneath must not be absolute"};
  std::string result;
  for (size_t from = 0; from < path.size();) {
    size_t end = path.find('/', from);
    if (end == std::string::npos) end = path.size();
    const std::string name = path.substr(from, end - from);
    if (name == "..") throw Failure{EXDEV, syscall, nullptr, "a path beneath must not hold .."};
    if (!name.empty() && name != ".") {
      if (!result.empty()) result += '/';
      result += name;
    }
    from = end + 1;
  }
  return result;
}

Fd openBelow(int root, const std::string& given, unsigned kind, OpenPiece openPiece, const char* call) {
  const std::string path = normalized(given, call);
  if (path.empty()) return opened(fcntl(root, F_DUPFD_CLOEXEC, 0), "fcntl");
  const Place place = shorten(root, path, call, [openPiece](int directory, const std::string& piece) {
    return openPiece(directory, piece, kPassing);
  });
  constexpr int kFlags[] = {kForDirectory, kForReading, kPassing};
  Fd fd = openPiece(place.directory, place.rest, kFlags[kind]);
  if (kind == kKindFile) {
    struct stat stat;
    if (fstat(fd.get(), &stat) != 0) throw Failure{errno, "fstat"};
    if (!S_ISREG(stat.st_mode)) throw Failure{0, call, "ENOTREG", "not a regular file"};
  }
  return fd;
}

napi_value open(const Call& call, OpenPiece openPiece) {
  const unsigned kind = call.bits(2);
  if (kind > kKindPassing) throw Failure{EINVAL, call.name(), nullptr, "unknown kind"};
  return call.number(openBelow(call.fd(0), call.path(1), kind, openPiece, call.name()).release());
}

}  // namespace

napi_value reportsSizes(const Call& call) { return call.boolean(tardis::reportsSizes(call.fd(0))); }

napi_value openDirectory(const Call& call) { return call.number(tardis::openDirectory(call.path(0)).release()); }

napi_value openBeneath(const Call& call) { return open(call, openBeneathByEither); }

napi_value walkBeneath(const Call& call) { return open(call, openByWalking); }

// Closes a descriptor. It is closed even if a signal interrupts the call.
napi_value close(const Call& call) {
  if (::close(call.fd(0)) != 0 && errno != EINTR) throw Failure{errno, "close"};
  return call.nothing();
}

}  // namespace tardis::calls

namespace tardis {

Fd openDirectoryBeneath(int root, const std::string& path, const char* call) {
  return calls::openBelow(root, path, calls::kKindDirectory, calls::openBeneathByEither, call);
}

namespace {

Fd openWay(int from, const std::string& path, For purpose) {
  const uint64_t resolve = from == AT_FDCWD ? 0 : RESOLVE_BENEATH;
  const Place place = shorten(from, path, "openat2", [resolve](int directory, const std::string& piece) {
    return calls::openByEither(directory, piece, calls::kPassing, resolve);
  });
  try {
    return calls::openByEither(place.directory, place.rest, calls::kForDirectory, resolve);
  } catch (const Failure& failure) {
    if (failure.number != EACCES || purpose != For::passing) throw;
  }
  return calls::openByEither(place.directory, place.rest, calls::kPassing, resolve);
}

}  // namespace

Fd openWithoutLinks(const std::string& path, For purpose) {
  const Way way(path);
  return openWay(way.directory, way.path, purpose);
}

Fd openLiveWithoutLinks(const std::string& path) { return openWay(AT_FDCWD, path, For::passing); }

}  // namespace tardis
