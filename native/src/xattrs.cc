// Reads and sets extended attributes. The system calls of Linux 6.13 accept a directory and a name. Older kernels have
// only calls that accept paths, so a path through /proc is used there.
#include "xattrs.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <uv.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "calls.h"
#include "files.h"
#include "flags.h"
#include "identity.h"
#include "reading.h"
#include "redirects.h"

#ifndef SYS_getxattrat
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#endif

namespace tardis {

namespace {

constexpr size_t kPartBytes = 6;
constexpr size_t kTimeBytes = 12;
constexpr size_t kMostListBytes = 65536;   // the system's own limits
constexpr size_t kMostValueBytes = 65536;
constexpr size_t kUsualAclBytes = 512;
constexpr int kTries = 8;  // values may grow while they are read

struct XattrArgs {
  alignas(8) uint64_t value;
  uint32_t size;
  uint32_t flags;
};

constexpr const char* kAccessAcl = "system.posix_acl_access";
constexpr const char* kDefaultAcl = "system.posix_acl_default";

std::atomic<bool> hasNamedCalls{true};

// Maps ENOENT to ENOSYS if /proc is missing, because that must not look like a name that no longer exists.
ssize_t throughProc(ssize_t result, int directory, const char* name) {
  if (result >= 0 || errno != ENOENT) return result;
  struct stat stat;
  errno = fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0 ? ENOSYS : ENOENT;
  return -1;
}

// Runs the newer call, which accepts a directory and a name, unless `plain`. Returns false if it does not exist or is
// blocked. If true, `*result` and errno are those of the call.
template <typename Run>
bool byName(bool plain, ssize_t* result, Run&& run) {
  if (plain || !hasNamedCalls.load(std::memory_order_relaxed)) return false;
  *result = retry([&] { return static_cast<ssize_t>(run()); });
  if (*result >= 0 || (errno != ENOSYS && errno != EPERM)) return true;
  if (errno == ENOSYS) hasNamedCalls.store(false, std::memory_order_relaxed);
  return false;  // a sandbox that blocks the call returns EPERM
}

ssize_t listAt(int directory, const char* name, char* into, size_t size, bool plain) {
  ssize_t result;
  if (name[0] == 0) {
    result = flistxattr(directory, into, size);
    if (result >= 0 || errno != EBADF) return result;  // it is not one that was opened by O_PATH
    return throughProc(listxattr(ProcPath(directory).get(), into, size), directory, name);
  }
  if (byName(plain, &result, [&] {
        return syscall(SYS_listxattrat, directory, name, AT_SYMLINK_NOFOLLOW, into, size);
      })) {
    return result;
  }
  return throughProc(llistxattr(ProcPath(directory, name).get(), into, size), directory, name);
}

ssize_t getAt(int directory, const char* name, const char* attribute, void* into, size_t size, bool plain) {
  ssize_t result;
  if (name[0] == 0) {
    result = fgetxattr(directory, attribute, into, size);
    if (result >= 0 || errno != EBADF) return result;
    return throughProc(getxattr(ProcPath(directory).get(), attribute, into, size), directory, name);
  }
  XattrArgs args{reinterpret_cast<uint64_t>(into), static_cast<uint32_t>(size), 0};
  if (byName(plain, &result, [&] {
        return syscall(SYS_getxattrat, directory, name, AT_SYMLINK_NOFOLLOW, attribute, &args, sizeof args);
      })) {
    return result;
  }
  return throughProc(lgetxattr(ProcPath(directory, name).get(), attribute, into, size), directory, name);
}

// True for attributes that backups keep. The ACLs are the only attributes of the group "system" that are part of a
// file.
bool isKept(const std::string& name) {
  if (name == kFlagsName) return false;  // reserved for this program
  return name.compare(0, 7, "system.") != 0 || name == kAccessAcl || name == kDefaultAcl;
}

std::vector<std::string> namesAt(int directory, const char* name, bool plain) {
  char list[4096];
  std::vector<char> longer;
  const char* from = list;
  ssize_t bytes = listAt(directory, name, list, sizeof list, plain);
  if (bytes < 0 && errno == ERANGE) {
    longer.resize(kMostListBytes);
    from = longer.data();
    bytes = listAt(directory, name, longer.data(), longer.size(), plain);
  }
  if (bytes < 0 && (errno == ENOTSUP || errno == ENODATA)) return {};
  if (bytes < 0) throw Failure{errno, "listxattr"};
  std::vector<std::string> names;
  for (const char* at = from; at < from + bytes; at += strlen(at) + 1) {
    if (isKept(at)) names.emplace_back(at);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void append(Packed& packed, const std::string& name, const void* value, size_t size, size_t limit) {
  if (packed.size() + kPartBytes + name.size() + size > limit) throw Failure{E2BIG, "getxattr"};
  const uint16_t nameBytes = static_cast<uint16_t>(name.size());
  const uint32_t valueBytes = static_cast<uint32_t>(size);
  const auto put = [&packed](const void* data, size_t count) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    packed.insert(packed.end(), bytes, bytes + count);
  };
  put(&nameBytes, sizeof nameBytes);
  put(&valueBytes, sizeof valueBytes);
  put(name.data(), name.size());
  put(value, size);
}

// Appends the modification time if nanoseconds in 64 bits cannot represent it.
void appendTime(Packed& packed, int directory, const char* name, size_t limit) {
  struct stat stat;
  if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0) throw Failure{errno, "fstatat"};
  const int64_t seconds = stat.st_mtim.tv_sec;
  const uint32_t rest = static_cast<uint32_t>(stat.st_mtim.tv_nsec);
  const int64_t stored = nanoseconds(seconds, rest);
  if (stored != INT64_MIN && stored != INT64_MAX) return;
  uint8_t value[kTimeBytes];
  memcpy(value, &seconds, sizeof seconds);
  memcpy(value + sizeof seconds, &rest, sizeof rest);
  append(packed, "", value, sizeof value, limit);
}

void appendValue(Packed& packed, int directory, const char* name, const std::string& attribute, size_t limit,
                 bool plain) {
  static thread_local std::vector<char> value(1024);
  for (int tries = 0; tries < kTries; ++tries) {
    const ssize_t bytes = getAt(directory, name, attribute.c_str(), value.data(), value.size(), plain);
    if (bytes >= 0) {
      append(packed, attribute, value.data(), bytes, limit);
      return;
    }
    if (errno == ENODATA) return;  // removed since it was listed
    if (errno != ERANGE || value.size() >= kMostValueBytes) throw Failure{errno, "getxattr"};
    value.resize(kMostValueBytes);
  }
  throw Failure{EAGAIN, "getxattr"};
}

// True if a directory is a mount point that autofs mounts as soon as it is opened.
bool mountsWhenOpened(int directory, const char* name, const Identity& identity) {
  if (identity.device != 0) return false;
  const Fd place(retry([&] { return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  return place.valid() && typeOfFileSystem(place.get()) == AUTOFS_SUPER_MAGIC;
}

// Returns the attributes of an entry of a directory, or of an open entry if the name is empty.
Packed packedOf(int directory, const char* name, size_t limit, bool withTime, bool plain) {
  Packed packed;
  if (withTime) appendTime(packed, directory, name, limit);
  const uint32_t flags = flagsOf(directory, name);
  std::vector<std::string> names = namesAt(directory, name, plain);
  const std::string flagsName = kFlagsName;
  if (flags != 0) names.insert(std::lower_bound(names.begin(), names.end(), flagsName), flagsName);
  for (const std::string& attribute : names) {
    if (attribute == flagsName) append(packed, attribute, &flags, sizeof flags, limit);
    else appendValue(packed, directory, name, attribute, limit, plain);
  }
  return packed;
}

}  // namespace

Packed attributesOf(int fd, size_t limit) { return packedOf(fd, "", limit, false, false); }

Fd openEntry(int directory, const char* name, const Identity& identity, const char* call) {
  constexpr int forPath = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  const Elsewhere elsewhere(directory);
  const Fd other = elsewhere.has(name) ? elsewhere.openFor(&name) : Fd();
  if (other.valid()) directory = other.get();
  const bool isReadable = identity.type == kFile || (identity.type == kDirectory && !mountsWhenOpened(directory, name, identity));
  Fd fd(openPatiently([&] { return openat(directory, name, isReadable ? kForReading : forPath); }));
  if (!fd.valid() && isReadable && (errno == EACCES || errno == EAGAIN)) fd = Fd(retry([&] { return openat(directory, name, forPath); }));
  if (!fd.valid()) throw Failure{errno, "openat"};
  requireListedOrLike(fd, directory, identity, call);
  return fd;
}

namespace {

napi_value read(const Call& call, bool plain) {
  int directory = call.fd(0);
  Name name = call.nameOrNone(1);  // none: the directory itself
  Fd entry;
  if (call.has(4) && name.text[0] != 0) {
    entry = openEntry(directory, name.text, identityIn(call.bytes(4), call.name()), call.name());
    directory = entry.get();
    name.text[0] = 0;
  }
  const Packed packed = packedOf(directory, name.text, call.count(3), call.truth(2), plain);
  return call.buffer(packed.data(), packed.size());
}

// One packed attribute. The sender of a row may be hostile, so `forEach` checks every length.
struct Attribute {
  std::string name;
  const uint8_t* value;
  size_t valueBytes;
};

template <typename Visit>
void forEach(const uint8_t* at, const uint8_t* end, Visit&& visit) {
  while (at < end) {
    if (static_cast<size_t>(end - at) < kPartBytes) throw Failure{EINVAL, "setxattr", nullptr, "malformed attributes"};
    uint16_t nameBytes;
    uint32_t valueBytes;
    memcpy(&nameBytes, at, sizeof nameBytes);
    memcpy(&valueBytes, at + sizeof nameBytes, sizeof valueBytes);
    at += kPartBytes;
    if (static_cast<size_t>(end - at) < size_t{nameBytes} + valueBytes) {
      throw Failure{EINVAL, "setxattr", nullptr, "malformed attributes"};
    }
    visit(Attribute{std::string(reinterpret_cast<const char*>(at), nameBytes), at + nameBytes, valueBytes});
    at += nameBytes + valueBytes;
  }
}

bool hasValue(const AttributeTarget& target, const char* path, const Attribute& attribute) {
  std::vector<uint8_t> value(attribute.valueBytes + 1);
  const char* name = attribute.name.c_str();
  const ssize_t bytes = target.isPath ? getxattr(path, name, value.data(), value.size())
                                      : fgetxattr(target.fd, name, value.data(), value.size());
  return bytes == static_cast<ssize_t>(attribute.valueBytes) &&
         memcmp(value.data(), attribute.value, attribute.valueBytes) == 0;
}

}  // namespace

void appendRefused(std::string* refused, int error, const std::string& name) {
  char code[64];
  uv_err_name_r(-error, code, sizeof code);
  *refused += code;
  *refused += '\0';
  *refused += name;
  *refused += '\0';
}

void setAttributes(const AttributeTarget& target, const Row& row, std::string* refused) {
  const ProcPath path(target.fd);
  forEach(row.at(row.attributesOffset()), row.at(row.bytes()), [&](const Attribute& attribute) {
    if (attribute.name.empty() || attribute.name == kFlagsName) return;  // time and inode flags are set last
    if (target.isOthers && attribute.name == "security.capability") return;
    const char* name = attribute.name.c_str();
    const int result = target.isPath ? setxattr(path.get(), name, attribute.value, attribute.valueBytes, 0)
                                     : fsetxattr(target.fd, name, attribute.value, attribute.valueBytes, 0);
    if (result == 0) return;
    const int reason = errno;
    if (hasValue(target, path.get(), attribute)) return;  // for example a label that new files get here anyway
    // ENOSPC is recorded like any other reason: it means that this file cannot store so much, not that the disk is
    // full.
    appendRefused(refused, reason, attribute.name);
  });
}

bool hasAcl(int fd) {
  return getAt(fd, "", kAccessAcl, nullptr, 0, false) >= 0 || (errno != ENODATA && errno != EOPNOTSUPP);
}

std::string aclOf(int fd) {
  char usual[kUsualAclBytes];
  ssize_t bytes = getAt(fd, "", kAccessAcl, usual, sizeof usual, false);
  if (bytes >= 0) return std::string(usual, static_cast<size_t>(bytes));
  if (errno != ERANGE) return {};
  std::string longer(kMostValueBytes, 0);
  bytes = getAt(fd, "", kAccessAcl, longer.data(), longer.size(), false);
  longer.resize(bytes < 0 ? 0 : static_cast<size_t>(bytes));
  return longer;
}

namespace {

// Removes an ACL by `remove` if `get` finds one. A look at a new file costs less than a removal. Returns an error of a
// removal, otherwise 0.
template <typename Get, typename Remove>
int dropAcl(const char* name, Get&& get, Remove&& remove) {
  if (get(name) < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) return 0;
  return remove(name) == 0 || errno == ENODATA || errno == EOPNOTSUPP ? 0 : errno;
}

}  // namespace

int dropInheritedAcls(int fd, bool directory) {
  const auto drop = [fd](const char* name) {
    return dropAcl(
        name, [fd](const char* acl) { return fgetxattr(fd, acl, nullptr, 0); },
        [fd](const char* acl) { return fremovexattr(fd, acl); });
  };
  const int access = drop(kAccessAcl);
  const int byDefault = directory ? drop(kDefaultAcl) : 0;
  return access != 0 ? access : byDefault;
}

int dropInheritedAcl(const char* path) {
  return dropAcl(
      kAccessAcl, [path](const char* acl) { return getxattr(path, acl, nullptr, 0); },
      [path](const char* acl) { return removexattr(path, acl); });
}

timespec mtimeOf(const Row& row) {
  return exactTime(row.get<int64_t>(kMtime), row.at(row.attributesOffset()), row.at(row.bytes()));
}

timespec exactTime(int64_t stored, const uint8_t* attributes, const uint8_t* end) {
  timespec time = timeOf(stored);
  if (stored != INT64_MIN && stored != INT64_MAX) return time;
  forEach(attributes, end, [&](const Attribute& attribute) {
    if (!attribute.name.empty() || attribute.valueBytes != kTimeBytes) return;
    int64_t seconds;
    uint32_t rest;
    memcpy(&seconds, attribute.value, sizeof seconds);
    memcpy(&rest, attribute.value + sizeof seconds, sizeof rest);
    time.tv_sec = static_cast<time_t>(seconds);
    time.tv_nsec = static_cast<long>(rest);
  });
  return time;
}

namespace calls {

napi_value attributesAt(const Call& call) { return read(call, false); }

napi_value attributesByPath(const Call& call) { return read(call, true); }

napi_value accessAclOf(const Call& call) { return call.bufferOrNothing(aclOf(call.fd(0))); }

napi_value dropInherited(const Call& call) {
  const int fd = call.fd(0);
  dropInheritedAcls(fd, true);  // a refusal is reported when the directory gets its metadata
  clearFlags(fd);
  return call.nothing();
}

}  // namespace calls

}  // namespace tardis
