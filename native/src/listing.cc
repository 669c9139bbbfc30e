// Listings: the entries of a directory with their metadata, as packed rows sorted by name.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "calls.h"
#include "files.h"
#include "row.h"

namespace tardis::calls {

namespace {

constexpr size_t kReadBytes = 64 * 1024;     // asked of getdents64 at once
constexpr size_t kKeptBytes = 1024 * 1024;   // scratch a thread keeps between two calls
constexpr size_t kMostLinkBytes = 65535;

// Bytes that grow without being cleared first.
class Growing {
 public:
  ~Growing() { free(data_); }

  // Room for count further bytes behind those in use.
  uint8_t* room(size_t count) {
    if (count > capacity_ - used_) {
      const size_t capacity = std::max(used_ + count, capacity_ * 2);
      void* data = realloc(data_, capacity);
      if (data == nullptr) throw Failure{ENOMEM, "listDirectory"};
      data_ = static_cast<uint8_t*>(data);
      capacity_ = capacity;
    }
    return data_ + used_;
  }

  Growing() = default;
  Growing(Growing&& other) noexcept : data_(other.data_), used_(other.used_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.used_ = other.capacity_ = 0;
  }

  void use(size_t count) { used_ += count; }
  uint8_t* data() const { return data_; }
  size_t used() const { return used_; }

  void clear() {
    used_ = 0;
    if (capacity_ <= kKeptBytes) return;
    free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

 private:
  uint8_t* data_ = nullptr;
  size_t used_ = 0;
  size_t capacity_ = 0;
};

struct Entry {
  uint64_t prefix;  // the first bytes of the name, to compare most names at once
  size_t name;      // where the name lies among the directory's records
  uint32_t nameBytes;
  uint8_t kind;  // d_type
};

struct Scratch {
  Growing records;
  Growing rows;
  std::vector<Growing> fullRows;  // of a large directory, those that came before
  std::vector<Entry> entries;

  // Both clear at once what is large: a directory of a million names must not be remembered.
  void clearNames() {
    records.clear();
    entries.clear();
    if (entries.capacity() * sizeof(Entry) > kKeptBytes) entries.shrink_to_fit();
  }

  void clear() {
    clearNames();
    rows.clear();
    fullRows.clear();
  }
};

Scratch& scratchOfThread() {
  static thread_local Scratch scratch;
  scratch.clear();
  return scratch;
}

uint64_t prefixOf(const char* name, size_t bytes) {
  uint64_t prefix = 0;
  memcpy(&prefix, name, std::min(bytes, sizeof prefix));
  return __builtin_bswap64(prefix);
}

void readEntries(int directory, Scratch& scratch) {
  for (;;) {
    uint8_t* room = scratch.records.room(kReadBytes);
    const long got = retry([&] { return syscall(SYS_getdents64, directory, room, kReadBytes); });
    if (got < 0) throw Failure{errno, "getdents64"};
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const auto* record = reinterpret_cast<const dirent64*>(room + at);
      at += record->d_reclen;
      const char* name = record->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      const size_t bytes = strlen(name);
      const size_t offset = reinterpret_cast<const uint8_t*>(name) - scratch.records.data();
      scratch.entries.push_back({prefixOf(name, bytes), offset, static_cast<uint32_t>(bytes), record->d_type});
    }
    scratch.records.use(got);
  }
  const uint8_t* records = scratch.records.data();
  std::sort(scratch.entries.begin(), scratch.entries.end(), [records](const Entry& left, const Entry& right) {
    if (left.prefix != right.prefix) return left.prefix < right.prefix;
    const int order =
        memcmp(records + left.name, records + right.name, std::min(left.nameBytes, right.nameBytes));
    return order != 0 ? order < 0 : left.nameBytes < right.nameBytes;
  });
}

// Puts an empty row with a name behind the rows; the room allows for any link target.
Row beginRow(Growing& rows, const void* name, size_t nameBytes) {
  uint8_t* room = rows.room(kRowFixedBytes + nameBytes + kMostLinkBytes + 1);
  memset(room, 0, kRowFixedBytes);
  memcpy(room + kRowFixedBytes, name, nameBytes);
  const Row row(room);
  row.set<uint32_t>(kRowBytes, kRowFixedBytes + nameBytes);
  row.set<uint16_t>(kNameBytes, nameBytes);
  return row;
}

void fill(const Row& row, const struct statx& stat) {
  const RowType type = typeOfMode(stat.stx_mode);
  row.set<uint8_t>(kType, type);
  row.set<uint16_t>(kPermissions, stat.stx_mode & 07777);
  row.set<uint32_t>(kUid, stat.stx_uid);
  row.set<uint32_t>(kGid, stat.stx_gid);
  row.set<uint32_t>(kNlink, stat.stx_nlink);
  row.set<uint64_t>(kSize, type == kFile ? stat.stx_size : 0);
  if (type == kFile && stat.stx_blocks * 512 < stat.stx_size) row.setFlag(kSparse);
  row.set<int64_t>(kMtime, nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec));
  row.set<int64_t>(kCtime, nanoseconds(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec));
  if ((stat.stx_mask & STATX_BTIME) != 0) {
    row.set<int64_t>(kBtime, nanoseconds(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec));
  }
  row.set<uint64_t>(kIno, stat.stx_ino);
  if (type == kCharacterDevice || type == kBlockDevice) {
    row.set<uint64_t>(kRdev, makedev(stat.stx_rdev_major, stat.stx_rdev_minor));
  }
}

// Fills a row from the file itself, its link target included. Returns what failed, if anything did.
const char* look(int directory, const char* path, const Row& row, dev_t* device) {
  struct statx stat;
  const int got = retry([&] {
    return statx(directory, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &stat);
  });
  if (got != 0) return "statx";
  fill(row, stat);
  *device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
  if (!S_ISLNK(stat.stx_mode)) return nullptr;
  auto* target = reinterpret_cast<char*>(const_cast<uint8_t*>(row.at(row.bytes())));
  const ssize_t bytes = retry([&] { return readlinkat(directory, path, target, kMostLinkBytes + 1); });
  if (bytes < 0) return "readlinkat";
  if (bytes > static_cast<ssize_t>(kMostLinkBytes)) {
    errno = ENAMETOOLONG;
    return "readlinkat";
  }
  row.set<uint16_t>(kLinkBytes, bytes);
  row.set<uint32_t>(kRowBytes, row.bytes() + bytes);
  return nullptr;
}

dev_t deviceOf(int directory) {
  struct stat stat;
  if (fstat(directory, &stat) != 0) throw Failure{errno, "fstat"};
  return stat.st_dev;
}

}  // namespace

namespace {

// All rows as one buffer. Each piece is freed when it has been copied: there is never twice the whole.
napi_value joinRows(const Call& call, Scratch& scratch) {
  if (scratch.fullRows.empty()) return call.buffer(scratch.rows.data(), scratch.rows.used());
  scratch.fullRows.push_back(std::move(scratch.rows));
  size_t total = 0;
  for (const Growing& piece : scratch.fullRows) total += piece.used();
  uint8_t* room = nullptr;
  const napi_value listing = call.bufferOf(total, &room);
  for (Growing& piece : scratch.fullRows) {
    if (piece.used() > 0) memcpy(room, piece.data(), piece.used());
    room += piece.used();
    const Growing freed = std::move(piece);
  }
  scratch.fullRows.clear();
  return listing;
}

}  // namespace

napi_value listDirectory(const Call& call) {
  const Fd directory = tardis::openDirectory(call.path(0));
  const dev_t device = deviceOf(directory.get());
  Scratch& scratch = scratchOfThread();
  readEntries(directory.get(), scratch);
  for (const Entry& entry : scratch.entries) {
    const auto* name = reinterpret_cast<const char*>(scratch.records.data() + entry.name);
    Row row = beginRow(scratch.rows, name, entry.nameBytes);
    dev_t own = device;
    if (look(directory.get(), name, row, &own) != nullptr) {
      if (errno == ENOENT) continue;
      row = beginRow(scratch.rows, name, entry.nameBytes);
      row.set<uint8_t>(kType, typeOfMode(DTTOIF(entry.kind)));
      row.setFlag(kUnreadable);
    } else if (own != device) {
      row.setFlag(kOtherDevice);
    }
    scratch.rows.use(row.bytes());
    if (scratch.rows.used() > kKeptBytes) scratch.fullRows.push_back(std::move(scratch.rows));
  }
  scratch.clearNames();
  return joinRows(call, scratch);
}

napi_value statRow(const Call& call) {
  const std::string path = call.path(0);
  // A root may be called anything, even "/".
  const Bytes name = call.text(1);
  if (name.size > kMostNameBytes) throw Failure{ENAMETOOLONG, call.name()};
  const Place place = shorten(path);
  const Row row = beginRow(scratchOfThread().rows, name.data, name.size);
  dev_t device;
  const char* failed = look(place.directory, place.rest, row, &device);
  if (failed != nullptr) throw Failure{errno, failed};
  return call.buffer(row.at(0), row.bytes());
}

napi_value statAt(const Call& call) {
  const int directory = call.fd(0);
  Name name;
  call.name(1, &name);
  const Row row = beginRow(scratchOfThread().rows, name.text, strlen(name.text));
  dev_t device;
  const char* failed = look(directory, name.text, row, &device);
  if (failed != nullptr) throw Failure{errno, failed};
  if (device != deviceOf(directory)) row.setFlag(kOtherDevice);
  return call.buffer(row.at(0), row.bytes());
}

}  // namespace tardis::calls
