// Writes many files of a restore job in one call. It writes files that need no decision and whose contents lie in one
// decoded record, or in files that the restore has written before. It stops at the first file that needs another record. It also stops at the first file that needs a
// decision or fails, and leaves nothing of that file behind. The caller then restores that file by the calls for single
// files, which report the error.
#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "calls.h"
#include "files.h"
#include "reading.h"
#include "sealing.h"
#include "sha256.h"
#include "writing.h"

namespace tardis::calls {

namespace {

constexpr uint32_t kNoRecord = UINT32_MAX;  // the file is empty

constexpr uint32_t kCopied = 32;  // RestoreHow.copied

// Maximum size of a file that is copied, since its bytes are held in memory.
constexpr size_t kMostCopiedBytes = 4 << 20;

// The place where a file of the job is written, and the place of its bytes. For a copy, `record` is the directory of the
// file that contains the bytes, and `offset` is the position of its name in the names of copied files.
struct Place {
  uint32_t directory;
  uint32_t record;
  uint32_t offset;
  uint32_t how;  // 0 if the file is new and in one piece, kCopied if a file with its content was written before
};

// The numbers through which the job and the caller report to each other.
struct Cursor {
  double file;          // index of the next file
  double rowOffset;     // offset of its row
  double writtenBytes;  // bytes of the files that this call wrote
  double needsDecision; // 1 if the next file needs a decision, 0 if it needs another record or does not exist
};

template <typename Value>
Value load(const Bytes& bytes, size_t index, const char* call) {
  Value value;
  memcpy(&value, bytes.range(index * sizeof value, sizeof value, call), sizeof value);
  return value;
}

// The directories of the job, opened when their first file is written. The caller closes them.
class Directories {
 public:
  explicit Directories(const Call& call)
      : call_(call.name()), root_(call.fd(0)), paths_(call.text(1)), ends_(call.bytes(2)), fds_(call.bytes(3)) {}

  int at(size_t index) const {
    const auto known = load<int32_t>(fds_, index, call_);
    if (known >= 0) return known;
    const size_t from = index == 0 ? 0 : load<uint32_t>(ends_, index - 1, call_);
    const size_t to = load<uint32_t>(ends_, index, call_);
    if (to < from) throw Failure{EINVAL, call_, nullptr, "paths out of order"};
    const auto* path = reinterpret_cast<const char*>(paths_.range(from, to - from, call_));
    const int32_t opened = openDirectoryBeneath(root_, std::string(path, to - from), call_).release();
    memcpy(fds_.data + index * sizeof opened, &opened, sizeof opened);
    return opened;
  }

 private:
  const char* call_;
  const int root_;
  const Bytes paths_;
  const Bytes ends_;
  const Bytes fds_;
};

class Restoring {
 public:
  explicit Restoring(const Call& call)
      : call_(call.name()),
        directories_(call),
        rows_(call.bytes(4)),
        places_(call.bytes(5)),
        decoded_(call.bytes(6)),
        record_(call.bits(7)),
        key_(call.bytes(8)),
        options_(call.bits(9)),
        copiedNames_(call.bytes(11)) {
    if (key_.size != 0 && key_.size != kKeyBytes) throw Failure{EINVAL, call_, nullptr, "a key has another length"};
  }

  void run(Cursor* cursor) const {
    const auto end = static_cast<double>(places_.size / sizeof(Place));
    while (cursor->file < end) {
      try {
        const Place place = load<Place>(places_, static_cast<size_t>(cursor->file), call_);
        if (place.how == 0 && place.record != kNoRecord && place.record != record_) return;
        if ((place.how == 0 || place.how == kCopied) && restored(place, cursor)) continue;
      } catch (const Failure&) {
        // The failure recurs in the call for this file alone, which reports it.
      } catch (const std::bad_alloc&) {
      }
      cursor->needsDecision = 1;
      return;
    }
  }

 private:
  // Writes the file at the cursor, and moves the cursor behind it. False if the file needs a decision.
  bool restored(const Place& place, Cursor* cursor) const {
    const Row row = Row::checked(rows_, static_cast<size_t>(cursor->rowOffset), call_);
    if (row.hasFlag(kSparse) || row.hasFlag(kHasAttributes)) return false;
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, call_);
    const bool empty = place.how == 0 && place.record == kNoRecord;
    const size_t bytes = empty ? 0 : row.get<uint64_t>(kSize);
    std::unique_ptr<uint8_t[]> memory;
    Bytes data;
    if (place.how == kCopied) {
      if (bytes > kMostCopiedBytes) return false;
      memory.reset(new uint8_t[bytes]);
      data = {memory.get(), bytes};
      if (!readCopied(place, data)) return false;
    } else {
      data = {decoded_.range(empty ? 0 : place.offset, bytes, call_), bytes};
    }
    if (!empty && !hasDigest(row, data)) return false;
    writeFile(directories_.at(place.directory), name.text, data, row, options_);
    cursor->file += 1;
    cursor->rowOffset += static_cast<double>(row.bytes());
    cursor->writtenBytes += static_cast<double>(bytes);
    return true;
  }

  // Fills `data` with the file that has the content of a copy. False if the file has another size. It may have been
  // replaced since it was written, so the caller checks the digest.
  bool readCopied(const Place& place, const Bytes& data) const {
    const size_t rest = copiedNames_.size - std::min<size_t>(place.offset, copiedNames_.size);
    auto* start = copiedNames_.range(place.offset, rest, call_);
    const size_t length = strnlen(reinterpret_cast<const char*>(start), rest);
    Name name;
    takeName({start, length}, &name, call_);
    const Fd fd = openForReading(directories_.at(place.record), name.text);
    if (!S_ISREG(statOf(fd).st_mode)) throw Failure{0, "openat", "ENOTREG", "not a regular file"};
    bool longer = false;
    return readWhole(fd, data.data, data.size, &longer) == data.size && !longer;
  }

  bool hasDigest(const Row& row, const Bytes& data) const {
    if (!row.hasFlag(kHasDigest)) return false;
    uint8_t digest[kDigestBytes];
    Sha256& hash = Sha256::ofThread();
    hash.start();
    hash.add(data.data, data.size);
    hash.finish(digest);
    if (key_.size > 0) hmacSha256(key_.data, digest, sizeof digest, nullptr, 0, digest);
    return memcmp(digest, row.at(kRowFixedBytes), sizeof digest) == 0;
  }

  const char* call_;
  const Directories directories_;
  const Bytes rows_;
  const Bytes places_;
  const Bytes decoded_;
  const uint32_t record_;
  const Bytes key_;
  const unsigned options_;
  const Bytes copiedNames_;
};

}  // namespace

napi_value restoreFiles(const Call& call) {
  const Restoring job(call);
  uint8_t* numbers = call.bytes(10).range(0, sizeof(Cursor), call.name());
  Cursor cursor;
  memcpy(&cursor, numbers, sizeof cursor);
  const bool isCount = cursor.file >= 0 && cursor.rowOffset >= 0 && cursor.rowOffset <= 9007199254740991.0;
  if (!isCount) throw Failure{EINVAL, call.name(), nullptr, "a whole number that is not negative is expected"};
  cursor.writtenBytes = 0;
  cursor.needsDecision = 0;
  job.run(&cursor);
  memcpy(numbers, &cursor, sizeof cursor);
  return call.nothing();
}

}  // namespace tardis::calls
