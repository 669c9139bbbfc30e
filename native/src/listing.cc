// Lists the entries of a directory with their metadata, as packed rows sorted by name. For a large directory, only the
// names are kept in memory (held), and rows are read on request: rows for a million names would take a hundred
// megabytes.
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "calls.h"
#include "entry.h"
#include "files.h"
#include "held-names.h"
#include "identity.h"
#include "names.h"
#include "redirects.h"

namespace tardis::calls {

namespace {

constexpr size_t kRunNames = 32768;  // number of names sorted at once, if the names are held

struct Scratch {
  Names names;
  Growing rows;
  std::vector<Growing> fullRows;  // the full buffers of a large directory

  // Frees large buffers at once: the memory for a directory of a million names must not be kept.
  void clear() {
    names.clear();
    rows.clear();
    fullRows.clear();
  }
};

Scratch& scratchOfThread() {
  static thread_local Scratch scratch;
  scratch.clear();
  return scratch;
}

// A directory whose names are held. It stays open, so that later rows are read from the same directory even if its path
// changes.
struct Held {
  std::mutex mutex;  // reading names changes their position
  Fd directory;
  dev_t device = 0;
  HeldNames names;
};

// All held directories of this process; any of its threads may request rows.
class HeldTable {
 public:
  uint32_t add(std::shared_ptr<Held> held) {
    const std::lock_guard<std::mutex> lock(mutex_);
    last_ += 1;
    table_.emplace(last_, std::move(held));
    return last_;
  }

  std::shared_ptr<Held> find(size_t number, const char* call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = table_.find(static_cast<uint32_t>(number));
    if (found == table_.end()) throw Failure{EINVAL, call, nullptr, "nothing is held under this number"};
    return found->second;
  }

  void drop(size_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    table_.erase(static_cast<uint32_t>(number));
  }

 private:
  std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<Held>> table_;
  uint32_t last_ = 0;
};

HeldTable& heldTable() {
  static HeldTable table;
  return table;
}

// Returns all rows as one buffer. Each piece is freed once it is copied, so that memory never holds all rows
// twice.
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

template <typename AnyNames>
napi_value rowsOf(const Call& call, Scratch& scratch, int directory, dev_t device, AnyNames& names, size_t from,
                  size_t upTo) {
  std::string_view before;  // a file system may return a name twice, and a listing may not
  std::string kept;         // held names are valid only until the next one
  const Elsewhere elsewhere(directory);
  for (size_t index = from; index < upTo; index += 1) {
    const Names::Entry entry = names.at(index);
    const std::string_view name(entry.name, entry.nameBytes);
    if (name == before) continue;
    kept = name;
    before = kept;
    if (holdsSnapshots(directory, name)) continue;
    const Fd live = elsewhere.has(name) ? elsewhere.openLive() : Fd();
    const bool isLive = live.valid();
    addRow(scratch.rows, isLive ? live.get() : directory, isLive ? deviceOf(live.get()) : device, entry.name,
           entry.nameBytes, entry.kind);
    if (scratch.rows.used() > kKeptBytes) scratch.fullRows.push_back(std::move(scratch.rows));
  }
  return joinRows(call, scratch);
}

}  // namespace

napi_value listDirectory(const Call& call) {
  const Fd directory = tardis::openDirectory(call.path(0));
  Scratch& scratch = scratchOfThread();
  scratch.names.read(directory.get(), SIZE_MAX - 1);
  const dev_t device = deviceOf(directory.get());
  return rowsOf(call, scratch, directory.get(), device, scratch.names, 0, scratch.names.count());
}

napi_value listOrHold(const Call& call) {
  const size_t mostNames = call.count(1);
  const Bytes identity = call.bytes(2);
  Identity listed = identityIn(identity, call.name());
  Fd directory = tardis::openListed(call.path(0), &listed, For::reading, call.name());
  memcpy(identity.data, &listed, sizeof listed);
  const auto device = static_cast<dev_t>(listed.device);
  Scratch& scratch = scratchOfThread();
  bool isWhole = scratch.names.read(directory.get(), mostNames);
  if (scratch.names.count() <= mostNames) {
    return rowsOf(call, scratch, directory.get(), device, scratch.names, 0, scratch.names.count());
  }
  auto held = std::make_shared<Held>();
  held->device = device;
  held->names.add(scratch.names);
  while (!isWhole) {
    scratch.names.clear();
    isWhole = scratch.names.read(directory.get(), kRunNames);
    held->names.add(scratch.names);
  }
  scratch.names.clear();
  held->directory = std::move(directory);
  return call.number(heldTable().add(std::move(held)));
}

napi_value heldNames(const Call& call) {
  return call.number(static_cast<double>(heldTable().find(call.count(0), call.name())->names.count()));
}

napi_value heldRows(const Call& call) {
  const std::shared_ptr<Held> held = heldTable().find(call.count(0), call.name());
  const size_t from = call.count(1);
  const size_t names = call.count(2);
  const std::lock_guard<std::mutex> lock(held->mutex);
  const size_t count = held->names.count();
  if (from > count || names > count - from) {
    throw Failure{EINVAL, call.name(), nullptr, "fewer names are held"};
  }
  return rowsOf(call, scratchOfThread(), held->directory.get(), held->device, held->names, from, from + names);
}

napi_value dropNames(const Call& call) {
  heldTable().drop(call.count(0));
  return call.nothing();
}

napi_value hasEntries(const Call& call) {
  // A descriptor of its own, since the given one may have been opened to use names only.
  const int given = call.fd(0);
  const Fd directory = opened(retry([&] { return openat(given, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }), "openat");
  Names& names = scratchOfThread().names;
  names.read(directory.get(), 1);
  bool isAny = false;
  for (size_t index = 0; index < names.count(); index += 1) {
    isAny = isAny || !holdsSnapshots(directory.get(), names.at(index).name);
  }
  return call.number(isAny ? 1 : 0);
}

napi_value statRow(const Call& call) {
  const std::string path = call.path(0);
  // The root of a backup may have any name, even "/".
  const Bytes name = call.text(1);
  if (name.size > kMostNameBytes) throw Failure{ENAMETOOLONG, call.name()};
  std::optional<Way> way;
  if (call.has(2)) way.emplace(path);
  const Place place = way ? shorten(way->path, way->directory) : shorten(path);
  const Row row = beginRow(scratchOfThread().rows, name.data, name.size);
  dev_t device;
  const char* failed = look(place.directory, place.rest, row, &device);
  if (failed != nullptr) throw Failure{errno, failed};
  return call.buffer(row.at(0), row.bytes());
}

napi_value statAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  const Row row = beginRow(scratchOfThread().rows, name.text, strlen(name.text));
  lookIn(directory, name.text, row);
  return call.buffer(row.at(0), row.bytes());
}

}  // namespace tardis::calls
