// Reads many files for a backup in one call: those of a directory, or those of a whole parcel on a thread of libuv's
// pool. It reads files that are as they were listed and need no decision. It stops at the first file that needs one, or
// that fails. The caller then reads that file by the call for one file, which reports what is special about it.
#include <chrono>
#include <memory>
#include <new>

#include "aside.h"
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
  double rowOffset;      // of the next row
  double end;            // of the last row
  double contentOffset;  // where the next content belongs
  double contents;       // number of contents so far
  double outOffset;      // where the next row with a digest belongs
  double rawBelowBytes;  // files with fewer bytes are stored raw
  double isKept;         // 1 if digests are added to the recent ones
  double files;          // files that this call read
  double repeats;        // those of these files whose digests are recent; their contents are not kept
  double readBytes;
  double lastChange;     // latest ctime of these files, rounded
  double section;        // index of the next directory of a parcel
  double busyMs;         // time that the thread worked
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

// Returns the result of `work`; false if it fails. The failure happens again in the call for that entry or directory
// alone, which reports it.
template <typename Work>
bool succeeded(const Work& work) {
  try {
    return work();
  } catch (const Failure&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// True if the row has the values that the system reports, apart from the birth time, which is not compared.
bool isAsListed(const Row& row, const struct stat& stat) {
  return row.get<uint16_t>(kPermissions) == (stat.st_mode & 07777) && row.get<uint32_t>(kUid) == stat.st_uid &&
         row.get<uint32_t>(kGid) == stat.st_gid && row.get<uint32_t>(kNlink) == static_cast<uint32_t>(stat.st_nlink) &&
         row.get<uint64_t>(kSize) == static_cast<uint64_t>(stat.st_size) && row.get<int64_t>(kMtime) == mtimeOf(stat) &&
         row.get<int64_t>(kCtime) == ctimeOf(stat) && row.get<uint64_t>(kIno) == stat.st_ino;
}

class Gathering {
 public:
  // Takes the arguments from the second on.
  explicit Gathering(const Call& call)
      : call_(call.name()),
        rows_(call.bytes(1)),
        contents_(call.bytes(2)),
        digests_(call.bytes(3)),
        out_(call.bytes(4)),
        places_(call.bytes(5)),
        recent_(call.bytes(6), call.name()),
        key_(call.bytes(7)),
        endings_(call.bytes(8)) {
    if (key_.size != 0 && key_.size != kKeyBytes) throw Failure{EINVAL, call_, nullptr, "a key has another length"};
  }

  // Reads files of an open directory. Stops at entries without contents, which need a decision, unless they are copied.
  void run(int directory, Cursor* cursor, bool copiesOthers) const {
    Batch batch;
    while (cursor->rowOffset + static_cast<double>(batch.rowBytes) < cursor->end) {
      if (batch.isFull()) note(&batch, cursor);
      if (succeeded([&] { return wasTaken(directory, *cursor, &batch); })) continue;
      note(&batch, cursor);
      if (!copiesOthers || !succeeded([&] { return wasCopied(directory, cursor); })) return;
    }
    note(&batch, cursor);
  }

 private:
  // Files that were read, one after the other, and whose digests are still missing. Several are hashed at once.
  struct Batch {
    static constexpr size_t kMostFiles = 16;
    static constexpr size_t kMostBytes = 256 << 10;  // these are still in the cache of the processor when they are hashed

    bool isFull() const { return files == kMostFiles || contentBytes >= kMostBytes; }

    size_t files = 0;
    size_t rowBytes = 0;
    size_t contentBytes = 0;
    size_t sizes[kMostFiles];
    uint8_t digests[kMostFiles][kDigestBytes];
  };

  // True if the time of a row is exact. A time at a limit stands for one that a row cannot represent, which the call for
  // one entry reads as an attribute.
  static bool hasExactTime(const Row& row) {
    const auto mtime = row.get<int64_t>(kMtime);
    return mtime != INT64_MAX && mtime != INT64_MIN;
  }

  // Copies the row at the cursor, if its entry has no content, and moves the cursor behind it. False if the entry has a
  // content, or may have attributes.
  bool wasCopied(int directory, Cursor* cursor) const {
    const Row row = Row::checked(rows_, static_cast<size_t>(cursor->rowOffset), call_);
    constexpr uint8_t special = kHasDigest | kUnreadable | kHasAttributes | kMayHaveAttributes;
    const bool isFile = row.get<uint8_t>(kType) == kFile;
    if ((row.get<uint8_t>(kFlags) & special) != 0 || !hasExactTime(row)) return false;
    if (isFile && (row.get<uint64_t>(kSize) != 0 || !tardis::reportsSizes(directory))) return false;
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, call_);
    if (!isBare(directory, name.text)) return false;
    memcpy(out_.range(static_cast<size_t>(cursor->outOffset), row.bytes(), call_), row.at(0), row.bytes());
    cursor->outOffset += static_cast<double>(row.bytes());
    cursor->rowOffset += static_cast<double>(row.bytes());
    return true;
  }

  // Reads the file of the row after those of the batch, and adds it to the batch. False if the file needs a decision.
  bool wasTaken(int directory, const Cursor& cursor, Batch* batch) const {
    constexpr uint8_t special = kHasDigest | kUnreadable | kHasAttributes;
    const Row row = Row::checked(rows_, static_cast<size_t>(cursor.rowOffset) + batch->rowBytes, call_);
    const auto size = row.get<uint64_t>(kSize);
    const auto flags = row.get<uint8_t>(kFlags);
    const auto content = static_cast<size_t>(cursor.contents) + batch->files;
    const auto start = static_cast<size_t>(cursor.contentOffset) + batch->contentBytes;
    const bool isPlain = row.get<uint8_t>(kType) == kFile && size > 0 && size <= UINT32_MAX && (flags & special) == 0 &&
                         hasExactTime(row);
    if (!isPlain || content >= places_.capacity || start > UINT32_MAX) return false;
    uint8_t* target = contents_.range(start, size, call_);
    digests_.range(content * kDigestBytes, kDigestBytes, call_);
    const size_t outBytes = batch->rowBytes + row.bytes() + (batch->files + 1) * kDigestBytes;
    out_.range(static_cast<size_t>(cursor.outOffset), outBytes, call_);
    if (!wasRead(directory, row, target, size)) return false;
    batch->sizes[batch->files++] = size;
    batch->rowBytes += row.bytes();
    batch->contentBytes += size;
    return true;
  }

  // Hashes the files of the batch, and moves the cursor behind them. The batch is then empty.
  void note(Batch* batch, Cursor* cursor) const {
    ToDigest inputs[Batch::kMostFiles];
    const uint8_t* data = contents_.data + static_cast<size_t>(cursor->contentOffset);
    for (size_t file = 0; file < batch->files; ++file) {
      inputs[file] = {data, batch->sizes[file], batch->digests[file]};
      data += batch->sizes[file];
    }
    digestEach(inputs, batch->files);
    for (size_t file = 0; file < batch->files; ++file) {
      uint8_t* digest = batch->digests[file];
      if (key_.size > 0) hmacSha256(key_.data, digest, kDigestBytes, nullptr, 0, digest);
      noteFile(Row(rows_.data + static_cast<size_t>(cursor->rowOffset)), digest, cursor);
    }
    *batch = Batch();
  }

  // Notes a file of a batch, and moves the cursor behind it.
  void noteFile(const Row& row, const uint8_t* digest, Cursor* cursor) const {
    const size_t rowBytes = row.bytes() + kDigestBytes;
    putRow(row, digest, out_.data + static_cast<size_t>(cursor->outOffset));
    noteContent(row, digest, cursor);
    const auto change = static_cast<double>(row.get<int64_t>(kCtime));
    if (cursor->files == 0 || change > cursor->lastChange) cursor->lastChange = change;
    cursor->files += 1;
    cursor->readBytes += static_cast<double>(row.get<uint64_t>(kSize));
    cursor->outOffset += static_cast<double>(rowBytes);
    cursor->rowOffset += static_cast<double>(row.bytes());
  }

  // Reads the file of a row. False if the file differs from its row before or after it is read, or if it has holes or
  // attributes.
  bool wasRead(int directory, const Row& row, uint8_t* target, size_t size) const {
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, call_);
    const Fd fd = openForReading(directory, name.text);
    const struct stat before = statOf(fd);
    const bool isWhole = S_ISREG(before.st_mode) && static_cast<uint64_t>(before.st_blocks) * 512 >= size;
    if (!isWhole || !isAsListed(row, before) || mayHaveAttributes(fd, before)) return false;
    bool longer = false;
    const size_t got = readWhole(fd, target, size, &longer);
    return got == size && !longer && isAsListed(row, statOf(fd));
  }

  // Writes the row with its digest.
  void putRow(const Row& row, const uint8_t* digest, uint8_t* out) const {
    memcpy(out, row.at(0), kRowFixedBytes);
    memcpy(out + kRowFixedBytes, digest, kDigestBytes);
    memcpy(out + kRowFixedBytes + kDigestBytes, row.at(kRowFixedBytes), row.bytes() - kRowFixedBytes);
    const Row made(out);
    made.set<uint32_t>(kRowBytes, static_cast<uint32_t>(row.bytes() + kDigestBytes));
    constexpr uint8_t cleared = kUnsettled | kChanged | kSparse | kMayHaveAttributes;
    made.set<uint8_t>(kFlags, (row.get<uint8_t>(kFlags) & ~cleared) | kHasDigest);
  }

  // Keeps the content at the cursor, unless its digest is a recent one.
  void noteContent(const Row& row, const uint8_t* digest, Cursor* cursor) const {
    const auto size = row.get<uint64_t>(kSize);
    if (recent_.has(digest)) {
      cursor->repeats += 1;
      cursor->contentOffset += static_cast<double>(size);
      return;
    }
    if (cursor->isKept == 1) recent_.add(digest);
    const auto index = static_cast<size_t>(cursor->contents);
    memcpy(digests_.data + index * kDigestBytes, digest, kDigestBytes);
    const Bytes ending = endingOf(row.at(row.nameOffset()), row.nameBytes());
    places_.set(0, index, static_cast<uint32_t>(cursor->contentOffset));
    places_.set(1, index, static_cast<uint32_t>(size));
    places_.set(2, index, kindOf(ending));
    places_.set(3, index, static_cast<uint32_t>(cursor->rowOffset));
    places_.setRaw(index, static_cast<double>(size) < cursor->rawBelowBytes || isAmong(ending, endings_));
    cursor->contents += 1;
    cursor->contentOffset += static_cast<double>(size);
  }

  const char* call_;
  const Bytes rows_;
  const Bytes contents_;
  const Bytes digests_;
  const Bytes out_;
  const Places places_;
  const RecentDigests recent_;
  const Bytes key_;
  const Bytes endings_;
};

Cursor cursorOf(const Bytes& numbers, const char* call) {
  Cursor cursor;
  memcpy(&cursor, numbers.range(0, sizeof cursor, call), sizeof cursor);
  for (const double number : {cursor.rowOffset, cursor.end, cursor.contentOffset, cursor.contents, cursor.outOffset}) {
    if (!(number >= 0 && number <= kMostCount)) {
      throw Failure{EINVAL, call, nullptr, "a whole number that is not negative is expected"};
    }
  }
  cursor.files = cursor.repeats = cursor.readBytes = cursor.lastChange = cursor.section = cursor.busyMs = 0;
  return cursor;
}

// Reads the files of a parcel, directory by directory. `paths` and `ends` have a run for each; `outEnds` receives the end
// of the rows of each directory that is done.
class ParcelGathering : public Aside {
 public:
  explicit ParcelGathering(const Call& call)
      : Aside("readParcelAside"),
        job_(call),
        paths_(call.bytes(0)),
        numbers_(call.bytes(9)),
        pathEnds_(call.bytes(10)),
        rowEnds_(call.bytes(11)),
        outEnds_(call.bytes(12)),
        identities_(call.bytes(13)),
        cursor_(cursorOf(numbers_, call.name())) {}

 private:
  static constexpr size_t kNumber = sizeof(uint32_t);

  void run() override {
    const auto start = std::chrono::steady_clock::now();
    const size_t sections = rowEnds_.size / kNumber;
    outEnds_.range(0, sections * kNumber, "readParcelAside");
    size_t from = 0;
    for (size_t section = 0; section < sections; ++section) {
      const size_t to = pathEnds_.at<uint32_t>(section, "readParcelAside");
      Identity identity = identities_.at<Identity>(section, "readParcelAside");
      if (!isDone(from, to, rowEnds_.at<uint32_t>(section, "readParcelAside"), &identity)) break;
      const auto end = static_cast<uint32_t>(cursor_.outOffset);
      memcpy(outEnds_.data + section * kNumber, &end, kNumber);
      cursor_.section += 1;
      from = to;
    }
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
    cursor_.busyMs = spent.count();
    memcpy(numbers_.data, &cursor_, sizeof cursor_);
  }

  // Reads the files of one directory. False if its path does not lead to the directory that was listed, or an entry needs
  // a decision.
  bool isDone(size_t from, size_t to, uint32_t end, Identity* identity) {
    if (to < from) throw Failure{EINVAL, "readParcelAside", nullptr, "paths out of order"};
    const auto* path = reinterpret_cast<const char*>(paths_.range(from, to - from, "readParcelAside"));
    cursor_.end = end;
    const bool isOpened = succeeded([&] {
      if (memchr(path, 0, to - from) != nullptr) return false;
      const Fd directory = tardis::openListed(std::string(path, to - from), identity, For::passing, "readParcelAside");
      job_.run(directory.get(), &cursor_, true);
      return true;
    });
    if (!isOpened) return false;
    if (cursor_.rowOffset > cursor_.end) throw Failure{EINVAL, "readParcelAside", nullptr, "a row crosses directories"};
    return cursor_.rowOffset == cursor_.end;
  }

  const Gathering job_;
  const Bytes paths_;
  const Bytes numbers_;
  const Bytes pathEnds_;
  const Bytes rowEnds_;
  const Bytes outEnds_;
  const Bytes identities_;
  Cursor cursor_;
};

}  // namespace

napi_value readFiles(const Call& call) {
  const Gathering job(call);
  const int directory = call.fd(0);
  const Bytes numbers = call.bytes(9);
  Cursor cursor = cursorOf(numbers, call.name());
  job.run(directory, &cursor, false);
  memcpy(numbers.data, &cursor, sizeof cursor);
  return call.nothing();
}

napi_value readParcelAside(const Call& call) {
  return Aside::start(std::make_unique<ParcelGathering>(call), call, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
}

}  // namespace tardis::calls
