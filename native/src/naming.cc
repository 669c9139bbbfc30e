// Creates, links, renames and removes single names, always in an open directory.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "calls.h"
#include "files.h"
#include "metadata.h"

namespace tardis::calls {

namespace {

constexpr unsigned kRenameExchange = 2;  // RENAME_EXCHANGE; not every C library defines it

// Two names, each in an open directory: the arguments of calls that link, rename or swap.
struct TwoNames {
  explicit TwoNames(const Call& call)
      : from(call.fd(0)), to(call.fd(2)), oldName(call.name(1)), newName(call.name(3)) {}

  const int from;
  const int to;
  const Name oldName;
  const Name newName;
};

void demand(int result, const char* syscall) {
  if (result != 0) throw Failure{errno, syscall};
}

// Opens, with O_PATH, a link or node that was just made. Throws EEXIST if the name belongs to an entry of another type,
// to another device or to one with several names: the owner of the directory has exchanged it, and it must not get the
// owner and permissions of the one that was made.
Fd openMade(int directory, const char* name, mode_t type, dev_t device) {
  Fd fd(retry([&] { return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  struct stat stat;
  if (!fd.valid() || fstat(fd.get(), &stat) != 0) throw Failure{errno, "openat"};
  const bool isMade = (stat.st_mode & S_IFMT) == type && stat.st_nlink == 1 && stat.st_rdev == device;
  if (!isMade) throw Failure{EEXIST, "openat"};
  return fd;
}

// Sets the metadata of a link or node that was just made, by set(fd). Removes it if that fails.
template <typename Set>
napi_value finishMade(const Call& call, const Fd& fd, const Name& name, Set&& set) {
  try {
    return call.bufferOrNothing(set(fd.get()).text());
  } catch (const Failure&) {
    unlinkat(call.fd(0), name.text, 0);
    throw;
  }
}

}  // namespace

napi_value makeDirectoryAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  demand(retry([&] { return mkdirat(directory, name.text, 0700); }), "mkdirat");
  return call.nothing();
}

napi_value symlinkAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  const std::string target = call.path(2);
  const Row row = Row::checked(call.bytes(3), call.count(4), call.name());
  const unsigned options = call.bits(5);
  demand(retry([&] { return symlinkat(target.c_str(), directory, name.text); }), "symlinkat");
  const Fd made = openMade(directory, name.text, S_IFLNK, 0);
  return finishMade(call, made, name, [&](int fd) { return setLinkMetadata(fd, row, options | kJustMade); });
}

// Creates a fifo, socket or device node. At first only its creator may use it; the permissions are set later.
napi_value makeNodeAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  const Row row = Row::checked(call.bytes(2), call.count(3), call.name());
  const unsigned options = call.bits(4);
  mode_t kind;
  switch (row.get<uint8_t>(kType)) {
    case kFifo: kind = S_IFIFO; break;
    case kSocket: kind = S_IFSOCK; break;
    case kCharacterDevice: kind = S_IFCHR; break;
    case kBlockDevice: kind = S_IFBLK; break;
    default: throw Failure{EINVAL, call.name(), nullptr, "not a row of a fifo, socket or device"};
  }
  const dev_t device = kind == S_IFCHR || kind == S_IFBLK ? row.get<uint64_t>(kRdev) : 0;
  demand(retry([&] { return mknodat(directory, name.text, kind | 0600, device); }), "mknodat");
  const Fd made = openMade(directory, name.text, kind, device);
  return finishMade(call, made, name, [&](int fd) { return setNodeMetadata(fd, row, options | kJustMade); });
}

napi_value linkAt(const Call& call) {
  const TwoNames at(call);
  demand(retry([&] { return linkat(at.from, at.oldName.text, at.to, at.newName.text, 0); }), "linkat");
  return call.nothing();
}

napi_value unlinkAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  demand(retry([&] { return unlinkat(directory, name.text, 0); }), "unlinkat");
  return call.nothing();
}

napi_value renameAt(const Call& call) {
  const TwoNames at(call);
  demand(retry([&] { return renameat(at.from, at.oldName.text, at.to, at.newName.text); }), "renameat");
  return call.nothing();
}

// Swaps two names atomically, so that no reader finds either of them missing.
napi_value exchangeAt(const Call& call) {
  const TwoNames at(call);
  demand(retry([&] {
           return static_cast<int>(
               syscall(SYS_renameat2, at.from, at.oldName.text, at.to, at.newName.text, kRenameExchange));
         }),
         "renameat2");
  return call.nothing();
}

}  // namespace tardis::calls
