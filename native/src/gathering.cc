// Reads the files of a parcel for a backup in one call: those that are as they were listed and need no decision. It notes
// all other entries in a list. The caller then reads each of them by the call for one file, which reports what is special
// about it.
#include <chrono>
#include <memory>
#include <vector>

#include "async-work.h"
#include "calls.h"
#include "digests.h"
#include "identity.h"
#include "reading.h"
#include "recent.h"
#include "sealing.h"
#include "xattrs.h"

namespace tardis::calls {

namespace {

constexpr double kMostCount = 9007199254740991.0;

// The numbers through which the job and the caller report to each other.
struct Cursor {
  double contentOffset;  // where the next content belongs
  double contents;       // number of contents so far
  double outOffset;      // where the next row with a digest belongs
  double rawBelowBytes;  // files with fewer bytes are stored raw
  double isKept;         // 1 if digests are added to the recent ones
  double files;          // files that this call read
  double repeats;        // those of these files whose digests are recent; their contents are not kept
  double readBytes;
  double lastChange;     // latest ctime of these files, rounded
  double busyMs;         // time that the call worked
  double undecided;      // number of entries that need a decision
  double attributed;     // number of rows with attributes
};

// An entry that needs a decision.
struct Undecided {
  uint32_t section;    // index of its directory
  uint32_t rowOffset;
  uint32_t outOffset;  // where its row belongs
};

// The places of the contents: an array each of starts, sizes, kinds and offsets of rows (u32), and an array of bytes
// that are 1 if the content is stored raw. All have `capacity` elements.
struct Places {
  Places(const Bytes& bytes) : data(bytes.data), capacity(bytes.size / (4 * sizeof(uint32_t) + 1)) {}

  void set(size_t array, size_t index, uint32_t value) const {
    memcpy(data + (array * capacity + index) * sizeof value, &value, sizeof value);
  }
  void setRaw(size_t index, bool isRaw) const { data[4 * sizeof(uint32_t) * capacity + index] = isRaw ? 1 : 0; }

  uint8_t* data;
  size_t capacity;
};

// Returns the ending of a name without its dot; no data if the name has none. The limits are those of
// src/workers/raw-types.ts.
Bytes endingOf(const uint8_t* name, size_t bytes) {
  constexpr size_t kMostEnding = 12;  // with the dot
  const auto* dot = static_cast<const uint8_t*>(memrchr(name, '.', bytes));
  if (dot == nullptr || dot == name || static_cast<size_t>(name + bytes - dot) > kMostEnding) return {nullptr, 0};
  return {const_cast<uint8_t*>(dot + 1), static_cast<size_t>(name + bytes - dot - 1)};
}

// Returns the FNV-1a hash of an ending, as in src/workers/raw-types.ts (32 bits); 0 for a name without an ending.
uint32_t kindOf(const Bytes& ending) {
  if (ending.data == nullptr) return 0;
  uint32_t kind = 0x811c9dc5;
  for (size_t at = 0; at < ending.size; ++at) kind = (kind ^ ending.data[at]) * 0x01000193;
  return kind;
}

// Returns a byte of Latin-1 in lower case, as JavaScript does.
uint8_t lowered(uint8_t byte) {
  const bool isUpper = (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
  return isUpper ? byte + 0x20 : byte;
}

// True if `endings` has this ending. Each ending in it is between two NUL, which no name contains.
bool isAmong(const Bytes& ending, const Bytes& endings) {
  if (ending.data == nullptr) return false;
  uint8_t wanted[16] = {0};
  for (size_t at = 0; at < ending.size; ++at) wanted[at + 1] = lowered(ending.data[at]);
  return memmem(endings.data, endings.size, wanted, ending.size + 2) != nullptr;
}

// True if the row has the values that the system reports, apart from the birth time, which is not compared.
bool isAsListed(const Row& row, const struct stat& stat) {
  return row.get<uint16_t>(kPermissions) == (stat.st_mode & 07777) && row.get<uint32_t>(kUid) == stat.st_uid &&
         row.get<uint32_t>(kGid) == stat.st_gid && row.get<uint32_t>(kNlink) == static_cast<uint32_t>(stat.st_nlink) &&
         row.get<uint64_t>(kSize) == static_cast<uint64_t>(stat.st_size) && row.get<int64_t>(kMtime) == mtimeOf(stat) &&
         row.get<int64_t>(kCtime) == ctimeOf(stat) && row.get<uint64_t>(kIno) == stat.st_ino;
}

// Reads the files of a parcel, directory by directory. `paths` and the ends have a run for each; `outEnds` receives the
// end of the rows of each directory.
class Gathering : public AsyncWork {
 public:
  explicit Gathering(const Call& call)
      : AsyncWork(kCall),
        paths_(call.bytes(0)),
        rows_(call.bytes(1)),
        contents_(call.bytes(2)),
        digests_(call.bytes(3)),
        out_(call.bytes(4)),
        places_(call.bytes(5)),
        recent_(call.bytes(6), kCall),
        key_(call.bytes(7)),
        endings_(call.bytes(8)),
        numbers_(call.bytes(9).range(0, sizeof(Cursor), kCall)),
        pathEnds_(call.bytes(10)),
        rowEnds_(call.bytes(11)),
        outEnds_(call.bytes(12)),
        identities_(call.bytes(13)),
        undecided_(call.bytes(14)) {
    if (key_.size != 0 && key_.size != kKeyBytes) throw Failure{EINVAL, kCall, nullptr, "a key has another length"};
    memcpy(&cursor_, numbers_, sizeof cursor_);
    for (const double number : {cursor_.contentOffset, cursor_.contents, cursor_.outOffset}) {
      if (!(number >= 0 && number <= kMostCount)) {
        throw Failure{EINVAL, kCall, nullptr, "a whole number that is not negative is expected"};
      }
    }
    cursor_.files = cursor_.repeats = cursor_.readBytes = cursor_.lastChange = cursor_.busyMs = cursor_.undecided = cursor_.attributed = 0;
  }

 private:
  static constexpr const char* kCall = "readParcel";
  static constexpr size_t kNumber = sizeof(uint32_t);
  static constexpr size_t kMostHeld = 32;  // directories
  static constexpr size_t kMostAttributes = 4096;  // bytes; an entry with more needs a decision
  static constexpr size_t kMostAheadFiles = 1024;
  static constexpr uint64_t kMostAheadBytes = 8 << 20;

  // Files that were read, one after the other, and whose digests are still missing. Several are hashed at once.
  struct Batch {
    static constexpr size_t kMostFiles = 16;
    static constexpr size_t kMostBytes = 256 << 10;  // these are still in the cache of the processor when they are hashed

    bool isFull() const { return files == kMostFiles || contentBytes >= kMostBytes; }

    size_t files = 0;
    size_t rowBytes = 0;
    size_t attributeBytes = 0;
    size_t contentBytes = 0;
    size_t sizes[kMostFiles];
    Packed attributes[kMostFiles];
    uint8_t digests[kMostFiles][kDigestBytes];
  };

  // A directory that stays open until it is known that nobody closed it to others while its entries were read.
  struct Held {
    Fd directory;
    Identity identity;
    size_t section;
  };

  void run() override {
    const auto start = std::chrono::steady_clock::now();
    const size_t sections = rowEnds_.size / kNumber;
    outEnds_.range(0, sections * kNumber, kCall);
    for (section_ = 0; section_ < sections; ++section_) {
      readSection();
      const auto end = static_cast<uint32_t>(cursor_.outOffset);
      memcpy(outEnds_.data + section_ * kNumber, &end, kNumber);
    }
    letGo();
    cursor_.busyMs = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    memcpy(numbers_, &cursor_, sizeof cursor_);
  }

  // Reads the files of one directory. If its path does not lead to the directory that was listed, each of its entries
  // needs a decision.
  void readSection() {
    const size_t from = section_ == 0 ? 0 : pathEnds_.at<uint32_t>(section_ - 1, kCall);
    const size_t to = pathEnds_.at<uint32_t>(section_, kCall);
    if (to < from) throw Failure{EINVAL, kCall, nullptr, "paths out of order"};
    const auto* path = reinterpret_cast<const char*>(paths_.range(from, to - from, kCall));
    Identity identity = identities_.at<Identity>(section_, kCall);
    end_ = rowEnds_.at<uint32_t>(section_, kCall);
    Fd directory;
    succeeded([&] {
      if (memchr(path, 0, to - from) == nullptr) {
        directory = openListed(std::string(path, to - from), &identity, For::passing, kCall);
      }
      return true;
    });
    isSeen_ = isCold_;
    if (isCold_ && directory.valid()) succeeded([&] { return readAhead(directory.get(), rowOffset_); });
    Batch batch;
    while (rowOffset_ + batch.rowBytes < end_) {
      if (batch.isFull()) note(&batch);
      if (directory.valid() && succeeded([&] { return wasTaken(directory.get(), &batch); })) continue;
      note(&batch);
      if (directory.valid() && succeeded([&] { return wasCopied(directory.get(), identity.device); })) continue;
      const size_t bytes = Row::checked(rows_, rowOffset_, kCall).bytes();
      leave();
      rowOffset_ += bytes;
    }
    note(&batch);
    if (rowOffset_ > end_) throw Failure{EINVAL, kCall, nullptr, "a row crosses directories"};
    if (directory.valid()) held_.push_back({std::move(directory), identity, section_});
    if (held_.size() == kMostHeld) letGo();
  }

  // Notes which of the held directories were closed, and closes their descriptors.
  void letGo() {
    Closings closings;
    for (const Held& held : held_) {
      if (!closings.isClosed(held.directory.get(), held.identity)) continue;
      const size_t place = held.section * sizeof(Identity) + offsetof(Identity, wasClosed);
      *identities_.range(place, 1, kCall) = 1;
    }
    held_.clear();
  }

  // Notes that the entry at the cursor needs a decision.
  void leave() {
    const Undecided entry = {static_cast<uint32_t>(section_), static_cast<uint32_t>(rowOffset_),
                             static_cast<uint32_t>(cursor_.outOffset)};
    memcpy(undecided_.range(static_cast<size_t>(cursor_.undecided) * sizeof entry, sizeof entry, kCall), &entry,
           sizeof entry);
    cursor_.undecided += 1;
  }

  // True if the time of a row is exact. A time at a limit stands for one that a row cannot represent, which the call for
  // one entry reads as an attribute.
  static bool hasExactTime(const Row& row) {
    const auto mtime = row.get<int64_t>(kMtime);
    return mtime != INT64_MAX && mtime != INT64_MIN;
  }

  // Copies the row at the cursor with the attributes of its entry, if that has no content, and moves the cursor behind it.
  bool wasCopied(int directory, uint64_t device) {
    const Row row = Row::checked(rows_, rowOffset_, kCall);
    constexpr uint8_t special = kHasDigest | kUnreadable | kHasAttributes;
    const bool isFile = row.get<uint8_t>(kType) == kFile;
    if ((row.get<uint8_t>(kFlags) & special) != 0 || !hasExactTime(row)) return false;
    if (isFile && (row.get<uint64_t>(kSize) != 0 || !tardis::reportsSizes(directory))) return false;
    Name name;
    takeName(row, &name);
    const Fd entry = openEntry(directory, name.text, identityOf(row, device), kCall);
    const Packed attributes = attributesOf(entry.get(), kMostAttributes);
    const size_t bytes = row.bytes() + attributes.size();
    uint8_t* out = out_.range(static_cast<size_t>(cursor_.outOffset), bytes, kCall);
    memcpy(out, row.at(0), row.bytes());
    putAttributes(attributes, out);
    cursor_.outOffset += static_cast<double>(bytes);
    rowOffset_ += row.bytes();
    return true;
  }

  // True if a row is that of a file with data, which has no digest and needs no decision.
  static bool isPlain(const Row& row) {
    constexpr uint8_t special = kHasDigest | kUnreadable | kHasAttributes;
    const auto size = row.get<uint64_t>(kSize);
    return row.get<uint8_t>(kType) == kFile && size > 0 && size <= UINT32_MAX && (row.get<uint8_t>(kFlags) & special) == 0 &&
           hasExactTime(row);
  }

  static void takeName(const Row& row, Name* name) {
    tardis::takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, name, kCall);
  }

  // Reads the file of the row after those of the batch, and adds it to the batch. False if the file needs a decision.
  bool wasTaken(int directory, Batch* batch) {
    const Row row = Row::checked(rows_, rowOffset_ + batch->rowBytes, kCall);
    const auto size = row.get<uint64_t>(kSize);
    const auto content = static_cast<size_t>(cursor_.contents) + batch->files;
    const auto start = static_cast<size_t>(cursor_.contentOffset) + batch->contentBytes;
    if (!isPlain(row) || content >= places_.capacity || start > UINT32_MAX) return false;
    uint8_t* target = contents_.range(start, size, kCall);
    digests_.range(content * kDigestBytes, kDigestBytes, kCall);
    if (!wasRead(directory, row, {target, size}, batch)) return false;
    const size_t attributeBytes = batch->attributeBytes + batch->attributes[batch->files].size();
    const size_t outBytes = batch->rowBytes + row.bytes() + (batch->files + 1) * kDigestBytes + attributeBytes;
    out_.range(static_cast<size_t>(cursor_.outOffset), outBytes, kCall);
    batch->attributeBytes = attributeBytes;
    batch->sizes[batch->files++] = size;
    batch->rowBytes += row.bytes();
    batch->contentBytes += size;
    return true;
  }

  // Begins to read the files of this directory from a row on, if they are on a disk: a disk reads many small files at once in
  // the time of a few.
  bool readAhead(int directory, size_t from) const {
    uint64_t bytes = 0;
    for (size_t files = 0; from < end_ && files < kMostAheadFiles && bytes < kMostAheadBytes; ++files) {
      const Row row = Row::checked(rows_, from, kCall);
      from += row.bytes();
      const auto size = row.get<uint64_t>(kSize);
      if (!isPlain(row) || size > kMostAheadBytes) continue;
      Name name;
      takeName(row, &name);
      beginReading(directory, name.text, size);
      bytes += size;
    }
    return true;
  }

  // Hashes the files of the batch, and moves the cursor behind them. The batch is then empty.
  void note(Batch* batch) {
    ToDigest inputs[Batch::kMostFiles];
    const uint8_t* data = contents_.data + static_cast<size_t>(cursor_.contentOffset);
    for (size_t file = 0; file < batch->files; ++file) {
      inputs[file] = {data, batch->sizes[file], batch->digests[file]};
      data += batch->sizes[file];
    }
    digestEach(inputs, batch->files);
    for (size_t file = 0; file < batch->files; ++file) {
      uint8_t* digest = batch->digests[file];
      if (key_.size > 0) hmacSha256(key_.data, digest, kDigestBytes, nullptr, 0, digest);
      noteFile(Row(rows_.data + rowOffset_), digest, batch->attributes[file]);
    }
    *batch = Batch();
  }

  // Notes a file of a batch, and moves the cursor behind it.
  void noteFile(const Row& row, const uint8_t* digest, const Packed& attributes) {
    const size_t rowBytes = row.bytes() + kDigestBytes + attributes.size();
    uint8_t* out = out_.data + static_cast<size_t>(cursor_.outOffset);
    putRow(row, digest, out);
    putAttributes(attributes, out);
    noteContent(row, digest);
    const auto change = static_cast<double>(row.get<int64_t>(kCtime));
    if (cursor_.files == 0 || change > cursor_.lastChange) cursor_.lastChange = change;
    cursor_.files += 1;
    cursor_.readBytes += static_cast<double>(row.get<uint64_t>(kSize));
    cursor_.outOffset += static_cast<double>(rowBytes);
    rowOffset_ += row.bytes();
  }

  // Reads the file of a row, and its attributes, by one descriptor: somebody else may give its name to another file meanwhile.
  // False if the file differs from its row before or after it is read, or if it has holes.
  bool wasRead(int directory, const Row& row, const Bytes& target, Batch* batch) {
    Name name;
    takeName(row, &name);
    const Fd fd = openForReading(directory, name.text);
    const struct stat before = statOf(fd);
    const bool isWhole = S_ISREG(before.st_mode) && static_cast<uint64_t>(before.st_blocks) * 512 >= target.size;
    if (!isWhole || !isAsListed(row, before)) return false;
    if (!isSeen_) {
      isSeen_ = true;
      isCold_ = isOnDisk(fd);
      if (isCold_) readAhead(directory, rowOffset_ + batch->rowBytes + row.bytes());
    }
    Packed* attributes = &batch->attributes[batch->files];
    attributes->clear();
    if (mayHaveAttributes(fd, before)) *attributes = attributesOf(fd.get(), kMostAttributes);
    bool longer = false;
    const size_t got = readWhole(fd, target.data, target.size, &longer);
    return got == target.size && !longer && isAsListed(row, statOf(fd));
  }

  // Writes the row with its digest.
  void putRow(const Row& row, const uint8_t* digest, uint8_t* out) const {
    memcpy(out, row.at(0), kRowFixedBytes);
    memcpy(out + kRowFixedBytes, digest, kDigestBytes);
    memcpy(out + kRowFixedBytes + kDigestBytes, row.at(kRowFixedBytes), row.bytes() - kRowFixedBytes);
    const Row made(out);
    made.set<uint32_t>(kRowBytes, static_cast<uint32_t>(row.bytes() + kDigestBytes));
    constexpr uint8_t cleared = kUnsettled | kChanged | kSparse;
    made.set<uint8_t>(kFlags, (row.get<uint8_t>(kFlags) & ~cleared) | kHasDigest);
  }

  // Appends the attributes to a row.
  void putAttributes(const Packed& attributes, uint8_t* out) {
    if (attributes.empty()) return;
    const Row made(out);
    const size_t bytes = made.bytes();
    memcpy(out + bytes, attributes.data(), attributes.size());
    made.set<uint32_t>(kRowBytes, static_cast<uint32_t>(bytes + attributes.size()));
    made.setFlag(kHasAttributes);
    cursor_.attributed += 1;
  }

  // Keeps the content at the cursor, unless its digest is a recent one.
  void noteContent(const Row& row, const uint8_t* digest) {
    const auto size = row.get<uint64_t>(kSize);
    if (recent_.has(digest)) {
      cursor_.repeats += 1;
      cursor_.contentOffset += static_cast<double>(size);
      return;
    }
    if (cursor_.isKept == 1) recent_.add(digest);
    const auto index = static_cast<size_t>(cursor_.contents);
    memcpy(digests_.data + index * kDigestBytes, digest, kDigestBytes);
    const Bytes ending = endingOf(row.at(row.nameOffset()), row.nameBytes());
    places_.set(0, index, static_cast<uint32_t>(cursor_.contentOffset));
    places_.set(1, index, static_cast<uint32_t>(size));
    places_.set(2, index, kindOf(ending));
    places_.set(3, index, static_cast<uint32_t>(rowOffset_));
    places_.setRaw(index, static_cast<double>(size) < cursor_.rawBelowBytes || isAmong(ending, endings_));
    cursor_.contents += 1;
    cursor_.contentOffset += static_cast<double>(size);
  }

  const Bytes paths_;
  const Bytes rows_;
  const Bytes contents_;
  const Bytes digests_;
  const Bytes out_;
  const Places places_;
  const RecentDigests recent_;
  const Bytes key_;
  const Bytes endings_;
  uint8_t* const numbers_;
  const Bytes pathEnds_;
  const Bytes rowEnds_;
  const Bytes outEnds_;
  const Bytes identities_;
  const Bytes undecided_;
  Cursor cursor_;
  std::vector<Held> held_;
  size_t section_ = 0;
  size_t rowOffset_ = 0;  // of the next row
  size_t end_ = 0;        // of the rows of the directory
  bool isCold_ = false;   // a file of this parcel was not in the memory of the system
  bool isSeen_ = false;   // it is known if the files of this directory are in that memory
};

}  // namespace

napi_value readParcel(const Call& call) {
  return AsyncWork::either(std::make_unique<Gathering>(call), call, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, 15);
}

}  // namespace tardis::calls
