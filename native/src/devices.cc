// Lists and opens block devices whose contents are backed up, and zeroes ranges of devices that are restored.
#include "devices.h"

#include "calls.h"
#include "entry.h"
#include "names.h"
#include "reading.h"

namespace tardis {

namespace {

// Opens what a name leads to, so that it can be looked at. Nothing is done to it: no tape is wound, no medium is loaded.
Fd openPath(int directory, const char* name) {
  return opened(retry([&] { return openat(directory, name, O_PATH | O_CLOEXEC); }), "openat");
}

// Opens for reading what was opened by `openPath`, and nothing that has its name now.
Fd openSame(const Fd& node) {
  const ProcPath path(node.get());
  return opened(openPatiently([&] { return open(path.get(), O_RDONLY | O_NOCTTY | O_CLOEXEC); }), "open");
}

// Returns the size of an open device. Throws ENOMEDIUM for one that has no contents.
uint64_t sizeOf(int fd) {
  const off_t bytes = lseek(fd, 0, SEEK_END);
  if (bytes < 0) throw Failure{errno, "lseek"};
  if (bytes == 0) throw Failure{ENOMEDIUM, "lseek"};
  if (static_cast<uint64_t>(bytes) > kMostFileBytes) throw Failure{EOVERFLOW, "lseek"};
  return static_cast<uint64_t>(bytes);
}

// Makes the row of a link to a block device, or of the device itself, that of a file with the contents of the device.
void setContents(const Row& row, const struct stat& stat, uint64_t size) {
  row.set<uint32_t>(kRowBytes, row.bytes() - row.get<uint16_t>(kLinkBytes));
  row.set<uint16_t>(kLinkBytes, 0);
  row.set<uint8_t>(kType, kFile);
  row.set<uint16_t>(kPermissions, stat.st_mode & 07777);
  row.set<uint32_t>(kUid, stat.st_uid);
  row.set<uint32_t>(kGid, stat.st_gid);
  row.set<uint32_t>(kNlink, 1);
  row.set<uint64_t>(kSize, size);
  row.set<int64_t>(kMtime, mtimeOf(stat));
  row.set<int64_t>(kCtime, ctimeOf(stat));
  row.set<int64_t>(kBtime, 0);
  row.set<uint64_t>(kIno, stat.st_ino);
  row.set<uint64_t>(kRdev, stat.st_rdev);
  row.setFlag(kSparse);
}

}  // namespace

Fd openDevice(int directory, const char* name, const Identity& identity, const char* call) {
  const Fd node = openPath(directory, name);
  requireListed(node.get(), statOf(node), identity, call);
  return openSame(node);
}

namespace calls {

// Returns the row of a name in an open directory; that of a file with its contents if the name leads to a block device.
napi_value contentsAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  Growing rows;
  const Row row = beginRow(rows, name.text, strlen(name.text));
  lookIn(directory, name.text, row);
  const RowType type = static_cast<RowType>(row.get<uint8_t>(kType));
  if (type != kSymlink && type != kBlockDevice) return call.buffer(row.at(0), row.bytes());
  const Fd node = openPath(directory, name.text);
  const struct stat stat = statOf(node);
  if (S_ISBLK(stat.st_mode)) {
    setContents(row, stat, sizeOf(openSame(node).get()));
    if (stat.st_dev != deviceOf(directory)) row.setFlag(kOtherDevice);
    else row.clearFlag(kOtherDevice);
  }
  return call.buffer(row.at(0), row.bytes());
}

// Returns the size of an open block device.
napi_value deviceBytes(const Call& call) { return call.number(static_cast<double>(sizeOf(call.fd(0)))); }

// Makes a range of an open file or block device zeros, without writing them where the device can do that.
napi_value zeroRange(const Call& call) {
  const int fd = call.fd(0);
  const auto from = static_cast<off_t>(call.count(1));
  const auto bytes = static_cast<off_t>(call.count(2));
  // A hole gives the space back; the system guarantees that it reads as zeros, or refuses.
  if (retry([&] { return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, bytes); }) == 0) return call.nothing();
  if (retry([&] { return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, from, bytes); }) == 0) return call.nothing();
  throw Failure{errno, "fallocate"};
}

}  // namespace calls

}  // namespace tardis
