// Directories that are opened elsewhere than at their paths: in snapshots of what is there. Paths stay as they are.
#pragma once

#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "files.h"

namespace tardis {

// Name of the directory of snapshots, at the top of a subvolume. No listing has it: it changes in each backup.
constexpr std::string_view kSnapshotsName = ".tardis-snapshots";

// True if this name in an open directory is that of its snapshots: at the top of a subvolume, and root's alone.
bool holdsSnapshots(int directory, std::string_view name);

// Where a path is looked up. The descriptor stays open as long as the object lives.
class Way {
 public:
  explicit Way(const std::string& path);

  bool isRedirected() const { return directory != AT_FDCWD; }

  int directory = AT_FDCWD;
  std::string path;  // "." if the directory itself is meant

 private:
  std::shared_lock<std::shared_mutex> lock_;
};

// Entries of an open directory of a snapshot that are elsewhere, since a snapshot has none of them: subvolumes, and
// directories on which something is mounted.
class Elsewhere {
 public:
  struct Directory {
    std::string path;  // of the live one
    std::map<std::string, int, std::less<>> entries;  // descriptors in other snapshots, or -1
  };

  explicit Elsewhere(int directory);

  bool has(std::string_view name) const { return found_ != nullptr && found_->entries.count(name) > 0; }

  // Opens the live directory in which the row of such an entry is. Not valid if that is not possible.
  Fd openLive() const;

  // Opens the directory in which `*name` is to be opened, and may change that name. As above.
  Fd openFor(const char** name) const;

 private:
  const Directory* found_ = nullptr;
  std::shared_lock<std::shared_mutex> lock_;
};

}  // namespace tardis
