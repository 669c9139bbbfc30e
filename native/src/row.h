// The packed row of one directory entry: the offsets of its fields, and access to them. Rows are little endian and need
// not be aligned.
//
//  0 u32 bytes of the whole row   4 u16 bytes of the name   6 u16 bytes of the link target
//  8 u8 type   9 u8 flags   10 u16 permission bits   12 u32 uid   16 u32 gid   20 u32 nlink
// 24 u64 size (regular files only)   32 i64 mtime   40 i64 ctime   48 i64 btime (ns)   56 u64 ino
// 64 u64 rdev (device nodes only)   72 [32 bytes of digest] name, link target, attributes (only with their flag)
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <cstring>

#include "call.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");

namespace tardis {

constexpr size_t kRowFixedBytes = 72;
constexpr size_t kDigestBytes = 32;
constexpr size_t kMostNameBytes = 65535;
constexpr uint64_t kMostFileBytes = (uint64_t{1} << 53) - 1;  // largest integer that JavaScript represents exactly

enum RowField : size_t {
  kRowBytes = 0,
  kNameBytes = 4,
  kLinkBytes = 6,
  kType = 8,
  kFlags = 9,
  kPermissions = 10,
  kUid = 12,
  kGid = 16,
  kNlink = 20,
  kSize = 24,
  kMtime = 32,
  kCtime = 40,
  kBtime = 48,
  kIno = 56,
  kRdev = 64,
};

enum RowFlag : uint8_t {
  kHasDigest = 1,
  kUnsettled = 2,
  kUnreadable = 4,
  kChanged = 8,
  kOtherDevice = 16,
  kHasAttributes = 32,
  kSparse = 64,             // in a listing: fewer blocks than the size requires
  kUnknownType = 128,        // of an unreadable row: the directory reports no type either; never leaves the process
};

// Values of the size field of a directory.
enum MountState : uint64_t {
  kNotMounted = 0,
  kMounted = 1,
  kMountedInMemory = 2,
  kMountedEmpty = 3,
};

enum RowType : uint8_t {
  kFile = 1,
  kDirectory = 2,
  kSymlink = 3,
  kFifo = 4,
  kSocket = 5,
  kCharacterDevice = 6,
  kBlockDevice = 7,
};

inline RowType typeOfMode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return kDirectory;
    case S_IFLNK: return kSymlink;
    case S_IFIFO: return kFifo;
    case S_IFSOCK: return kSocket;
    case S_IFCHR: return kCharacterDevice;
    case S_IFBLK: return kBlockDevice;
    default: return kFile;
  }
}

// Returns nanoseconds since 1970. Times outside the range of 64 bits (the years 1677 to 2262) become the nearest
// limit.
inline int64_t nanoseconds(int64_t seconds, uint32_t rest) {
  int64_t result;
  if (__builtin_mul_overflow(seconds, int64_t{1000000000}, &result) ||
      __builtin_add_overflow(result, int64_t{rest}, &result)) {
    return seconds < 0 ? INT64_MIN : INT64_MAX;
  }
  return result;
}

inline timespec timeOf(int64_t nanoseconds) {
  int64_t seconds = nanoseconds / 1000000000;
  int64_t rest = nanoseconds % 1000000000;
  if (rest < 0) {
    rest += 1000000000;
    seconds -= 1;
  }
  timespec time;
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = static_cast<long>(rest);
  return time;
}

// A row within the caller's bytes.
class Row {
 public:
  explicit Row(uint8_t* at) : at_(at) {}

  // Returns the row at an offset. Throws EINVAL if it exceeds the bytes, or if its lengths contradict each other.
  static Row checked(const Bytes& rows, size_t offset, const char* call) {
    const Row row(rows.range(offset, kRowFixedBytes, call));
    const size_t bytes = row.bytes();
    const size_t known = row.attributesOffset();
    if (row.hasFlag(kHasAttributes) ? bytes <= known : bytes != known) {
      throw Failure{EINVAL, call, nullptr, "malformed row"};
    }
    rows.range(offset, bytes, call);
    return row;
  }

  template <typename Value>
  Value get(RowField field) const {
    Value value;
    memcpy(&value, at_ + field, sizeof value);
    return value;
  }

  template <typename Value>
  void set(RowField field, Value value) const {
    memcpy(at_ + field, &value, sizeof value);
  }

  void setFlag(RowFlag flag) const { at_[kFlags] |= flag; }
  void clearFlag(RowFlag flag) const { at_[kFlags] &= ~flag; }
  bool hasFlag(RowFlag flag) const { return (at_[kFlags] & flag) != 0; }

  size_t bytes() const { return get<uint32_t>(kRowBytes); }
  size_t nameBytes() const { return get<uint16_t>(kNameBytes); }
  size_t nameOffset() const { return kRowFixedBytes + ((at_[kFlags] & kHasDigest) != 0 ? kDigestBytes : 0); }
  // Returns the offset of the attributes; the end of the row if it has none.
  size_t attributesOffset() const { return nameOffset() + nameBytes() + get<uint16_t>(kLinkBytes); }
  const uint8_t* at(size_t offset) const { return at_ + offset; }

 private:
  uint8_t* at_;
};

}  // namespace tardis
