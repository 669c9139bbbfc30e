// Packs a page of a directory as the kernel takes it (READDIR, READDIRPLUS), without an object for each entry.
#include <linux/fuse.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "calls.h"
#include "listed-rows.h"
#include "ready-links.h"
#include "row.h"

namespace tardis::calls {

namespace {

constexpr size_t kFrom = kMetadataFrom;
constexpr size_t kMostShownName = 1024;  // the kernel accepts no longer name
constexpr uint64_t kBareNode = uint64_t{1} << 62;
constexpr uint64_t kTreeShift = 50;
constexpr uint64_t kDirectoryShift = 24;
constexpr uint32_t kDots = 2;  // positions 1 and 2 of a directory are `.` and `..`
constexpr uint32_t kLeastInode = 16;
constexpr uint32_t kDirectoryBytes = 4096;
constexpr uint32_t kIoBytes = 4096;
constexpr uint64_t kBlockBytes = 512;
constexpr size_t kHeadWords = 2;  // of the index: the number of entries, and of directories
constexpr size_t kChildWords = 3;

// The page to pack, as JavaScript describes it: numbers as doubles, in this order.
struct Place {
  double set, tree, directory, directoryId, first, validSeconds, isPlus, from, bytes;
};

// Mixes bytes into an inode number, as src/mount/inodes.ts does.
class Mixer {
 public:
  void number(uint64_t value) {
    word(static_cast<uint32_t>(value));
    word(static_cast<uint32_t>(value >> 32));
  }

  void bytes(const uint8_t* data, size_t size) {
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
      uint32_t next;
      memcpy(&next, data + at, sizeof next);
      word(next);
    }
    uint32_t rest = static_cast<uint32_t>(size - at + 1);
    for (; at < size; ++at) rest = (rest << 8) | data[at];
    word(rest);
  }

  uint64_t inode() const {
    uint32_t low = (low_ ^ (high_ >> 15)) * 0x85ebca6bU;
    const uint32_t high = (high_ ^ (low >> 13)) * 0xc2b2ae35U;
    low ^= high >> 16;
    if (high == 0 && low < kLeastInode) low += kLeastInode;
    return (uint64_t{high} << 32) | low;
  }

 private:
  static uint32_t turned(uint32_t value, int bits) { return (value << bits) | (value >> (32 - bits)); }

  void word(uint32_t word) {
    low_ = turned((low_ ^ word) * 0xcc9e2d51U, 15);
    high_ = turned((high_ ^ turned(word, 16)) * 0x1b873593U, 13) + low_;
  }

  uint32_t low_ = 0x9e3779b9U;
  uint32_t high_ = 0x85ebca6bU;
};

uint32_t formatOf(uint8_t type) {
  switch (type) {
    case kFile: return S_IFREG;
    case kDirectory: return S_IFDIR;
    case kSymlink: return S_IFLNK;
    case kFifo: return S_IFIFO;
    case kSocket: return S_IFSOCK;
    case kCharacterDevice: return S_IFCHR;
    case kBlockDevice: return S_IFBLK;
    default: return 0;
  }
}

// The metadata of an entry. Only if `isUsual` is true may its fields be read.
class Metadata {
 public:
  explicit Metadata(const ListedRow& row) : row_(row), type_(row.metadataBytes == 0 ? 0 : row.metadata[0]) {}

  // False for entries that JavaScript must handle: damaged ones, those with attributes, and sparse ones.
  bool isUsual() const {
    const size_t fixed = kMetadataBytes + (isDevice() ? kDeviceBytes : 0);
    if (formatOf(type_) == 0 || row_.metadataBytes < fixed) return false;
    const uint8_t flags = row_.metadata[kFlags - kFrom];
    if ((flags & (kHasAttributes | kSparse)) != 0) return false;
    const size_t linkBytes = row_.metadataBytes - fixed;
    const bool mayLink = type_ == kSymlink;
    if (linkBytes > 0 ? !mayLink : mayLink && (flags & kUnreadable) == 0) return false;
    return linkBytes <= kMostLinkBytes && get<uint64_t>(kSize) <= kMostFileBytes;
  }

  bool isDevice() const { return isDeviceType(type_); }
  uint8_t type() const { return type_; }
  bool isOnOtherDevice() const { return (row_.metadata[kFlags - kFrom] & kOtherDevice) != 0; }

  template <typename Value>
  Value get(RowField field) const {
    Value value;
    memcpy(&value, row_.metadata + field - kFrom, sizeof value);
    return value;
  }

  void fill(fuse_attr* attr) const {
    const timespec changed = timeOf(get<int64_t>(kMtime)), status = timeOf(get<int64_t>(kCtime));
    attr->size = size();
    attr->blocks = type_ == kFile ? (attr->size + kBlockBytes - 1) / kBlockBytes : 0;
    attr->atime = attr->mtime = static_cast<uint64_t>(changed.tv_sec);
    attr->atimensec = attr->mtimensec = static_cast<uint32_t>(changed.tv_nsec);
    attr->ctime = static_cast<uint64_t>(status.tv_sec);
    attr->ctimensec = static_cast<uint32_t>(status.tv_nsec);
    attr->mode = formatOf(type_) | get<uint16_t>(kPermissions);
    attr->nlink = std::max<uint32_t>(1, get<uint32_t>(kNlink));
    attr->uid = get<uint32_t>(kUid);
    attr->gid = get<uint32_t>(kGid);
    if (isDevice()) attr->rdev = static_cast<uint32_t>(get<uint64_t>(kRdev));
    attr->blksize = kIoBytes;
  }

 private:
  uint64_t size() const {
    if (type_ == kDirectory) return kDirectoryBytes;
    return type_ == kSymlink ? row_.metadataBytes - kMetadataBytes : get<uint64_t>(kSize);
  }

  const ListedRow& row_;
  uint8_t type_;
};

class Packer {
 public:
  Packer(const Place& place, const Bytes& device, const Bytes& target, const Bytes& index, const Bytes& links)
      : place_(place), device_(device), target_(target), index_(index), links_(links) {}

  // Packs all entries. False if the page is malformed, if an entry is not of the usual form, or if a buffer is too
  // small.
  bool pack(ListedRows* rows) {
    ListedRow row, before = {};
    if (!rows->begin() || (kHeadWords + rows->left() + 1) * sizeof(uint32_t) > index_.size) return false;
    childAt_ = kHeadWords + rows->left() + 1;
    for (; rows->isLeft(); before = row) {
      if (!rows->next(&row) || !isInOrder(row, before, rows->isSorted()) || !add(row)) return false;
    }
    setWord(0, count_);
    setWord(1, children_);
    setWord(kHeadWords + count_, static_cast<uint32_t>(at_));
    return rows->isWhole();
  }

  size_t bytes() const { return at_; }

 private:
  // False for an empty name, and for a name in a sorted page that does not follow the one before it. The first name is
  // compared with an empty one.
  static bool isInOrder(const ListedRow& row, const ListedRow& before, bool isSorted) {
    if (!isSorted) return row.nameBytes > 0;
    const size_t common = std::min(row.nameBytes, before.nameBytes);
    const int order = common == 0 ? 0 : memcmp(row.name, before.name, common);
    return order > 0 || (order == 0 && row.nameBytes > before.nameBytes);
  }

  // False for a name that no file can have. The kernel would refuse the whole page.
  static bool isName(const ListedRow& row) {
    const bool isDots = row.nameBytes <= 2 && row.name[0] == '.' && row.name[row.nameBytes - 1] == '.';
    return row.nameBytes <= kMostShownName && !isDots && memchr(row.name, '/', row.nameBytes) == nullptr &&
           memchr(row.name, 0, row.nameBytes) == nullptr;
  }

  bool add(const ListedRow& row) {
    const Metadata metadata(row);
    const size_t direntAt = place_.isPlus != 0 ? sizeof(fuse_entry_out) : 0;
    const size_t bytes = FUSE_DIRENT_ALIGN(direntAt + FUSE_NAME_OFFSET + row.nameBytes);
    if (!isName(row) || bytes > target_.size - at_ || !metadata.isUsual()) return false;
    if ((metadata.type() == kDirectory) != (row.childId != 0)) return false;
    uint8_t* const start = target_.data + at_;
    memset(start, 0, bytes);
    const uint64_t inode = row.childId != 0 ? 0 : inodeOf(row, metadata);
    if (place_.isPlus != 0) writeEntry(start, row, metadata, inode);
    fuse_dirent dirent = {};
    dirent.ino = inode;
    dirent.off = static_cast<uint64_t>(place_.first) + count_ + 1 + kDots;
    dirent.namelen = static_cast<uint32_t>(row.nameBytes);
    dirent.type = formatOf(metadata.type()) >> 12;
    memcpy(start + direntAt, &dirent, FUSE_NAME_OFFSET);
    memcpy(start + direntAt + FUSE_NAME_OFFSET, row.name, row.nameBytes);
    setWord(kHeadWords + count_, static_cast<uint32_t>(at_));
    if (row.childId != 0 && !addChild(row, metadata)) return false;
    at_ += bytes;
    count_ += 1;
    return true;
  }

  void writeEntry(uint8_t* start, const ListedRow& row, const Metadata& metadata, uint64_t inode) const {
    fuse_entry_out entry = {};
    if (metadata.type() != kDirectory) {
      entry.nodeid = (static_cast<uint64_t>(place_.tree) << kTreeShift) |
                     (static_cast<uint64_t>(place_.directory) << kDirectoryShift) |
                     (static_cast<uint64_t>(place_.first) + count_ + 1) | kBareNode;
    }
    if (metadata.type() == kSymlink) {
      noteLink(links_, entry.nodeid, row.metadata + kMetadataBytes, row.metadataBytes - kMetadataBytes);
    }
    entry.entry_valid = entry.attr_valid = static_cast<uint64_t>(place_.validSeconds);
    entry.attr.ino = inode;
    metadata.fill(&entry.attr);
    memcpy(start, &entry, sizeof entry);
  }

  // Adds a directory to the index, so that JavaScript can set its node: the number of its entry, and its id with a bit
  // for another device.
  bool addChild(const ListedRow& row, const Metadata& metadata) {
    const size_t word = childAt_ + children_ * kChildWords;
    if ((word + kChildWords) * sizeof(uint32_t) > index_.size) return false;
    setWord(word, count_);
    setWord(word + 1, static_cast<uint32_t>(row.childId));
    setWord(word + 2, static_cast<uint32_t>(row.childId >> 32) | (metadata.isOnOtherDevice() ? 1U << 31 : 0));
    children_ += 1;
    return true;
  }

  uint64_t inodeOf(const ListedRow& row, const Metadata& metadata) {
    Mixer mixer;
    mixer.number(static_cast<uint64_t>(place_.set));
    if (metadata.get<uint32_t>(kNlink) <= 1) {
      mixer.number(static_cast<uint64_t>(place_.directoryId));
      mixer.bytes(row.name, row.nameBytes);
      return mixer.inode();
    }
    // The key that all names of one file share (src/restore/links.ts).
    key_.assign(reinterpret_cast<const char*>(device_.data), device_.size);
    key_ += '/' + std::to_string(row.contentId) + '/';
    const size_t from = key_.size();
    key_.append(reinterpret_cast<const char*>(row.metadata), row.metadataBytes);
    key_[from + kFlags - kFrom] = 0;
    memset(&key_[from + kNlink - kFrom], 0, sizeof(uint32_t));
    mixer.bytes(reinterpret_cast<const uint8_t*>(key_.data()), key_.size());
    return mixer.inode();
  }

  void setWord(size_t word, uint32_t value) const { memcpy(index_.data + word * sizeof value, &value, sizeof value); }

  const Place& place_;
  const Bytes& device_;
  const Bytes& target_;
  const Bytes& index_;
  const Bytes& links_;
  std::string key_;
  size_t at_ = 0;
  size_t childAt_ = 0;
  uint32_t count_ = 0;
  uint32_t children_ = 0;
};

}  // namespace

// Packs a page into a buffer. Writes the places of its entries to an index, and the targets of links to their table.
// Returns the number of packed bytes, or -1 if the page cannot be packed (see `Packer::pack`).
napi_value packListing(const Call& call) {
  const Bytes pages = call.bytes(0), numbers = call.bytes(1), device = call.bytes(2), target = call.bytes(3);
  const Bytes index = call.bytes(4), links = call.bytes(5);
  Place place;
  memcpy(&place, numbers.range(0, sizeof place, call.name()), sizeof place);
  index.range(0, kHeadWords * sizeof(uint32_t), call.name());
  links.range(0, kReadyLinksBytes, call.name());
  for (const double number : {place.set, place.tree, place.directory, place.directoryId, place.first, place.validSeconds,
                              place.from, place.bytes}) {
    if (!(number >= 0 && number < 9007199254740992.0)) throw Failure{EINVAL, call.name(), nullptr, "no number of a page"};
  }
  const size_t bytes = static_cast<size_t>(place.bytes);
  ListedRows rows({pages.range(static_cast<size_t>(place.from), bytes, call.name()), bytes});
  Packer packer(place, device, target, index, links);
  return call.number(packer.pack(&rows) ? static_cast<double>(packer.bytes()) : -1);
}

}  // namespace tardis::calls
