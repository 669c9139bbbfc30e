// Tests that decide if an entry is left out of a backup: the attribute "no dump", and the right to read. No row
// contains their results.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <vector>

#include "calls.h"
#include "files.h"
#include "row.h"

namespace tardis::calls {

namespace {

constexpr uint64_t kAttributeNoDump = 0x40;  // STATX_ATTR_NODUMP; older headers lack it

// Reads the "no dump" flag on file systems that do not report it by statx. It opens the entry, which must be a file or
// a directory: opening another entry may have side effects.
bool readsNoDump(int directory, const char* name) {
  const Fd fd(retry([&] { return openat(directory, name, kForReading); }));
  int attributes = 0;
  return fd.valid() && ioctl(fd.get(), FS_IOC_GETFLAGS, &attributes) == 0 && (attributes & FS_NODUMP_FL) != 0;
}

bool isNoDump(int directory, const char* name, RowType) {
  struct statx stat;
  const int got = retry([&] {
    return statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &stat);
  });
  if (got != 0) return false;
  if ((stat.stx_attributes_mask & kAttributeNoDump) != 0) return (stat.stx_attributes & kAttributeNoDump) != 0;
  return (S_ISREG(stat.stx_mode) || S_ISDIR(stat.stx_mode)) && readsNoDump(directory, name);
}

// True if a file or directory may not be read. Always false for links and nodes: a backup never opens them, and so
// needs no right to read them.
bool isForbidden(int directory, const char* name, RowType type) {
  if (type != kFile && type != kDirectory) return false;
  const int mode = type == kDirectory ? R_OK | X_OK : R_OK;
  const int got = retry([&] { return faccessat(directory, name, mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW); });
  return got != 0 && errno == EACCES;
}

// Returns one byte for each row: 1 if the test is true of its entry, otherwise 0.
napi_value mark(const Call& call, bool (*test)(int directory, const char* name, RowType type)) {
  const int directory = call.fd(0);
  const Bytes rows = call.bytes(1);
  std::vector<uint8_t> marks;
  for (size_t at = 0; at < rows.size;) {
    const Row row = Row::checked(rows, at, call.name());
    const std::string name(reinterpret_cast<const char*>(row.at(row.nameOffset())), row.nameBytes());
    marks.push_back(test(directory, name.c_str(), static_cast<RowType>(row.get<uint8_t>(kType))) ? 1 : 0);
    at += row.bytes();
  }
  return call.buffer(marks.data(), marks.size());
}

}  // namespace

napi_value noDumpRows(const Call& call) { return mark(call, isNoDump); }

napi_value forbiddenRows(const Call& call) { return mark(call, isForbidden); }

}  // namespace tardis::calls
