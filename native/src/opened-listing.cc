// Opens a packed page of an encrypting client, without an object for each entry.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "calls.h"
#include "entry-seal.h"
#include "listed-rows.h"

namespace tardis::calls {

namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kChildBytes = kIdBytes + kSealBytes;  // of a directory: its id and its place
constexpr size_t kHeadBytes = 2 * sizeof(uint32_t);    // the number of entries, and of directories
constexpr size_t kMostDigits = 20;
constexpr size_t kNumbers = 7;  // of an entry in a page
constexpr size_t kLinkLengthBytes = sizeof(uint16_t);
constexpr size_t kLeastRowBytes = kMetadataBytes + kLinkLengthBytes + kSealAloneBytes;

// The keys of the call, and the place of the directory.
struct ListingKeys {
  const uint8_t* names;
  EntryKeys entries;
  const uint8_t* places;
  const uint8_t* place;
};

// An entry of a sound form (see `takeSound`). After `fixedBytes`, its metadata contains the target of a link, the seal
// and sealed attributes.
struct SealedEntry {
  ListedRow row;
  size_t fixedBytes;
  size_t linkBytes;
};

// An opened entry: its name and its metadata, one after the other in the memory of the page.
struct OpenedEntry {
  size_t at;
  size_t nameBytes;
  size_t metadataBytes;
  ListedRow listed;
  uint8_t content[kHashBytes];  // the hash of its content, which its seal covers
};

// Describes an entry of a sound form. False for any other entry, whose damage JavaScript reports.
bool takeSound(const ListedRow& row, SealedEntry* into) {
  if (row.metadataBytes < kMetadataBytes || row.nameBytes > kMostNameBytes) return false;
  const uint8_t type = row.metadata[0];
  const uint8_t flags = row.metadata[kFlags - kMetadataFrom];
  const size_t fixedBytes = kMetadataBytes + (isDeviceType(type) ? kDeviceBytes : 0);
  if (type < kFile || type > kBlockDevice || row.metadataBytes < fixedBytes + kLinkLengthBytes) return false;
  if ((flags & kHasAttributes) == 0) return false;
  uint16_t linkBytes;
  uint64_t sizeBytes;
  memcpy(&linkBytes, row.metadata + fixedBytes, sizeof linkBytes);
  memcpy(&sizeBytes, row.metadata + kSize - kMetadataFrom, sizeof sizeBytes);
  if (row.metadataBytes < fixedBytes + kLinkLengthBytes + linkBytes + kSealAloneBytes) return false;
  const bool mayLink = type == kSymlink;
  if (linkBytes > 0 ? !mayLink : mayLink && (flags & kUnreadable) == 0) return false;
  *into = {row, fixedBytes, linkBytes};
  return linkBytes <= kMostLinkBytes && sizeBytes <= kMostFileBytes;
}

class PageOpener {
 public:
  explicit PageOpener(const ListingKeys& keys) : keys_(keys), opener_(keys.names, keys.entries) {}

  // Opens all entries of a page and adds their seals to `sum`; sorts them by name if `sorts`. False if an entry is not
  // of a sound form, is not as the client sealed it, or refers to a content or a directory that its seal does not
  // allow.
  bool open(const Bytes& page, uint8_t* sum, bool sorts) {
    ListedRows rows(page);
    if (!rows.begin() || rows.left() > page.size / kLeastRowBytes) return false;
    std::vector<SealedEntry> sealed(rows.left());
    for (SealedEntry& entry : sealed) {
      ListedRow row;
      if (!rows.next(&row) || !takeSound(row, &entry)) return false;
    }
    if (!rows.isWhole()) return false;
    memory_.reserve(page.size);
    entries_.reserve(sealed.size());
    for (const SealedEntry& entry : sealed) {
      if (!add(entry, sum)) return false;
    }
    sorts_ = sorts;
    if (!sorts) return true;
    std::stable_sort(entries_.begin(), entries_.end(), [this](const OpenedEntry& one, const OpenedEntry& other) {
      const size_t common = std::min(one.nameBytes, other.nameBytes);
      const int order = common == 0 ? 0 : memcmp(&memory_[one.at], &memory_[other.at], common);
      return order < 0 || (order == 0 && one.nameBytes < other.nameBytes);
    });
    return true;
  }

  // Returns a buffer: the number of entries, the number of directories, the directories, the hash of each entry's
  // content, and the page in opened form.
  napi_value result(const Call& call) const {
    std::string page;
    page.reserve(memory_.size() + (entries_.size() + 1) * kNumbers * kMostDigits);
    appendNumber(&page, entries_.size(), ',');
    appendNumber(&page, entries_.size(), sorts_ ? kSortedHead : kUnsortedHead);
    for (const OpenedEntry& entry : entries_) {
      appendNumber(&page, entry.nameBytes, ',');
      appendNumber(&page, entry.metadataBytes, ',');
      appendNumber(&page, entry.listed.firstSet, ',');
      appendId(&page, entry.listed.lastSet, ',');
      appendNumber(&page, entry.listed.flags, ',');
      appendId(&page, entry.listed.contentId, ',');
      appendId(&page, entry.listed.childId, ';');
      page.append(reinterpret_cast<const char*>(&memory_[entry.at]), entry.nameBytes + entry.metadataBytes);
    }
    const uint32_t counts[] = {static_cast<uint32_t>(entries_.size()),
                               static_cast<uint32_t>(children_.size() / kChildBytes)};
    uint8_t* room;
    const size_t hashesBytes = entries_.size() * kHashBytes;
    const napi_value made = call.bufferOf(kHeadBytes + children_.size() + hashesBytes + page.size(), &room);
    memcpy(room, counts, kHeadBytes);
    room += kHeadBytes;
    if (!children_.empty()) memcpy(room, children_.data(), children_.size());
    room += children_.size();
    for (const OpenedEntry& entry : entries_) {
      memcpy(room, entry.content, kHashBytes);
      room += kHashBytes;
    }
    memcpy(room, page.data(), page.size());
    return made;
  }

 private:
  bool add(const SealedEntry& entry, uint8_t* sum) {
    const auto& [listed, fixedBytes, linkBytes] = entry;
    const size_t tailBytes = listed.metadataBytes - fixedBytes - kLinkLengthBytes;
    row_.assign(kRowFixedBytes, 0);
    memcpy(&row_[kMetadataFrom], listed.metadata, fixedBytes);
    row_.insert(row_.end(), listed.name, listed.name + listed.nameBytes);
    row_.insert(row_.end(), listed.metadata + listed.metadataBytes - tailBytes, listed.metadata + listed.metadataBytes);
    const Row row(row_.data());
    row.set(kRowBytes, static_cast<uint32_t>(row_.size()));
    row.set(kNameBytes, static_cast<uint16_t>(listed.nameBytes));
    row.set(kLinkBytes, static_cast<uint16_t>(linkBytes));
    row.clearFlag(kHasDigest);
    if (!opener_.open(row, sum) || !leadsRight(listed)) return false;
    if (!opener_.hasAttributes()) row.clearFlag(kHasAttributes);
    const size_t at = memory_.size();
    const std::vector<uint8_t>&name = opener_.name(), &link = opener_.link(), &attributes = opener_.attributes();
    memory_.insert(memory_.end(), name.begin(), name.end());
    memory_.insert(memory_.end(), row.at(kMetadataFrom), row.at(kMetadataFrom + fixedBytes));
    if (opener_.hasAttributes()) {
      const uint16_t lengthOfLink = static_cast<uint16_t>(link.size());
      const auto* length = reinterpret_cast<const uint8_t*>(&lengthOfLink);
      memory_.insert(memory_.end(), length, length + sizeof lengthOfLink);
    }
    memory_.insert(memory_.end(), link.begin(), link.end());
    memory_.insert(memory_.end(), attributes.begin(), attributes.end());
    OpenedEntry opened = {at, name.size(), memory_.size() - at - name.size(), listed, {}};
    memcpy(opened.content, opener_.content(), kHashBytes);
    entries_.push_back(opened);
    if (listed.childId != 0) addChild(listed);
    return true;
  }

  // False if an entry has a content or a directory that its seal does not allow, or lacks one that its seal requires.
  // The store must not decide that.
  bool leadsRight(const ListedRow& row) const {
    const uint8_t* content = opener_.content();
    const bool hasContent = std::any_of(content, content + kHashBytes, [](uint8_t byte) { return byte != 0; });
    return hasContent == (row.contentId != 0) && (row.metadata[0] == kDirectory) == (row.childId != 0);
  }

  // Adds the id of a directory and its place: a MAC of the place above and the sealed name.
  void addChild(const ListedRow& row) {
    uint8_t mac[kMacBytes];
    hmacSha256(keys_.places, keys_.place, kSealBytes, row.name, row.nameBytes, mac);
    const auto* id = reinterpret_cast<const uint8_t*>(&row.childId);
    children_.insert(children_.end(), id, id + kIdBytes);
    children_.insert(children_.end(), mac, mac + kSealBytes);
  }

  static void appendNumber(std::string* into, uint64_t number, char terminator) {
    char digits[kMostDigits];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
    into->append(digits, end);
    into->push_back(terminator);
  }

  static void appendId(std::string* into, uint64_t id, char terminator) {
    if (id == 0) into->push_back(terminator);
    else appendNumber(into, id, terminator);
  }

  const ListingKeys& keys_;
  RowOpener opener_;
  std::vector<uint8_t> row_;
  std::vector<uint8_t> memory_;
  std::vector<OpenedEntry> entries_;
  std::vector<uint8_t> children_;
  bool sorts_ = true;
};

const uint8_t* exactly(const Call& call, int index, size_t size) {
  const Bytes bytes = call.bytes(index);
  if (bytes.size != size) throw Failure{EINVAL, call.name(), nullptr, "a key or place has another length"};
  return bytes.data;
}

}  // namespace

napi_value openListing(const Call& call) {
  const uint8_t* names = exactly(call, 0, kSealKeysBytes);
  const uint8_t* entries = exactly(call, 1, kSealKeysBytes);
  const ListingKeys keys{names, {entries, entries + kKeyBytes}, exactly(call, 2, kKeyBytes), exactly(call, 3, kSealBytes)};
  const size_t bytes = call.count(6);
  const Bytes page{call.bytes(4).range(call.count(5), bytes, call.name()), bytes};
  PageOpener opener(keys);
  if (!opener.open(page, call.bytes(7).range(0, kSumBytes, call.name()), call.truth(8))) return call.nothing();
  return opener.result(call);
}

}  // namespace tardis::calls
