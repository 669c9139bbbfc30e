// Writes many files of a restore job in one call, in the calling thread or, with their records read and decoded there too,
// on a thread of libuv's pool. It writes files that need no decision and whose contents lie in one decoded record, or in
// files that the restore has written before. It stops at the first file that needs another record. It also stops at a file
// that needs a decision or fails, and leaves nothing of it behind. The caller then restores that file by the calls for
// single files, which report the error.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "aside.h"
#include "bodies.h"
#include "calls.h"
#include "digests.h"
#include "files.h"
#include "reading.h"
#include "sealing.h"
#include "sha256.h"
#include "stored-body.h"
#include "writing.h"

namespace tardis::calls {

namespace {

constexpr uint32_t kNoRecord = UINT32_MAX;  // the file is empty

constexpr uint32_t kCopied = 32;    // RestoreHow.copied
constexpr uint32_t kInherits = 64;  // RestoreHow.inherits
constexpr uint32_t kRefused = 1u << 31;

// Maximum size of a file that is copied, since its bytes are held in memory.
constexpr size_t kMostCopiedBytes = 4 << 20;

// The place where a file of the job is written, and the place of its bytes. For a copy, `record` is the directory of the
// file that contains the bytes, and `offset` is the position of its name in the names of copied files.
struct Place {
  uint32_t directory;
  uint32_t record;
  uint32_t offset;
  // 0 if the file is new and in one piece, kCopied if a file with its content was written before; each also with
  // kInherits. If the system refused metadata of the file, the call leaves kRefused here, and 8 bits each for the errors
  // of owner, permissions and times.
  uint32_t how;

  bool isNew() const { return (how & ~kInherits) == 0; }
  bool isCopy() const { return (how & ~kInherits) == kCopied; }
};

// The numbers through which the job and the caller report to each other.
struct Cursor {
  double file;          // index of the next file
  double rowOffset;     // offset of its row
  double writtenBytes;  // bytes of the files that this call wrote
  double needsDecision; // 1 if the next file needs a decision, 0 if it needs another record or does not exist
  double refused;       // number of the written files of which the system refused metadata
};

// The directories of the job, opened when their first file is written. They stay open after a call.
class Directories {
 public:
  explicit Directories(const Call& call)
      : call_(call.name()), root_(call.fd(0)), paths_(call.text(1)), ends_(call.bytes(2)), fds_(call.bytes(3)) {}

  int at(size_t index) const {
    const auto known = fds_.at<int32_t>(index, call_);
    if (known >= 0) return known;
    const size_t from = index == 0 ? 0 : ends_.at<uint32_t>(index - 1, call_);
    const size_t to = ends_.at<uint32_t>(index, call_);
    if (to < from) throw Failure{EINVAL, call_, nullptr, "paths out of order"};
    const auto* path = reinterpret_cast<const char*>(paths_.range(from, to - from, call_));
    const int32_t opened = openDirectoryBeneath(root_, std::string(path, to - from), call_).release();
    memcpy(fds_.data + index * sizeof opened, &opened, sizeof opened);
    return opened;
  }

  // Closes all of them, so that JavaScript need not make a call for each.
  void close() const {
    constexpr int32_t none = -1;
    for (size_t at = 0; at + sizeof none <= fds_.size; at += sizeof none) {
      int32_t opened;
      memcpy(&opened, fds_.data + at, sizeof opened);
      if (opened >= 0) ::close(opened);
      memcpy(fds_.data + at, &none, sizeof none);
    }
  }

 private:
  const char* call_;
  const int root_;
  const Bytes paths_;
  const Bytes ends_;
  const Bytes fds_;
};

// Digests of the next files in one decoded record. Several are computed at once.
struct Ahead {
  static constexpr size_t kMostFiles = 16;
  static constexpr size_t kMostBytes = 256 << 10;  // these are still in the cache of the processor when they are written

  size_t first = 0;  // index of the first of these files
  size_t files = 0;
  uint8_t digests[kMostFiles][kDigestBytes];
};

class Restoring {
 public:
  explicit Restoring(const Call& call)
      : call_(call.name()),
        directories_(call),
        rows_(call.bytes(4)),
        places_(call.bytes(5)),
        key_(call.bytes(8)),
        options_(call.bits(9)),
        copiedNames_(call.bytes(11)) {
    if (key_.size != 0 && key_.size != kKeyBytes) throw Failure{EINVAL, call_, nullptr, "a key has another length"};
  }

  // Writes files until one is in another record than `record`, which is decoded. Returns the number of the record that
  // the next file needs; kNoRecord if there is no next file or it needs a decision.
  uint32_t run(Cursor* cursor, uint32_t record, const Bytes& decoded) const {
    const auto end = static_cast<double>(places_.size / sizeof(Place));
    Ahead ahead;
    while (cursor->file < end) {
      try {
        const Place place = places_.at<Place>(static_cast<size_t>(cursor->file), call_);
        if (place.isNew() && place.record != kNoRecord && place.record != record) return place.record;
        if ((place.isNew() || place.isCopy()) && restored(place, decoded, cursor, &ahead)) continue;
      } catch (const Failure&) {
        // The failure recurs in the call for this file alone, which reports it.
      } catch (const std::bad_alloc&) {
      }
      cursor->needsDecision = 1;
      return kNoRecord;
    }
    return kNoRecord;
  }

  void closeDirectories() const { directories_.close(); }

 private:
  // Writes the file at the cursor, and moves the cursor behind it. False if the file needs a decision.
  bool restored(const Place& place, const Bytes& decoded, Cursor* cursor, Ahead* ahead) const {
    const Row row = Row::checked(rows_, static_cast<size_t>(cursor->rowOffset), call_);
    if (row.hasFlag(kSparse) || row.hasFlag(kHasAttributes)) return false;
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, call_);
    const bool empty = place.isNew() && place.record == kNoRecord;
    const size_t bytes = empty ? 0 : row.get<uint64_t>(kSize);
    std::unique_ptr<uint8_t[]> memory;
    Bytes data;
    if (place.isCopy()) {
      if (bytes > kMostCopiedBytes) return false;
      memory.reset(new uint8_t[bytes]);
      data = {memory.get(), bytes};
      if (!readCopied(place, data)) return false;
      uint8_t digest[kDigestBytes];
      sha256Of(data.data, data.size, digest);
      if (!isDigestOf(row, digest)) return false;
    } else {
      data = {decoded.range(empty ? 0 : place.offset, bytes, call_), bytes};
    }
    if (place.isNew() && !empty && !isDigestOf(row, digestAt(decoded, *cursor, ahead))) return false;
    const unsigned options = options_ | ((place.how & kInherits) != 0 ? kDropInherited : 0u);
    const Refused refused = writeFile(directories_.at(place.directory), name.text, data, row, options);
    if (refused.any()) note(refused, cursor);
    cursor->file += 1;
    cursor->rowOffset += static_cast<double>(row.bytes());
    cursor->writtenBytes += static_cast<double>(bytes);
    return true;
  }

  // Leaves the errors of refused metadata in the place of the file at the cursor.
  void note(const Refused& refused, Cursor* cursor) const {
    const uint32_t errors = kRefused | refused.owner | refused.permissions << 8 | refused.times << 16;
    const size_t at = static_cast<size_t>(cursor->file) * sizeof(Place) + offsetof(Place, how);
    memcpy(places_.range(at, sizeof errors, call_), &errors, sizeof errors);
    cursor->refused += 1;
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

  // True if the row has this digest, or with a key, the keyed one of it.
  bool isDigestOf(const Row& row, const uint8_t* digest) const {
    if (!row.hasFlag(kHasDigest)) return false;
    uint8_t keyed[kDigestBytes];
    if (key_.size > 0) hmacSha256(key_.data, digest, kDigestBytes, nullptr, 0, keyed);
    return memcmp(key_.size > 0 ? keyed : digest, row.at(kRowFixedBytes), kDigestBytes) == 0;
  }

  // Returns the digest of the file at the cursor, whose bytes are in the record.
  const uint8_t* digestAt(const Bytes& decoded, const Cursor& cursor, Ahead* ahead) const {
    const auto file = static_cast<size_t>(cursor.file);
    if (file - ahead->first >= ahead->files) lookAhead(decoded, cursor, ahead);
    return ahead->digests[file - ahead->first];
  }

  // Computes the digests of the file at the cursor and of those after it that are in the same record.
  void lookAhead(const Bytes& decoded, const Cursor& cursor, Ahead* ahead) const {
    const size_t end = places_.size / sizeof(Place);
    ToDigest inputs[Ahead::kMostFiles];
    auto rowOffset = static_cast<size_t>(cursor.rowOffset);
    size_t bytes = 0;
    ahead->first = static_cast<size_t>(cursor.file);
    ahead->files = 0;
    const Place first = places_.at<Place>(ahead->first, call_);
    for (size_t file = ahead->first; file < end && ahead->files < Ahead::kMostFiles && bytes < Ahead::kMostBytes; ++file) {
      try {
        const Place place = places_.at<Place>(file, call_);
        if (!place.isNew() || place.record != first.record) break;
        const Row row = Row::checked(rows_, rowOffset, call_);
        const size_t size = row.get<uint64_t>(kSize);
        inputs[ahead->files] = {decoded.range(place.offset, size, call_), size, ahead->digests[ahead->files]};
        rowOffset += row.bytes();
        bytes += size;
      } catch (const Failure&) {
        break;  // it happens again when this file is written
      }
      ahead->files += 1;
    }
    digestEach(inputs, ahead->files);
  }

  const char* call_;
  const Directories directories_;
  const Bytes rows_;
  const Bytes places_;
  const Bytes key_;
  const unsigned options_;
  const Bytes copiedNames_;
};

// Returns the numbers at the beginning of a call. Throws EINVAL if they are malformed.
Cursor cursorOf(const Call& call) {
  Cursor cursor;
  memcpy(&cursor, call.bytes(10).range(0, sizeof cursor, call.name()), sizeof cursor);
  const bool isCount = cursor.file >= 0 && cursor.rowOffset >= 0 && cursor.rowOffset <= 9007199254740991.0;
  if (!isCount) throw Failure{EINVAL, call.name(), nullptr, "a whole number that is not negative is expected"};
  cursor.writtenBytes = 0;
  cursor.needsDecision = 0;
  cursor.refused = 0;
  return cursor;
}

// The place of a record's body, and what decrypts and decodes it.
struct BodyPlace {
  double position;  // in the file or in the fetched bytes
  double bytes;
  uint32_t decodedBytes;
  uint32_t codec;
  uint32_t cipher;
  int32_t fd;  // kFetched if the body is in the fetched bytes, -1 if files of this record need a decision
  uint32_t alsoFrom;
  uint32_t alsoBytes;
  uint8_t key[kBodyKeyBytes];
  uint8_t nonce[kBodyNonceBytes];
  uint32_t unused;
};
static_assert(sizeof(BodyPlace) == 88);

constexpr int32_t kFetched = -2;

constexpr uint32_t kMostDecodedBytes = 8 << 20;  // MAX_FRAME_RAW_BYTES of src/store/packs/record.ts
constexpr double kMostPosition = 9007199254740992;  // 2^53
constexpr unsigned kMostCodec = 1;

// Writes the files of a job, and decodes its records, in another thread.
class StoredRestoring : public Aside {
 public:
  explicit StoredRestoring(const Call& call)
      : Aside("restoreStoredAside"),
        job_(call),
        bodies_(call.bytes(6)),
        also_(call.bytes(7)),
        fetched_(call.bytes(12)),
        cursor_(cursorOf(call)),
        numbers_(call.bytes(10).range(0, sizeof(Cursor), call.name())) {}

 private:
  void run() override {
    uint32_t record = kNoRecord;
    Bytes decoded = {nullptr, 0};
    for (;;) {
      record = job_.run(&cursor_, record, decoded);
      if (record == kNoRecord) break;
      decoded.size = 0;
      if (!decode(record, &decoded)) {
        cursor_.needsDecision = 1;
        break;
      }
    }
    job_.closeDirectories();
    memcpy(numbers_, &cursor_, sizeof cursor_);
  }

  // Decodes a record into the memory of this job. False if that fails: the caller then reads the record by itself, and
  // reports the error.
  bool decode(uint32_t record, Bytes* decoded) {
    try {
      const BodyPlace place = bodies_.at<BodyPlace>(record, "restoreStoredAside");
      const bool isFetched = place.fd == kFetched;
      const bool isSound = (place.fd >= 0 || isFetched) && place.position >= 0 && place.position < kMostPosition &&
                           place.bytes >= 0 && place.bytes <= kMostStoredBytes && place.decodedBytes <= kMostDecodedBytes &&
                           place.codec <= kMostCodec && place.cipher <= kBodyCiphers;
      if (!isSound) return false;
      if (roomBytes_ < place.decodedBytes) {
        room_.reset(new uint8_t[place.decodedBytes]);
        roomBytes_ = place.decodedBytes;
      }
      const Bytes also = {also_.range(place.alsoFrom, place.alsoBytes, "restoreStoredAside"), place.alsoBytes};
      const auto position = static_cast<uint64_t>(place.position);
      const auto bytes = static_cast<size_t>(place.bytes);
      const uint8_t* memory = isFetched ? fetched_.range(position, bytes, "restoreStoredAside") : nullptr;
      const StoredBody body = {memory,      place.fd,     position,  bytes, place.codec,
                               place.cipher, place.key,   place.nonce, also};
      *decoded = {room_.get(), place.decodedBytes};
      return decodeStored(body, *decoded);
    } catch (const Failure&) {
      return false;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  const Restoring job_;
  const Bytes bodies_;
  const Bytes also_;
  const Bytes fetched_;  // whole records that were fetched before; empty if the records are in files
  Cursor cursor_;
  uint8_t* const numbers_;
  std::unique_ptr<uint8_t[]> room_;
  size_t roomBytes_ = 0;
};

}  // namespace

napi_value restoreFiles(const Call& call) {
  const Restoring job(call);
  Cursor cursor = cursorOf(call);
  job.run(&cursor, call.bits(7), call.bytes(6));
  memcpy(call.bytes(10).data, &cursor, sizeof cursor);
  return call.nothing();
}

napi_value restoreStoredAside(const Call& call) {
  return Aside::start(std::make_unique<StoredRestoring>(call), call, {1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12});
}

}  // namespace tardis::calls
