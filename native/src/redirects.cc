// Opens directories in snapshots, under the paths of what was snapshotted.
#include "redirects.h"

#include <sys/stat.h>

#include <atomic>

#include "calls.h"
#include "reading.h"

namespace tardis {

namespace {

constexpr ino_t kTopInode = 256;  // of each subvolume of btrfs

using Inode = std::pair<dev_t, ino_t>;

// All redirections of this process. They are set before a backup walks, and end after it.
struct Table {
  std::atomic<bool> isUsed{false};
  std::shared_mutex mutex;
  double sinceMs = 0;
  std::map<std::string, Fd> ways;  // descriptors by path; an invalid one stands for the live path
  std::map<Inode, Elsewhere::Directory> elsewhere;
};

Table& table() {
  static Table table;
  return table;
}

std::string below(const std::string& path, size_t end) {
  const size_t from = path.find_first_not_of('/', end);
  return from == std::string::npos ? "." : path.substr(from);
}

// Notes a directory below a redirected one that is not in that snapshot.
void noteElsewhere(Table& all, const std::string& path, int fd) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash + 1 == path.size()) return;
  const std::string above = slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash + 1);
  Fd directory;
  succeeded([&] {
    if (Way(above).isRedirected()) directory = openWithoutLinks(above, For::passing);
    return true;
  });
  struct stat entry;
  if (!directory.valid() || fstatat(directory.get(), name.c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (!S_ISDIR(entry.st_mode)) return;  // a file below a mounted one is read as it is in the snapshot
  const struct stat stat = statOf(directory);
  const std::unique_lock<std::shared_mutex> lock(all.mutex);
  Elsewhere::Directory& noted = all.elsewhere[{stat.st_dev, stat.st_ino}];
  noted.path = above;
  noted.entries[name] = fd;
}

}  // namespace

bool holdsSnapshots(int directory, std::string_view name) {
  if (name != kSnapshotsName) return false;
  struct stat top, entry;
  if (fstat(directory, &top) != 0 || top.st_ino != kTopInode) return false;
  if (fstatat(directory, kSnapshotsName.data(), &entry, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return S_ISDIR(entry.st_mode) && entry.st_uid == 0 && (entry.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

Way::Way(const std::string& given) : path(given) {
  Table& all = table();
  if (!all.isUsed) return;
  lock_ = std::shared_lock<std::shared_mutex>(all.mutex);
  for (size_t end = given.size();; end = given.rfind('/', end - 1)) {
    if (end == std::string::npos) return;
    const auto found = all.ways.find(end == 0 ? "/" : given.substr(0, end));
    if (found != all.ways.end()) {
      if (!found->second.valid()) return;
      directory = found->second.get();
      path = below(given, end);
      return;
    }
    if (end == 0) return;
  }
}

Elsewhere::Elsewhere(int directory) {
  Table& all = table();
  struct stat stat;
  if (!all.isUsed || fstat(directory, &stat) != 0) return;
  lock_ = std::shared_lock<std::shared_mutex>(all.mutex);
  const auto found = all.elsewhere.find({stat.st_dev, stat.st_ino});
  if (found != all.elsewhere.end()) found_ = &found->second;
}

Fd Elsewhere::openLive() const {
  Fd live;
  succeeded([&] {
    live = openLiveWithoutLinks(found_->path);
    return true;
  });
  return live;
}

Fd Elsewhere::openFor(const char** name) const {
  const int fd = found_->entries.find(*name)->second;
  if (fd < 0) return openLive();
  *name = ".";
  return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

namespace calls {

// Opens the directory of this path, and all below it, in the snapshot whose open directory is given; at their paths if it is -1.
napi_value redirect(const Call& call) {
  Table& all = table();
  const std::string path = call.path(0);
  Fd fd;
  if (call.has(1)) fd = opened(fcntl(call.fd(1), F_DUPFD_CLOEXEC, 0), "fcntl");
  noteElsewhere(all, path, fd.get());
  const std::unique_lock<std::shared_mutex> lock(all.mutex);
  if (!all.isUsed) all.sinceMs = static_cast<double>(call.count(2));
  all.ways[path] = std::move(fd);
  all.isUsed = true;
  return call.nothing();
}

napi_value endRedirects(const Call& call) {
  Table& all = table();
  const std::unique_lock<std::shared_mutex> lock(all.mutex);
  all.isUsed = false;
  all.ways.clear();
  all.elsewhere.clear();
  return call.nothing();
}

napi_value isRedirected(const Call& call) { return call.boolean(Way(call.path(0)).isRedirected()); }

napi_value redirectedSince(const Call& call) {
  Table& all = table();
  if (!all.isUsed) return call.nothing();
  const std::shared_lock<std::shared_mutex> lock(all.mutex);
  return call.number(all.sinceMs);
}

}  // namespace calls

}  // namespace tardis
