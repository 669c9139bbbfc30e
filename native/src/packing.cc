// Packs entries of directories as the kernel takes them (READDIR, READDIRPLUS): those of a page without an object for
// each, or single ones that JavaScript describes.
#include <linux/fuse.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "calls.h"
#include "listed-rows.h"
#include "ready-links.h"
#include "row.h"
#include "xattrs.h"

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
  double inodeId, parentSet, parentId;  // for the inode numbers of `.` and `..`
};

// Mixes values into an inode number (murmur's mixing of a word at a time).
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

// Returns an inode number: the hash of these values, or that of the mount's root for set 0 and directory 0.
uint64_t inodeOf(uint64_t set, std::optional<uint64_t> directory, std::optional<Bytes> bytes) {
  if (set == 0 && directory == 0 && !bytes) return FUSE_ROOT_ID;
  Mixer mixer;
  mixer.number(set);
  if (directory) mixer.number(*directory);
  if (bytes) mixer.bytes(bytes->data, bytes->size);
  return mixer.inode();
}

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

// The metadata of an entry. Only if `isWhole` or `isUsual` is true may its fields be read.
class Metadata {
 public:
  Metadata(const uint8_t* data, size_t size) : data_(data), size_(size), type_(size == 0 ? 0 : data[0]) {}

  // False if the metadata is too short for its fields.
  bool isWhole() const { return size_ >= fixedBytes() && size_ >= linkAt() && linkBytes() <= size_ - linkAt(); }

  // False for entries that JavaScript must describe: damaged ones, those with attributes, and sparse ones.
  bool isUsual() const {
    if (format() == 0 || size_ < fixedBytes() || hasFlag(kHasAttributes) || hasFlag(kSparse)) return false;
    const bool mayLink = type_ == kSymlink;
    if (linkBytes() > 0 ? !mayLink : mayLink && !hasFlag(kUnreadable)) return false;
    return linkBytes() <= kMostLinkBytes && get<uint64_t>(kSize) <= kMostFileBytes;
  }

  uint8_t type() const { return type_; }
  uint32_t format() const { return formatOf(type_); }
  bool hasFlag(RowFlag flag) const { return (get<uint8_t>(kFlags) & flag) != 0; }
  const uint8_t* link() const { return data_ + linkAt(); }

  size_t linkBytes() const {
    if (!hasFlag(kHasAttributes)) return size_ - fixedBytes();
    uint16_t bytes;
    memcpy(&bytes, data_ + fixedBytes(), sizeof bytes);
    return bytes;
  }

  template <typename Value>
  Value get(RowField field) const {
    Value value;
    memcpy(&value, data_ + field - kFrom, sizeof value);
    return value;
  }

  uint64_t size() const {
    if (type_ == kDirectory) return kDirectoryBytes;
    return type_ == kSymlink ? linkBytes() : get<uint64_t>(kSize);
  }

  // Fills in all but the inode number. A sparse file has data of `storedBytes`, any other one of its size.
  void fill(fuse_attr* attr, uint64_t storedBytes) const {
    const uint8_t* attributes = link() + linkBytes();
    const timespec changed = exactTime(get<int64_t>(kMtime), attributes, data_ + size_);
    const timespec status = timeOf(get<int64_t>(kCtime));
    attr->size = size();
    attr->blocks = type_ == kFile ? (storedBytes + kBlockBytes - 1) / kBlockBytes : 0;
    // The time of the last read is not kept: it is that of the last change.
    attr->atime = attr->mtime = static_cast<uint64_t>(changed.tv_sec);
    attr->atimensec = attr->mtimensec = static_cast<uint32_t>(changed.tv_nsec);
    attr->ctime = static_cast<uint64_t>(status.tv_sec);
    attr->ctimensec = static_cast<uint32_t>(status.tv_nsec);
    attr->mode = format() | get<uint16_t>(kPermissions);
    attr->nlink = std::max<uint32_t>(1, get<uint32_t>(kNlink));
    attr->uid = get<uint32_t>(kUid);
    attr->gid = get<uint32_t>(kGid);
    // The kernel's encoding in 32 bits is the lower half of the C library's in 64.
    if (isDeviceType(type_)) attr->rdev = static_cast<uint32_t>(get<uint64_t>(kRdev));
    attr->blksize = kIoBytes;
  }

 private:
  size_t fixedBytes() const { return kMetadataBytes + (isDeviceType(type_) ? kDeviceBytes : 0); }
  size_t linkAt() const { return fixedBytes() + (hasFlag(kHasAttributes) ? sizeof(uint16_t) : 0); }

  const uint8_t* data_;
  size_t size_;
  uint8_t type_;
};

// An entry as it is shown.
struct Shown {
  Bytes name;
  uint64_t node, inode, offset;
  uint32_t format;
  const Metadata* metadata;  // null if only the name is shown
  uint64_t storedBytes;
};

// Packs an entry from an offset of the memory on: as READDIRPLUS shows it if it has `validSeconds`, else as READDIR.
// Returns its end; 0 if there is no room.
size_t packShown(const Bytes& target, size_t at, const Shown& shown, std::optional<uint64_t> validSeconds) {
  const size_t direntAt = validSeconds ? sizeof(fuse_entry_out) : 0;
  const size_t bytes = FUSE_DIRENT_ALIGN(direntAt + FUSE_NAME_OFFSET + shown.name.size);
  if (at > target.size || bytes > target.size - at) return 0;
  uint8_t* const start = target.data + at;
  memset(start, 0, bytes);
  if (validSeconds && shown.metadata != nullptr) {
    fuse_entry_out entry = {};
    entry.nodeid = shown.node;
    entry.entry_valid = entry.attr_valid = *validSeconds;
    entry.attr.ino = shown.inode;
    shown.metadata->fill(&entry.attr, shown.storedBytes);
    memcpy(start, &entry, sizeof entry);
  }
  fuse_dirent dirent = {};
  dirent.ino = shown.inode;
  dirent.off = shown.offset;
  dirent.namelen = static_cast<uint32_t>(shown.name.size);
  dirent.type = shown.format >> 12;
  memcpy(start + direntAt, &dirent, FUSE_NAME_OFFSET);
  memcpy(start + direntAt + FUSE_NAME_OFFSET, shown.name.data, shown.name.size);
  return at + bytes;
}

class Packer {
 public:
  Packer(const Place& place, const Bytes& device, const Bytes& target, const Bytes& index, const Bytes& links)
      : place_(place), device_(device), target_(target), index_(index), links_(links) {
    if (place.isPlus != 0) validSeconds_ = static_cast<uint64_t>(place.validSeconds);
  }

  // Packs all entries. False if the page is malformed, if an entry is not of the usual form, or if a buffer is too
  // small.
  bool pack(ListedRows* rows) {
    ListedRow row, before = {};
    if (!rows->begin()) return false;
    childAt_ = kHeadWords + (place_.first < 0 ? kDots : 0) + rows->left() + 1;
    if (childAt_ * sizeof(uint32_t) > index_.size || (place_.first < 0 && !addDots())) return false;
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

  // Adds `.` and `..`. The kernel ignores the nodes of these two names.
  bool addDots() {
    const uint64_t own = inodeOf(numberOf(place_.set), numberOf(place_.inodeId), {});
    const uint64_t parent = inodeOf(numberOf(place_.parentSet), numberOf(place_.parentId), {});
    uint8_t names[] = {'.', '.'};
    return put({{names, 1}, 0, own, 0, S_IFDIR, nullptr, 0}) && put({{names, 2}, 0, parent, 0, S_IFDIR, nullptr, 0});
  }

  bool add(const ListedRow& row) {
    const Metadata metadata(row.metadata, row.metadataBytes);
    if (!isName(row) || !metadata.isUsual() || (metadata.type() == kDirectory) != (row.childId != 0)) return false;
    if (row.childId != 0 && !addChild(row, metadata)) return false;
    const uint64_t node = row.childId != 0 ? 0
                                           : numberOf(place_.tree) << kTreeShift |
                                                 numberOf(place_.directory) << kDirectoryShift |
                                                 (offset() - kDots) | kBareNode;
    if (validSeconds_ && metadata.type() == kSymlink) noteLink(links_, node, metadata.link(), metadata.linkBytes());
    const Bytes name = {const_cast<uint8_t*>(row.name), row.nameBytes};
    return put({name, node, inodeOfRow(row, name, metadata), 0, metadata.format(), &metadata, metadata.size()});
  }

  // Packs an entry at the next offset of the directory.
  bool put(Shown shown) {
    shown.offset = offset();
    const size_t end = packShown(target_, at_, shown, validSeconds_);
    setWord(kHeadWords + count_, static_cast<uint32_t>(at_));
    at_ = end;
    count_ += 1;
    return end != 0;
  }

  // Returns the offset in the directory after the next entry.
  uint64_t offset() const { return static_cast<uint64_t>(static_cast<int64_t>(place_.first) + count_ + 1 + kDots); }

  // Adds a directory to the index, so that JavaScript can set its node: the number of its entry, and its id with a bit
  // for another device.
  bool addChild(const ListedRow& row, const Metadata& metadata) {
    const size_t word = childAt_ + children_ * kChildWords;
    if ((word + kChildWords) * sizeof(uint32_t) > index_.size) return false;
    setWord(word, count_);
    setWord(word + 1, static_cast<uint32_t>(row.childId));
    setWord(word + 2, static_cast<uint32_t>(row.childId >> 32) | (metadata.hasFlag(kOtherDevice) ? 1U << 31 : 0));
    children_ += 1;
    return true;
  }

  uint64_t inodeOfRow(const ListedRow& row, const Bytes& name, const Metadata& metadata) {
    const uint64_t set = numberOf(place_.set);
    if (row.childId != 0) return inodeOf(set, row.childId, {});
    if (metadata.get<uint32_t>(kNlink) <= 1) return inodeOf(set, numberOf(place_.directoryId), name);
    // The key that all names of one file share (src/restore/links.ts).
    key_.assign(reinterpret_cast<const char*>(device_.data), device_.size);
    key_ += '/' + std::to_string(row.contentId) + '/';
    const size_t from = key_.size();
    key_.append(reinterpret_cast<const char*>(row.metadata), row.metadataBytes);
    key_[from + kFlags - kFrom] = 0;
    memset(&key_[from + kNlink - kFrom], 0, sizeof(uint32_t));
    return inodeOf(set, {}, Bytes{reinterpret_cast<uint8_t*>(key_.data()), key_.size()});
  }

  static uint64_t numberOf(double value) { return static_cast<uint64_t>(value); }
  void setWord(size_t word, uint32_t value) const { memcpy(index_.data + word * sizeof value, &value, sizeof value); }

  const Place& place_;
  const Bytes& device_;
  const Bytes& target_;
  const Bytes& index_;
  const Bytes& links_;
  std::optional<uint64_t> validSeconds_;
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
  for (const double number :
       {place.set, place.tree, place.directory, place.directoryId, place.first + kDots, place.validSeconds, place.from,
        place.bytes, place.inodeId, place.parentSet, place.parentId}) {
    if (!(number >= 0 && number < 9007199254740992.0)) throw Failure{EINVAL, call.name(), nullptr, "no number of a page"};
  }
  const size_t bytes = static_cast<size_t>(place.bytes);
  ListedRows rows({pages.range(static_cast<size_t>(place.from), bytes, call.name()), bytes});
  Packer packer(place, device, target, index, links);
  return call.number(packer.pack(&rows) ? static_cast<double>(packer.bytes()) : -1);
}

// Packs an entry that JavaScript describes. Returns its end.
napi_value packEntry(const Call& call) {
  const Bytes described = call.bytes(3);
  const Metadata metadata(described.data, described.size);
  std::optional<uint64_t> directory, validSeconds;
  std::optional<Bytes> bytes;
  if (call.has(7)) directory = static_cast<uint64_t>(call.integer(7));
  if (call.has(8)) bytes = call.bytes(8);
  if (call.has(11)) validSeconds = call.count(11);
  Shown shown = {call.bytes(2), call.count(4) | uint64_t{call.count(5)} << 32, 0, call.count(9), metadata.format(), nullptr, 0};
  shown.inode = inodeOf(call.count(6), directory, bytes);
  if (shown.node != 0) {
    if (!metadata.isWhole()) throw Failure{EINVAL, call.name(), nullptr, "malformed metadata"};
    shown.metadata = &metadata;
    shown.storedBytes = call.has(10) ? call.count(10) : metadata.size();
  }
  const size_t end = packShown(call.bytes(0), call.count(1), shown, validSeconds);
  if (end == 0) throw Failure{EINVAL, call.name(), nullptr, "no room for an entry"};
  return call.number(static_cast<double>(end));
}

}  // namespace tardis::calls
