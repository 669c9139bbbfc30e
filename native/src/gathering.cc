// Reads many files of a directory for a backup in one call. It reads files that are as they were listed and need no
// decision. It stops at the first file that needs one, or that fails. The caller then reads that file by the call for
// one file, which reports what is special about it.
#include <new>

#include "calls.h"
#include "reading.h"
#include "recent.h"
#include "sealing.h"
#include "sha256.h"

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

class Gathering {
 public:
  explicit Gathering(const Call& call)
      : call_(call.name()),
        directory_(call.fd(0)),
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

  void run(Cursor* cursor) const {
    while (cursor->rowOffset < cursor->end) {
      try {
        if (!taken(Row::checked(rows_, static_cast<size_t>(cursor->rowOffset), call_), cursor)) return;
      } catch (const Failure&) {
        return;  // it happens again in the call for this file alone, which reports it
      } catch (const std::bad_alloc&) {
        return;
      }
    }
  }

 private:
  // Reads the file of a row, and moves the cursor behind it. False if the file needs a decision.
  bool taken(const Row& row, Cursor* cursor) const {
    constexpr uint8_t special = kHasDigest | kUnreadable | kHasAttributes;
    const auto size = row.get<uint64_t>(kSize);
    const auto flags = row.get<uint8_t>(kFlags);
    const auto mtime = row.get<int64_t>(kMtime);
    const auto content = static_cast<size_t>(cursor->contents);
    const auto start = static_cast<size_t>(cursor->contentOffset);
    // A time at a limit stands for one that a row cannot represent, which the call for one file reads as an attribute.
    const bool isPlain = row.get<uint8_t>(kType) == kFile && size > 0 && size <= UINT32_MAX && (flags & special) == 0 &&
                         mtime != INT64_MAX && mtime != INT64_MIN;
    if (!isPlain || content >= places_.capacity || start > UINT32_MAX) return false;
    uint8_t* target = contents_.range(start, size, call_);
    uint8_t* digest = digests_.range(content * kDigestBytes, kDigestBytes, call_);
    const size_t rowBytes = row.bytes() + kDigestBytes;
    uint8_t* out = out_.range(static_cast<size_t>(cursor->outOffset), rowBytes, call_);
    if (!wasRead(row, target, size)) return false;
    digestOf(target, size, digest);
    putRow(row, digest, out);
    noteContent(row, digest, cursor);
    const auto change = static_cast<double>(row.get<int64_t>(kCtime));
    if (cursor->files == 0 || change > cursor->lastChange) cursor->lastChange = change;
    cursor->files += 1;
    cursor->readBytes += static_cast<double>(size);
    cursor->outOffset += static_cast<double>(rowBytes);
    cursor->rowOffset += static_cast<double>(row.bytes());
    return true;
  }

  // Reads the file of a row. False if the file differs from its row before or after it is read, or if it has holes or
  // attributes.
  bool wasRead(const Row& row, uint8_t* target, size_t size) const {
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, call_);
    const Fd fd = openForReading(directory_, name.text);
    const struct stat before = statOf(fd);
    const bool isWhole = S_ISREG(before.st_mode) && static_cast<uint64_t>(before.st_blocks) * 512 >= size;
    if (!isWhole || !isAsListed(row, before) || mayHaveAttributes(fd, before)) return false;
    bool longer = false;
    const size_t got = readWhole(fd, target, size, &longer);
    return got == size && !longer && isAsListed(row, statOf(fd));
  }

  void digestOf(const uint8_t* data, size_t size, uint8_t* digest) const {
    Sha256& hash = Sha256::ofThread();
    hash.start();
    hash.add(data, size);
    hash.finish(digest);
    if (key_.size > 0) hmacSha256(key_.data, digest, kDigestBytes, nullptr, 0, digest);
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
    if (recent_.has(digest)) {
      cursor->repeats += 1;
      return;
    }
    if (cursor->isKept == 1) recent_.add(digest);
    const auto index = static_cast<size_t>(cursor->contents);
    const auto size = row.get<uint64_t>(kSize);
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
  const int directory_;
  const Bytes rows_;
  const Bytes contents_;
  const Bytes digests_;
  const Bytes out_;
  const Places places_;
  const RecentDigests recent_;
  const Bytes key_;
  const Bytes endings_;
};

}  // namespace

napi_value readFiles(const Call& call) {
  const Gathering job(call);
  uint8_t* numbers = call.bytes(9).range(0, sizeof(Cursor), call.name());
  Cursor cursor;
  memcpy(&cursor, numbers, sizeof cursor);
  for (const double number : {cursor.rowOffset, cursor.end, cursor.contentOffset, cursor.contents, cursor.outOffset}) {
    if (!(number >= 0 && number <= kMostCount)) {
      throw Failure{EINVAL, call.name(), nullptr, "a whole number that is not negative is expected"};
    }
  }
  cursor.files = cursor.repeats = cursor.readBytes = cursor.lastChange = 0;
  job.run(&cursor);
  memcpy(numbers, &cursor, sizeof cursor);
  return call.nothing();
}

}  // namespace tardis::calls
