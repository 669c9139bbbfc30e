// Keeps a full disk from ending the process through the index of a write-ahead log. SQLite maps that file (-shm) into
// memory. If the first write to one of its pages finds no block on the disk, the kernel can report that only by
// SIGBUS: on btrfs whenever the page was written back before, elsewhere if blocks are smaller than pages.
//
// The handler then makes the page private to this process, and before it the first page, whose header makes frames of
// the log known. Other processes keep the state before, or make a torn index again from the log, as after a crash.
// Until the shared pages are back, each lock that this process takes fails as on a full disk, and so does a commit, whose
// header only this process has seen. They come back when the process holds no lock of the index.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <utility>

#include <sqlite3ext.h>

namespace {

// Bytes of a region, which SQLite maps at once: the index of 4096 frames of the log.
constexpr size_t kRegionBytes = 32768;
// Maximum number of regions in a process. To map more fails as on a full disk.
constexpr size_t kMaxRegions = 8192;
constexpr size_t kMaxPages = kRegionBytes / 4096;
// Place in the first page that SQLite leaves free and keeps at zero, and the value there if the page is private.
constexpr size_t kMarkAt = 132;
constexpr uint32_t kIsPrivate = 0x76697270;

// A region in use, with the first one of its file, and the shared pages that private ones stand for.
struct Region {
  std::atomic<uint8_t*> begin;
  std::atomic<uint8_t*> first;
  std::atomic<void*> shared[kMaxPages];
};

Region regions[kMaxRegions];
struct sigaction before;

// A database whose methods are replaced by `own`, and the locks of the index that it holds, as bits. `isHit` is true if
// SQLite may rely on what it wrote to a private page while it held a lock alone, as it does with the mark of a reader.
struct Guarded {
  sqlite3_io_methods own;
  const sqlite3_io_methods* original;
  uint8_t* first;
  bool isHit;
  std::atomic<unsigned> locks;
};

std::mutex guard;
std::set<Guarded*> databases;

size_t pageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

uint8_t* pageOf(uint8_t* at) { return at - reinterpret_cast<uintptr_t>(at) % pageBytes(); }

uint32_t& markOf(uint8_t* first) { return *reinterpret_cast<uint32_t*>(first + kMarkAt); }

bool isPrivate(const Guarded* guarded) {
  return guarded->first != nullptr && markOf(guarded->first) == kIsPrivate;
}

bool replacePage(void* by, uint8_t* page) {
  return mremap(by, pageBytes(), pageBytes(), MREMAP_MAYMOVE | MREMAP_FIXED, page) != MAP_FAILED;
}

// Exchanges a page of a region for a private copy, in one step. Runs in a handler of signals.
bool makePrivate(Region& region, uint8_t* at) {
  uint8_t* begin = region.begin;
  uint8_t* page = pageOf(at);
  std::atomic<void*>& kept = region.shared[page < begin ? 0 : static_cast<size_t>(page - begin) / pageBytes()];
  if (kept != nullptr) return true;
  void* copy = mmap(nullptr, pageBytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* shared = mremap(page, 0, pageBytes(), MREMAP_MAYMOVE);  // a size of 0 keeps the page where it is, too
  if (copy == MAP_FAILED || shared == MAP_FAILED) return false;
  kept = shared;
  std::memcpy(copy, page, pageBytes());
  if (begin == region.first) markOf(static_cast<uint8_t*>(copy) + (begin - pageOf(begin))) = kIsPrivate;
  return replacePage(copy, page);
}

Region* regionOf(const uint8_t* at) {
  for (Region& region : regions) {
    const uint8_t* begin = region.begin;
    if (begin != nullptr && at >= begin && at < begin + kRegionBytes) return &region;
  }
  return nullptr;
}

void onBusError(int number, siginfo_t* info, void* context) {
  auto* at = static_cast<uint8_t*>(info->si_addr);
  Region* region = regionOf(at);
  if (region != nullptr) {
    uint8_t* first = region->first;
    if (makePrivate(*regionOf(first), first) && makePrivate(*region, at)) return;
  }
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(number, info, context);
  std::signal(number, SIG_DFL);  // the access is repeated, and ends the process
}

Guarded* of(sqlite3_file* file) {
  return reinterpret_cast<Guarded*>(const_cast<sqlite3_io_methods*>(file->pMethods));
}

// Returns false if too many regions are in use.
bool add(uint8_t* begin, uint8_t* first) {
  Region* free = nullptr;
  for (Region& region : regions) {
    if (region.begin == begin) return true;
    if (free == nullptr && region.begin == nullptr) free = &region;
  }
  if (free == nullptr) return false;
  free->first = first;
  free->begin = begin;
  return true;
}

int mapIndex(sqlite3_file* file, int number, int bytes, int extends, void volatile** to) {
  Guarded* guarded = of(file);
  const std::lock_guard<std::mutex> held(guard);
  const int code = guarded->original->xShmMap(file, number, bytes, extends, to);
  auto* begin = static_cast<uint8_t*>(const_cast<void*>(*to));
  if (code != SQLITE_OK || begin == nullptr) return code;
  if (number == 0) guarded->first = begin;
  return add(begin, guarded->first) ? code : SQLITE_FULL;
}

// Puts the shared pages of a file back, unless a connection holds a lock of it.
void share(const uint8_t* first) {
  for (const Guarded* database : databases) {
    if (database->first == first && database->locks != 0) return;
  }
  for (Region& region : regions) {
    if (region.first != first) continue;
    for (size_t index = 0; index < kMaxPages; index += 1) {
      void* shared = region.shared[index].exchange(nullptr);
      if (shared != nullptr) replacePage(shared, pageOf(region.begin) + index * pageBytes());
    }
  }
}

int unmapIndex(sqlite3_file* file, int deletes) {
  Guarded* guarded = of(file);
  const std::lock_guard<std::mutex> held(guard);
  uint8_t* first = guarded->first;
  guarded->first = nullptr;
  guarded->locks = 0;
  bool isUsed = first == nullptr;
  for (const Guarded* other : databases) isUsed = isUsed || other->first == first;
  if (!isUsed) {
    share(first);
    for (Region& region : regions) {
      if (region.first == first) region.begin = nullptr;
      if (region.begin == nullptr) region.first = nullptr;
    }
  }
  return guarded->original->xShmUnmap(file, deletes);
}

int lockIndex(sqlite3_file* file, int offset, int count, int flags) {
  Guarded* guarded = of(file);
  const unsigned wanted = ((1U << count) - 1) << offset;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    const int code = guarded->original->xShmLock(file, offset, count, flags);
    guarded->locks &= ~wanted;
    guarded->isHit = isPrivate(guarded) && (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    return code;
  }
  if (std::exchange(guarded->isHit, false)) return SQLITE_FULL;
  if (isPrivate(guarded)) {
    const std::lock_guard<std::mutex> held(guard);
    share(guarded->first);
    if (isPrivate(guarded)) return SQLITE_FULL;
  }
  guarded->locks |= wanted;
  const int code = guarded->original->xShmLock(file, offset, count, flags);
  if (code != SQLITE_OK) guarded->locks &= ~wanted;
  return code;
}

int control(sqlite3_file* file, int what, void* argument) {
  if (what == SQLITE_FCNTL_COMMIT_PHASETWO && isPrivate(of(file))) return SQLITE_FULL;
  return of(file)->original->xFileControl(file, what, argument);
}

int closeFile(sqlite3_file* file) {
  Guarded* guarded = of(file);
  file->pMethods = guarded->original;
  const int code = file->pMethods->xClose(file);
  const std::lock_guard<std::mutex> held(guard);
  databases.erase(guarded);
  delete guarded;
  return code;
}

}  // namespace

// Guards the index of a connection's log, which must not have been used yet.
extern "C" __attribute__((visibility("default"))) int tardis_guard_index(sqlite3* database, char**,
                                                                         const sqlite3_api_routines* api) {
  sqlite3_file* file = nullptr;
  const int code = api->file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code != SQLITE_OK || file->pMethods == nullptr || file->pMethods->iVersion < 2) return code;
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, &before);
  });
  auto* guarded = new (std::nothrow) Guarded{*file->pMethods, file->pMethods, nullptr, false, {}};
  if (guarded == nullptr) return SQLITE_NOMEM;
  guarded->own.xClose = closeFile;
  guarded->own.xFileControl = control;
  guarded->own.xShmMap = mapIndex;
  guarded->own.xShmLock = lockIndex;
  guarded->own.xShmUnmap = unmapIndex;
  const std::lock_guard<std::mutex> held(guard);
  databases.insert(guarded);
  file->pMethods = &guarded->own;
  return SQLITE_OK_LOAD_PERMANENTLY;  // the handler stays
}
