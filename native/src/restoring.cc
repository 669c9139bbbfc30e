// Restores the files of a job in one call: it reads and decodes the records that these need, and writes each file that is new
// and whose content is whole in one record or in a file that the restore has written before. It notes all other files in a
// list, and those at which something fails, and leaves nothing of them behind. The caller then restores each of them by the
// calls for single files, which report what is special about it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "async-work.h"
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

// Maximum size of a file that is copied, since its bytes are held in memory.
constexpr size_t kMostCopiedBytes = 4 << 20;
constexpr uint32_t kMostDecodedBytes = 8 << 20;  // MAX_FRAME_RAW_BYTES of src/store/packs/record.ts
constexpr double kMostPosition = 9007199254740992;  // 2^53
constexpr unsigned kMostCodec = 1;
constexpr int32_t kFetched = -2;  // stands for the descriptor of a body in the fetched bytes

// The place where a file of the job is written, and the place of its bytes. For a copy, `record` is the directory of the
// file that contains the bytes, and `offset` is the position of its name in the names of copied files.
struct Place {
  uint32_t directory;
  uint32_t record;
  uint32_t offset;
  // 0 if the file is new and in one piece, kCopied if a file with its content was written before; each also with
  // kInherits.
  uint32_t how;

  bool isNew() const { return (how & ~kInherits) == 0; }
  bool isCopy() const { return (how & ~kInherits) == kCopied; }
};

// The place of a record's body, and what decrypts and decodes it.
struct BodyPlace {
  double position;  // in the file or in the fetched bytes
  double bytes;
  uint32_t decodedBytes;
  uint32_t codec;
  uint32_t cipher;
  int32_t fd;  // or kFetched; -1 if files of this record need a decision
  uint32_t alsoFrom;
  uint32_t alsoBytes;
  uint8_t key[kBodyKeyBytes];
  uint8_t nonce[kBodyNonceBytes];
  uint32_t unused;
};
static_assert(sizeof(BodyPlace) == 88);

// The numbers through which the call reports.
struct Counts {
  double files;         // files that the call wrote
  double writtenBytes;  // their bytes
  double undecided;     // number of files that need a decision
};

// A file that needs a decision.
struct Undecided {
  uint32_t file;
  uint32_t rowOffset;
};

// Memory for a decoded record. Each thread has its own, and keeps it for the next job, since the system clears each page of
// new memory at its first use.
struct Room {
  static constexpr size_t kKeptBytes = 1 << 20;

  static Room& ofThread() {
    thread_local Room room;
    return room;
  }

  uint8_t* with(size_t wanted) {
    if (size < wanted) {
      size = 0;
      bytes.reset(new uint8_t[wanted]);
      size = wanted;
    }
    return bytes.get();
  }

  void shrink() {
    if (size <= kKeptBytes) return;
    size = 0;
    bytes.reset();
  }

  std::unique_ptr<uint8_t[]> bytes;
  size_t size = 0;
};

class Restoring : public AsyncWork {
 public:
  explicit Restoring(const Call& call)
      : AsyncWork(kCall),
        root_(call.fd(0)),
        paths_(call.text(1)),
        ends_(call.bytes(2)),
        rows_(call.bytes(3)),
        places_(call.bytes(4)),
        bodies_(call.bytes(5)),
        also_(call.bytes(6)),
        key_(call.bytes(7)),
        options_(call.bits(8)),
        copiedNames_(call.bytes(9)),
        fetched_(call.bytes(10)),
        undecided_(call.bytes(11)),
        numbers_(call.bytes(12).range(0, sizeof(Counts), kCall)),
        directories_(ends_.size / sizeof(uint32_t)) {
    if (key_.size != 0 && key_.size != kKeyBytes) throw Failure{EINVAL, kCall, nullptr, "a key has another length"};
    undecided_.range(0, files() * sizeof(Undecided), kCall);
  }

 private:
  static constexpr const char* kCall = "restoreFiles";

  // Digests of the next files in one record. Several are computed at once.
  struct Ahead {
    static constexpr size_t kMostFiles = 16;
    static constexpr size_t kMostBytes = 256 << 10;  // these are still in the cache of the processor when they are written

    size_t first = 0;  // index of the first of these files
    size_t files = 0;
    uint8_t digests[kMostFiles][kDigestBytes];
  };

  size_t files() const { return places_.size / sizeof(Place); }

  void run() override {
    for (; file_ < files(); ++file_) {
      const Row row = Row::checked(rows_, rowOffset_, kCall);
      if (!succeeded([&] { return wasRestored(row); })) leave();
      rowOffset_ += row.bytes();
    }
    Room::ofThread().shrink();
    memcpy(numbers_, &counts_, sizeof counts_);
  }

  // Returns what the system refused: for each file of which it refused metadata its index, the bytes of a text (32 bits
  // each), and that text.
  napi_value result(napi_env env) override {
    if (refused_.empty()) return AsyncWork::result(env);
    napi_value value = nullptr;
    return napi_create_buffer_copy(env, refused_.size(), refused_.data(), nullptr, &value) == napi_ok ? value : nullptr;
  }

  // Notes that the file needs a decision.
  void leave() {
    const Undecided file = {static_cast<uint32_t>(file_), static_cast<uint32_t>(rowOffset_)};
    memcpy(undecided_.data + static_cast<size_t>(counts_.undecided) * sizeof file, &file, sizeof file);
    counts_.undecided += 1;
  }

  // Writes the file. False if it needs a decision.
  bool wasRestored(const Row& row) {
    const Place place = places_.at<Place>(file_, kCall);
    if (!(place.isNew() || place.isCopy()) || row.hasFlag(kSparse)) return false;
    Name name;
    takeName({const_cast<uint8_t*>(row.at(row.nameOffset())), row.nameBytes()}, &name, kCall);
    const bool empty = place.isNew() && place.record == kNoRecord;
    const size_t bytes = empty ? 0 : row.get<uint64_t>(kSize);
    std::unique_ptr<uint8_t[]> copied;
    Bytes data = {nullptr, 0};
    if (place.isCopy()) {
      if (bytes > kMostCopiedBytes) return false;
      copied.reset(new uint8_t[bytes]);
      data = {copied.get(), bytes};
      if (!readCopied(place, data)) return false;
      uint8_t digest[kDigestBytes];
      sha256Of(data.data, data.size, digest);
      if (!isDigestOf(row, digest)) return false;
    } else if (!empty) {
      if (!isDecoded(place.record)) return false;
      data = {decoded_.range(place.offset, bytes, kCall), bytes};
      if (!isDigestOf(row, digestOfFile())) return false;
    }
    const unsigned options = options_ | ((place.how & kInherits) != 0 ? kDropInherited : 0u);
    const Refused refused = writeFile(directoryAt(place.directory), name.text, data, row, options);
    if (refused.any()) note(refused.text());
    counts_.files += 1;
    counts_.writtenBytes += static_cast<double>(bytes);
    return true;
  }

  void note(const std::string& refused) {
    const uint32_t head[] = {static_cast<uint32_t>(file_), static_cast<uint32_t>(refused.size())};
    refused_.append(reinterpret_cast<const char*>(head), sizeof head).append(refused);
  }

  // Returns a directory of the job. It is opened for its first file, and stays open until the end of the call.
  int directoryAt(size_t index) {
    const size_t from = index == 0 ? 0 : ends_.at<uint32_t>(index - 1, kCall);
    const size_t to = ends_.at<uint32_t>(index, kCall);
    Fd& known = directories_[index];
    if (known.valid()) return known.get();
    if (to < from) throw Failure{EINVAL, kCall, nullptr, "paths out of order"};
    const auto* path = reinterpret_cast<const char*>(paths_.range(from, to - from, kCall));
    known = openDirectoryBeneath(root_, std::string(path, to - from), kCall);
    return known.get();
  }

  // Fills `data` with the file that has the content of a copy. False if the file has another size. It may have been
  // replaced since it was written, so the caller checks the digest.
  bool readCopied(const Place& place, const Bytes& data) {
    const size_t rest = copiedNames_.size - std::min<size_t>(place.offset, copiedNames_.size);
    auto* start = copiedNames_.range(place.offset, rest, kCall);
    const size_t length = strnlen(reinterpret_cast<const char*>(start), rest);
    Name name;
    takeName({start, length}, &name, kCall);
    const Fd fd = openForReading(directoryAt(place.record), name.text);
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

  // Returns the digest of the file, whose bytes are in the decoded record.
  const uint8_t* digestOfFile() {
    if (file_ - ahead_.first >= ahead_.files) lookAhead();
    return ahead_.digests[file_ - ahead_.first];
  }

  // Computes the digests of the file and of those after it that are in the same record.
  void lookAhead() {
    ToDigest inputs[Ahead::kMostFiles];
    size_t rowOffset = rowOffset_;
    size_t bytes = 0;
    ahead_.first = file_;
    ahead_.files = 0;
    while (ahead_.files < Ahead::kMostFiles && bytes < Ahead::kMostBytes) {
      const size_t file = file_ + ahead_.files;
      // A failure happens again when the file is written.
      const bool isNext = file < files() && succeeded([&] {
        const Place place = places_.at<Place>(file, kCall);
        if (!place.isNew() || place.record != record_) return false;
        const Row row = Row::checked(rows_, rowOffset, kCall);
        const size_t size = row.get<uint64_t>(kSize);
        inputs[ahead_.files] = {decoded_.range(place.offset, size, kCall), size, ahead_.digests[ahead_.files]};
        rowOffset += row.bytes();
        bytes += size;
        return true;
      });
      if (!isNext) break;
      ahead_.files += 1;
    }
    digestEach(inputs, ahead_.files);
  }

  // True if a record is in memory, or could be decoded. False if that fails: the caller then reads the record by itself, and
  // reports the error.
  bool isDecoded(uint32_t record) {
    if (record == record_) return isSound_;
    record_ = record;
    isSound_ = false;
    isSound_ = succeeded([&] { return wasDecoded(bodies_.at<BodyPlace>(record, kCall)); });
    return isSound_;
  }

  bool wasDecoded(const BodyPlace& place) {
    const bool isFetched = place.fd == kFetched;
    const bool isSound = (place.fd >= 0 || isFetched) && place.position >= 0 && place.position < kMostPosition &&
                         place.bytes >= 0 && place.bytes <= kMostStoredBytes && place.decodedBytes <= kMostDecodedBytes &&
                         place.codec <= kMostCodec && place.cipher <= kBodyCiphers;
    if (!isSound) return false;
    const Bytes also = {also_.range(place.alsoFrom, place.alsoBytes, kCall), place.alsoBytes};
    const auto position = static_cast<uint64_t>(place.position);
    const auto bytes = static_cast<size_t>(place.bytes);
    const uint8_t* memory = isFetched ? fetched_.range(position, bytes, kCall) : nullptr;
    decoded_ = {Room::ofThread().with(place.decodedBytes), place.decodedBytes};
    return decodeStored(
        {memory, place.fd, position, bytes, place.codec, place.cipher, place.key, place.nonce, also}, decoded_);
  }

  const int root_;
  const Bytes paths_;
  const Bytes ends_;
  const Bytes rows_;
  const Bytes places_;
  const Bytes bodies_;
  const Bytes also_;
  const Bytes key_;
  const unsigned options_;
  const Bytes copiedNames_;
  const Bytes fetched_;  // whole records that were fetched before; empty if the records are in files
  const Bytes undecided_;
  uint8_t* const numbers_;
  std::vector<Fd> directories_;
  Counts counts_ = {0, 0, 0};
  size_t file_ = 0;       // index of the file
  size_t rowOffset_ = 0;  // of its row
  std::string refused_;
  uint32_t record_ = kNoRecord;  // the record that was decoded last
  bool isSound_ = false;         // false if it could not be decoded
  Bytes decoded_ = {nullptr, 0};
  Ahead ahead_;
};

}  // namespace

napi_value restoreFiles(const Call& call) {
  return AsyncWork::either(std::make_unique<Restoring>(call), call, {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12}, 13);
}

}  // namespace tardis::calls
