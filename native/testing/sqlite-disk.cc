// An extension of SQLite for tests: it records what SQLite does to the files below a directory, in order, and can make
// the n-th call fail. It wraps the system's VFS and becomes the default one.
//
// Each connection that loads it watches one directory, through functions of that connection:
//   disk_watch(directory)                 starts to watch, and drops the events recorded before
//   disk_take()                           returns the events since the last call, as bytes (see below)
//   disk_fault(at, how, lasts, part)      makes the call `at` from now on (1 is the next; 0: none) fail, and with
//                                         `lasts` all later ones too. `how` is full, error or open. With `part` a
//                                         failing write has written the first half
//   disk_calls()                          returns the number of calls since disk_fault that could have failed
//   disk_hit()                            returns the first call that was made to fail, or NULL
//   disk_unwatch()                        stops watching
// Memory maps are not offered, so every page is written by a call. The index of a log (-shm) is not recorded: SQLite
// rebuilds it after a crash.
#include <cstring>
#include <mutex>
#include <string>

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT1

namespace {

enum class Act : unsigned char { create = 1, write, truncate, sync, remove, sync_directory };

// One event: u8 act, 3 zero bytes, u32 length of the path, u64 position (of `truncate`: size), u32 length of the
// data, path, data. Little endian.
constexpr size_t kHeadBytes = 20;

struct Watch {
  std::string directory;
  std::string events;
  // The fault to inject (see disk_fault).
  sqlite3_int64 at = 0;
  sqlite3_int64 calls = 0;
  std::string how;
  bool lasts = false;
  bool part = false;
  std::string hit;
  Watch* next = nullptr;
};

std::mutex guard;
Watch* watches = nullptr;
sqlite3_vfs* real_vfs = nullptr;
sqlite3_vfs shim_vfs;
sqlite3_io_methods shim_methods;

struct File {
  sqlite3_file base;
  sqlite3_file* real;
  // Points into the name that SQLite keeps for as long as the file is open.
  const char* path;
  // True if the next sync also syncs the directory: SQLite makes the name of a journal durable with its first
  // sync.
  bool syncs_directory;
};

File* of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }

Watch* watch_of(const char* path) {
  if (path == nullptr) return nullptr;
  for (Watch* watch = watches; watch != nullptr; watch = watch->next) {
    const size_t length = watch->directory.size();
    if (length > 0 && std::strncmp(path, watch->directory.c_str(), length) == 0 && path[length] == '/') return watch;
  }
  return nullptr;
}

void put(std::string& to, unsigned long long value, int bytes) {
  for (int at = 0; at < bytes; at += 1) to.push_back(static_cast<char>(value >> (8 * at)));
}

void record(const char* path, Act act, sqlite3_int64 position = 0, const void* data = nullptr, size_t bytes = 0) {
  const std::lock_guard<std::mutex> held(guard);
  Watch* watch = watch_of(path);
  if (watch == nullptr) return;
  std::string& to = watch->events;
  put(to, static_cast<unsigned char>(act), 4);
  put(to, std::strlen(path), 4);
  put(to, static_cast<unsigned long long>(position), 8);
  put(to, bytes, 4);
  to.append(path);
  if (bytes > 0) to.append(static_cast<const char*>(data), bytes);
}

// True if this call must fail; disk_hit reports it as `name`.
bool fails(const char* path, const char* name, std::string& how, bool& part) {
  const std::lock_guard<std::mutex> held(guard);
  Watch* watch = watch_of(path);
  if (watch == nullptr) return false;
  watch->calls += 1;
  if (watch->at == 0 || watch->calls < watch->at) return false;
  if (watch->calls > watch->at && !watch->lasts) return false;
  how = watch->how;
  part = watch->part;
  if (watch->hit.empty()) {
    const char* base = std::strrchr(path, '/');
    watch->hit = std::string(name) + " " + (base == nullptr ? path : base + 1);
  }
  return true;
}

int code_for(const std::string& how, int error) { return how == "full" ? SQLITE_FULL : error; }

int close_file(sqlite3_file* file) { return of(file)->real->pMethods->xClose(of(file)->real); }

int read_file(sqlite3_file* file, void* to, int bytes, sqlite3_int64 at) {
  return of(file)->real->pMethods->xRead(of(file)->real, to, bytes, at);
}

int write_file(sqlite3_file* file, const void* data, int bytes, sqlite3_int64 at) {
  File* self = of(file);
  std::string how;
  bool part = false;
  const bool is_hit = fails(self->path, "write", how, part);
  if (is_hit) bytes = part ? bytes / 2 : 0;
  int result = SQLITE_OK;
  if (bytes > 0) {
    result = self->real->pMethods->xWrite(self->real, data, bytes, at);
    if (result == SQLITE_OK) record(self->path, Act::write, at, data, static_cast<size_t>(bytes));
  }
  return is_hit ? code_for(how, SQLITE_IOERR_WRITE) : result;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  File* self = of(file);
  std::string how;
  bool part = false;
  if (fails(self->path, "truncate", how, part)) return SQLITE_IOERR_TRUNCATE;
  const int result = self->real->pMethods->xTruncate(self->real, size);
  if (result == SQLITE_OK) record(self->path, Act::truncate, size);
  return result;
}

int sync_file(sqlite3_file* file, int flags) {
  File* self = of(file);
  std::string how;
  bool part = false;
  if (fails(self->path, "sync", how, part)) return SQLITE_IOERR_FSYNC;
  const int result = self->real->pMethods->xSync(self->real, flags);
  if (result != SQLITE_OK) return result;
  record(self->path, Act::sync);
  if (self->syncs_directory) {
    self->syncs_directory = false;
    record(self->path, Act::sync_directory);
  }
  return result;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return of(file)->real->pMethods->xFileSize(of(file)->real, size);
}
int lock(sqlite3_file* file, int level) { return of(file)->real->pMethods->xLock(of(file)->real, level); }
int unlock(sqlite3_file* file, int level) { return of(file)->real->pMethods->xUnlock(of(file)->real, level); }
int check_lock(sqlite3_file* file, int* result) {
  return of(file)->real->pMethods->xCheckReservedLock(of(file)->real, result);
}
int control(sqlite3_file* file, int what, void* argument) {
  return of(file)->real->pMethods->xFileControl(of(file)->real, what, argument);
}
int sector_size(sqlite3_file* file) { return of(file)->real->pMethods->xSectorSize(of(file)->real); }
int characteristics(sqlite3_file* file) {
  return of(file)->real->pMethods->xDeviceCharacteristics(of(file)->real);
}
int shm_map(sqlite3_file* file, int region, int bytes, int extend, void volatile** to) {
  return of(file)->real->pMethods->xShmMap(of(file)->real, region, bytes, extend, to);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return of(file)->real->pMethods->xShmLock(of(file)->real, offset, count, flags);
}
void shm_barrier(sqlite3_file* file) { of(file)->real->pMethods->xShmBarrier(of(file)->real); }
int shm_unmap(sqlite3_file* file, int is_delete) {
  return of(file)->real->pMethods->xShmUnmap(of(file)->real, is_delete);
}

constexpr int kJournals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

int open_file(sqlite3_vfs*, sqlite3_filename path, sqlite3_file* file, int flags, int* out_flags) {
  File* self = of(file);
  std::memset(static_cast<void*>(self), 0, sizeof(File));
  self->real = reinterpret_cast<sqlite3_file*>(self + 1);
  self->path = path;
  std::string how;
  bool part = false;
  if (path != nullptr && fails(path, "open", how, part)) return SQLITE_CANTOPEN;
  int was_there = 1;
  if (path != nullptr) real_vfs->xAccess(real_vfs, path, SQLITE_ACCESS_EXISTS, &was_there);
  // The system's VFS treats an empty file as missing.
  if (was_there == 0 && path != nullptr && (flags & SQLITE_OPEN_CREATE) == 0) was_there = 1;
  const int result = real_vfs->xOpen(real_vfs, path, self->real, flags, out_flags);
  if (self->real->pMethods != nullptr) self->base.pMethods = &shim_methods;
  if (result != SQLITE_OK) return result;
  if (was_there == 0) record(path, Act::create);
  self->syncs_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & kJournals) != 0;
  return result;
}

int remove_file(sqlite3_vfs*, const char* path, int syncs_directory) {
  std::string how;
  bool part = false;
  if (fails(path, "delete", how, part)) return SQLITE_IOERR_DELETE;
  const int result = real_vfs->xDelete(real_vfs, path, syncs_directory);
  if (result != SQLITE_OK) return result;
  record(path, Act::remove);
  if (syncs_directory != 0) record(path, Act::sync_directory);
  return result;
}

int full_path(sqlite3_vfs*, const char* path, int bytes, char* to) {
  return real_vfs->xFullPathname(real_vfs, path, bytes, to);
}

constexpr const char* kName = "tardis-test-disk";

// Registers the VFS. SQLite may be unloaded if no thread uses it, and loaded again; the VFS is then unknown to
// it.
bool install() {
  const std::lock_guard<std::mutex> held(guard);
  if (real_vfs != nullptr && sqlite3_vfs_find(kName) == &shim_vfs) return true;
  real_vfs = sqlite3_vfs_find(nullptr);
  if (real_vfs == nullptr) return false;
  shim_methods = sqlite3_io_methods{2,       close_file, read_file,   write_file,      truncate_file, sync_file, file_size,
                                    lock,    unlock,     check_lock,  control,         sector_size,   characteristics,
                                    shm_map, shm_lock,   shm_barrier, shm_unmap,       nullptr,       nullptr};
  shim_vfs = *real_vfs;
  shim_vfs.szOsFile = static_cast<int>(sizeof(File)) + real_vfs->szOsFile;
  shim_vfs.zName = kName;
  shim_vfs.pNext = nullptr;
  shim_vfs.xOpen = open_file;
  shim_vfs.xDelete = remove_file;
  shim_vfs.xFullPathname = full_path;
  return sqlite3_vfs_register(&shim_vfs, 1) == SQLITE_OK;
}

Watch* mine(sqlite3_context* context) { return static_cast<Watch*>(sqlite3_user_data(context)); }

std::string text_of(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text == nullptr ? std::string() : std::string(text);
}

void sql_watch(sqlite3_context* context, int, sqlite3_value** values) {
  const std::lock_guard<std::mutex> held(guard);
  Watch* watch = mine(context);
  watch->directory = text_of(values[0]);
  watch->events.clear();
}

void sql_unwatch(sqlite3_context* context, int, sqlite3_value**) {
  const std::lock_guard<std::mutex> held(guard);
  Watch* watch = mine(context);
  watch->directory.clear();
  watch->events.clear();
  watch->at = 0;
}

void sql_take(sqlite3_context* context, int, sqlite3_value**) {
  const std::lock_guard<std::mutex> held(guard);
  std::string& events = mine(context)->events;
  sqlite3_result_blob64(context, events.data(), events.size(), SQLITE_TRANSIENT);
  events.clear();
}

void sql_fault(sqlite3_context* context, int, sqlite3_value** values) {
  const std::lock_guard<std::mutex> held(guard);
  Watch* watch = mine(context);
  watch->at = sqlite3_value_int64(values[0]);
  watch->how = text_of(values[1]);
  watch->lasts = sqlite3_value_int(values[2]) != 0;
  watch->part = sqlite3_value_int(values[3]) != 0;
  watch->calls = 0;
  watch->hit.clear();
}

void sql_calls(sqlite3_context* context, int, sqlite3_value**) {
  const std::lock_guard<std::mutex> held(guard);
  sqlite3_result_int64(context, mine(context)->calls);
}

void sql_hit(sqlite3_context* context, int, sqlite3_value**) {
  const std::lock_guard<std::mutex> held(guard);
  const std::string& hit = mine(context)->hit;
  if (hit.empty()) sqlite3_result_null(context);
  else sqlite3_result_text(context, hit.c_str(), -1, SQLITE_TRANSIENT);
}

// Runs when the connection is closed.
void forget(void* pointer) {
  const std::lock_guard<std::mutex> held(guard);
  auto* watch = static_cast<Watch*>(pointer);
  for (Watch** link = &watches; *link != nullptr; link = &(*link)->next) {
    if (*link == watch) {
      *link = watch->next;
      break;
    }
  }
  delete watch;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int sqlite3_extension_init(sqlite3* database, char**,
                                                                              const sqlite3_api_routines* api) {
  SQLITE_EXTENSION_INIT2(api);
  if (!install()) return SQLITE_ERROR;
  auto* watch = new Watch();
  {
    const std::lock_guard<std::mutex> held(guard);
    watch->next = watches;
    watches = watch;
  }
  struct {
    const char* name;
    int arguments;
    void (*run)(sqlite3_context*, int, sqlite3_value**);
    void (*end)(void*);
  } const functions[] = {
      // The first function owns the state that all share.
      {"disk_watch", 1, sql_watch, forget},  {"disk_unwatch", 0, sql_unwatch, nullptr},
      {"disk_take", 0, sql_take, nullptr},   {"disk_fault", 4, sql_fault, nullptr},
      {"disk_calls", 0, sql_calls, nullptr}, {"disk_hit", 0, sql_hit, nullptr},
  };
  for (const auto& function : functions) {
    const int result =
        sqlite3_create_function_v2(database, function.name, function.arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY, watch,
                                   function.run, nullptr, nullptr, function.end);
    if (result != SQLITE_OK) return result;
  }
  return SQLITE_OK_LOAD_PERMANENTLY;
}
