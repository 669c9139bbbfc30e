// A FUSE file system for tests: passes a directory through, except for the properties that `-o` makes it misreport.
// Runs in the foreground until it is unmounted, and ends when its parent process ends.
//
//   lying-fuse -o source=DIRECTORY[,LIE=VALUE…] MOUNTPOINT
#define FUSE_USE_VERSION 35
#include <dirent.h>
#include <fuse3/fuse.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>

namespace {

struct Lies {
  const char* source = nullptr;
  const char* blocks = nullptr;   // none, many
  const char* types = nullptr;    // unknown, wrong
  const char* sizes = nullptr;    // none, less, more, absurd
  const char* times = nullptr;    // changing, zero, far
  const char* inodes = nullptr;   // equal, changing, none, high
  const char* links = nullptr;    // none, many
  const char* offsets = nullptr;  // backwards, hole, data, beyond, refused, empty
  const char* reads = nullptr;    // short: a page at a time
  const char* names = nullptr;    // twice; absent, unreadable: for paths that contain that word
  const char* targets = nullptr;  // empty
  const char* bad = nullptr;      // the end of a path: reads of that file that overlap badFrom to badTo fail with EIO
  int badFrom = 0;
  int badTo = INT_MAX;
  const char* gate = nullptr;     // a directory: a read of `gate` creates `reached` there, and waits for `open`
  const char* broken = nullptr;   // a path: while that file exists, every operation fails
  const char* locks = nullptr;    // passed: this program locks parts of files, not the kernel
  int failure = 0;                // with this errno, unless the file has another one (`brokenNow`)
};

Lies lies;

#define LIE(name) {#name "=%s", offsetof(Lies, name), 0}
const fuse_opt kOptions[] = {LIE(source), LIE(blocks), LIE(types), LIE(sizes), LIE(times), LIE(inodes), LIE(links),
                             LIE(offsets), LIE(reads), LIE(names), LIE(targets), LIE(bad), LIE(gate), LIE(broken), LIE(locks),
                             {"badFrom=%d", offsetof(Lies, badFrom), 0}, {"badTo=%d", offsetof(Lies, badTo), 0},
                             {"failure=%d", offsetof(Lies, failure), 0}, FUSE_OPT_END};
#undef LIE

bool is(const char* lie, const char* value) { return lie != nullptr && strcmp(lie, value) == 0; }

std::string real(const char* path) { return std::string(lies.source) + path; }

int answer(long result) { return result < 0 ? -errno : static_cast<int>(result); }

bool endsWith(const char* path, const char* end) {
  const size_t length = strlen(path), endLength = strlen(end);
  return length >= endLength && strcmp(path + length - endLength, end) == 0;
}

// Returns the failure of an operation now, as a negative errno; 0 if it succeeds. If the file contains `ERRNO OPERATIONS
// END`, only these operations fail (letters, as at UNLESS_BROKEN), and only on paths with this end; `*` is any path.
int brokenNow(char operation, const char* path) {
  FILE* file = lies.broken == nullptr ? nullptr : fopen(lies.broken, "re");
  if (file == nullptr) return 0;
  int number = 0;
  char operations[16], end[256];
  const int words = fscanf(file, "%d %15s %255s", &number, operations, end);
  fclose(file);
  if (words < 3) return -lies.failure;
  const bool isMeant = strcmp(end, "*") == 0 || endsWith(path, end);
  return isMeant && strchr(operations, operation) != nullptr ? -number : 0;
}

#define UNLESS_BROKEN(operation)                    \
  if (const int failed = brokenNow(operation, path); failed != 0) return failed

void misreport(struct stat* stat) {
  static std::atomic<uint64_t> count{1};
  if (S_ISREG(stat->st_mode)) {
    if (is(lies.blocks, "none")) stat->st_blocks = 0;
    if (is(lies.blocks, "many")) stat->st_blocks = 1L << 40;
    if (is(lies.sizes, "none")) stat->st_size = 0;
    if (is(lies.sizes, "less")) stat->st_size = stat->st_size / 2;
    if (is(lies.sizes, "more")) stat->st_size = stat->st_size * 2 + 4097;
    if (is(lies.sizes, "absurd")) stat->st_size = INT64_MAX;
    if (is(lies.links, "none")) stat->st_nlink = 0;
    if (is(lies.links, "many")) stat->st_nlink = 0xffffffff;
  }
  if (is(lies.times, "changing")) {
    clock_gettime(CLOCK_REALTIME, &stat->st_mtim);
    stat->st_ctim = stat->st_mtim;
  }
  if (is(lies.times, "zero")) stat->st_mtim = stat->st_ctim = {};
  if (is(lies.times, "far")) stat->st_mtim = stat->st_ctim = {INT64_MAX / 4, 999999999};
  if (is(lies.inodes, "equal")) stat->st_ino = 7;
  if (is(lies.inodes, "none")) stat->st_ino = 0;
  if (is(lies.inodes, "high")) stat->st_ino |= uint64_t{1} << 63;
  if (is(lies.inodes, "changing")) stat->st_ino = 1000 + count++;
}

int getattr(const char* path, struct stat* stat, fuse_file_info*) {
  UNLESS_BROKEN('s');
  if (is(lies.names, "absent") && strstr(path, "absent") != nullptr) return -ENOENT;
  if (is(lies.names, "unreadable") && strstr(path, "unreadable") != nullptr) return -EIO;
  if (lstat(real(path).c_str(), stat) != 0) return -errno;
  misreport(stat);
  return 0;
}

int readdir(const char* path, void* into, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
  UNLESS_BROKEN('l');
  DIR* directory = opendir(real(path).c_str());
  if (directory == nullptr) return -errno;
  while (const dirent* entry = ::readdir(directory)) {
    struct stat stat = {};
    stat.st_ino = entry->d_ino;
    stat.st_mode = DTTOIF(entry->d_type);
    if (is(lies.types, "wrong")) stat.st_mode = entry->d_type == DT_DIR ? S_IFREG : S_IFDIR;
    const bool isUnknown = is(lies.types, "unknown");
    if (isUnknown) stat.st_mode = 0;
    const int times = is(lies.names, "twice") ? 2 : 1;
    for (int time = 0; time < times; time += 1) fill(into, entry->d_name, &stat, 0, fuse_fill_dir_flags{});
  }
  closedir(directory);
  return 0;
}

int open(const char* path, fuse_file_info* info) {
  UNLESS_BROKEN('o');
  const int fd = ::open(real(path).c_str(), info->flags & ~(O_NOFOLLOW | O_NOATIME));
  if (fd < 0) return -errno;
  info->fh = fd;
  // Without direct_io the kernel relies on the size.
  info->direct_io = lies.sizes != nullptr || lies.reads != nullptr || lies.bad != nullptr;
  return 0;
}

// Returns once the test has opened the gate.
void waitAtGate() {
  const std::string gate = lies.gate;
  ::close(::open((gate + "/reached").c_str(), O_CREAT | O_WRONLY, 0600));
  while (access((gate + "/open").c_str(), F_OK) != 0) usleep(2000);
}

bool isBad(const char* path) { return lies.bad != nullptr && endsWith(path, lies.bad); }

int read(const char* path, char* into, size_t bytes, off_t offset, fuse_file_info* info) {
  if (lies.gate != nullptr && strcmp(strrchr(path, '/'), "/gate") == 0) waitAtGate();
  UNLESS_BROKEN('r');
  if (isBad(path) && offset < lies.badTo && offset + static_cast<off_t>(bytes) > lies.badFrom) {
    if (offset >= lies.badFrom) return -EIO;
    bytes = static_cast<size_t>(lies.badFrom - offset);
  }
  if (is(lies.reads, "short") && bytes > 4096) bytes = 4096;
  return answer(pread(static_cast<int>(info->fh), into, bytes, offset));
}

off_t lseek(const char* path, off_t offset, int whence, fuse_file_info* info) {
  UNLESS_BROKEN('r');
  if (is(lies.offsets, "refused")) return -EINVAL;
  if (is(lies.offsets, "empty")) return -ENXIO;
  if (is(lies.offsets, "hole")) return whence == SEEK_DATA ? -ENXIO : offset;
  if (is(lies.offsets, "data")) return whence == SEEK_DATA ? offset : offset + 1;
  if (is(lies.offsets, "backwards")) return offset > 4096 ? offset - 4096 : 0;
  if (is(lies.offsets, "beyond")) return offset + (1L << 40);
  const off_t at = ::lseek(static_cast<int>(info->fh), offset, whence);
  return at < 0 ? -errno : at;
}

int readlink(const char* path, char* into, size_t bytes) {
  UNLESS_BROKEN('s');
  const ssize_t got = is(lies.targets, "empty") ? 0 : ::readlink(real(path).c_str(), into, bytes - 1);
  if (got < 0) return -errno;
  into[got] = 0;
  return 0;
}

int write(const char* path, const char* from, size_t bytes, off_t offset, fuse_file_info* info) {
  UNLESS_BROKEN('w');
  return answer(pwrite(static_cast<int>(info->fh), from, bytes, offset));
}

int create(const char* path, mode_t mode, fuse_file_info* info) {
  UNLESS_BROKEN('w');
  const int fd = ::open(real(path).c_str(), info->flags | O_CREAT, mode);
  if (fd < 0) return -errno;
  info->fh = fd;
  info->direct_io = lies.sizes != nullptr || lies.reads != nullptr;
  return 0;
}

// Runs a call that changes something, unless it is to fail.
template <typename Work>
int altered(const char* path, Work work) {
  UNLESS_BROKEN('x');
  return answer(work());
}

int release(const char*, fuse_file_info* info) { return answer(close(static_cast<int>(info->fh))); }
int fsync(const char* path, int, fuse_file_info* info) {
  return altered(path, [&] { return ::fsync(static_cast<int>(info->fh)); });
}

int mknod(const char* path, mode_t mode, dev_t device) {
  return altered(path, [&] { return ::mknod(real(path).c_str(), mode, device); });
}

// Locks of parts of files fail as those of whole files do; otherwise they exclude nobody.
int lock(const char* path, fuse_file_info*, int, struct ::flock*) {
  UNLESS_BROKEN('f');
  return 0;
}

int flock(const char* path, fuse_file_info* info, int kind) {
  UNLESS_BROKEN('f');
  return answer(::flock(static_cast<int>(info->fh), kind));
}

int mkdir(const char* path, mode_t mode) {
  return altered(path, [&] { return ::mkdir(real(path).c_str(), mode); });
}

int unlink(const char* path) {
  return altered(path, [&] { return ::unlink(real(path).c_str()); });
}

int rmdir(const char* path) {
  return altered(path, [&] { return ::rmdir(real(path).c_str()); });
}

int symlink(const char* target, const char* path) {
  return altered(path, [&] { return ::symlink(target, real(path).c_str()); });
}

int link(const char* from, const char* to) {
  return altered(to, [&] { return ::link(real(from).c_str(), real(to).c_str()); });
}

int chmod(const char* path, mode_t mode, fuse_file_info*) {
  return altered(path, [&] { return ::chmod(real(path).c_str(), mode); });
}

int rename(const char* from, const char* to, unsigned flags) {
  return altered(to, [&] { return renameat2(AT_FDCWD, real(from).c_str(), AT_FDCWD, real(to).c_str(), flags); });
}

int chown(const char* path, uid_t uid, gid_t gid, fuse_file_info*) {
  UNLESS_BROKEN('c');
  return altered(path, [&] { return lchown(real(path).c_str(), uid, gid); });
}

int truncate(const char* path, off_t size, fuse_file_info*) {
  return altered(path, [&] { return ::truncate(real(path).c_str(), size); });
}

int utimens(const char* path, const timespec times[2], fuse_file_info*) {
  return answer(utimensat(AT_FDCWD, real(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int statfs(const char* path, struct statvfs* stat) {
  UNLESS_BROKEN('s');
  return answer(statvfs(real(path).c_str(), stat));
}

int setxattr(const char* path, const char* name, const char* value, size_t bytes, int flags) {
  return answer(lsetxattr(real(path).c_str(), name, value, bytes, flags));
}

int getxattr(const char* path, const char* name, char* value, size_t bytes) {
  return answer(lgetxattr(real(path).c_str(), name, value, bytes));
}

int listxattr(const char* path, char* names, size_t bytes) { return answer(llistxattr(real(path).c_str(), names, bytes)); }
int removexattr(const char* path, const char* name) { return answer(lremovexattr(real(path).c_str(), name)); }

// Disables all caches of the kernel, so that every request reaches this program.
void* init(fuse_conn_info*, fuse_config* config) {
  config->use_ino = 1;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  return nullptr;
}

fuse_operations operations() {
  fuse_operations all = {};
  all.init = init;
  all.getattr = getattr;
  all.readdir = readdir;
  all.open = open;
  all.read = read;
  if (lies.offsets != nullptr) all.lseek = lseek;
  all.readlink = readlink;
  if (lies.broken != nullptr) {
    all.flock = flock;
    if (lies.locks != nullptr) all.lock = lock;
  }
  all.write = write;
  all.create = create;
  all.release = release;
  all.fsync = fsync;
  all.mknod = mknod;
  all.mkdir = mkdir;
  all.unlink = unlink;
  all.rmdir = rmdir;
  all.symlink = symlink;
  all.link = link;
  all.rename = rename;
  all.chmod = chmod;
  all.chown = chown;
  all.truncate = truncate;
  all.utimens = utimens;
  all.statfs = statfs;
  all.setxattr = setxattr;
  all.getxattr = getxattr;
  all.listxattr = listxattr;
  all.removexattr = removexattr;
  return all;
}

}  // namespace

int main(int count, char** words) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  umask(0);
  fuse_args args = FUSE_ARGS_INIT(count, words);
  if (fuse_opt_parse(&args, &lies, kOptions, nullptr) != 0 || lies.source == nullptr) {
    fprintf(stderr, "usage: lying-fuse -o source=DIRECTORY[,LIE=VALUE...] MOUNTPOINT\n");
    return 2;
  }
  fuse_opt_add_arg(&args, "-f");
  const fuse_operations all = operations();
  return fuse_main(args.argc, args.argv, &all, nullptr);
}
