// Compares what was opened with what was listed, so that nobody can lead a reader into another file or directory by
// exchanging names in between.
#pragma once

#include <sys/stat.h>

#include <array>
#include <map>
#include <tuple>

#include "files.h"
#include "row.h"

namespace tardis {

constexpr size_t kLineBytes = 16;
constexpr uint64_t kSystemRoot = UINT64_MAX;  // the top of lines that begin at "/"

// The parts of a row by which an entry is recognised. The layout is that of src/model/identity.ts.
struct Identity {
  uint64_t device;  // 0 if it is unknown: the entry is on another device than its directory
  uint64_t inode;
  uint32_t uid;
  uint32_t gid;
  uint16_t permissions;
  uint8_t type;
  uint8_t mount;  // what was mounted on a directory of another device, as MountState
  uint32_t node;  // the number of the block device whose contents a row of a file stands for; otherwise 0
  // The inode of the root, or of the mount point, that a directory is below; 0 if it is one itself. `kSystemRoot` if the
  // inode of the root proves nothing.
  uint64_t top;
  // Digests of the owners, modes and ACLs of all directories from there to the one that it is in, and to itself. The ACLs are
  // those that they had when they were first opened.
  uint8_t above[kLineBytes];
  uint8_t below[kLineBytes];
  uint8_t wasClosed;  // 1 once the directory was found to give less access than it was listed with
  uint8_t unused[7];
};

// Reads the identity in a buffer of JavaScript. Throws EINVAL if the buffer has another length.
Identity identityIn(const Bytes& bytes, const char* call);

// Returns the identity of an entry, whose row this is, of a directory on `device`, as src/model/identity.ts does.
Identity identityOf(const Row& row, uint64_t device);

// Returns the identity of a directory, whose row this is, in a directory that was opened by its identity, as src/model/identity.ts
// does.
Identity identityBelow(const Row& row, const Identity& above);

// Throws EREPLACED unless the open file is the one that was listed.
void requireListed(int fd, const struct stat& stat, const Identity& identity, const char* call);

// Throws EREPLACED unless an open entry of a directory, which is the listed one, is the entry that was listed. Another entry in
// its place is accepted, if it is no file and has its type, owner and mode. A directory is not accepted if somebody else may
// have put it there and its ACL, or that of the listed one, may make a difference.
void requireListedOrLike(const Fd& entry, int directory, const Identity& identity, const char* call);

// Opens a directory of this identity. Follows no link in any part of the path. Throws EREPLACED for another directory, and
// ELOOP if a part is a link. A directory that took the place of the listed one, or of one above it, is accepted if the same
// users may reach it. The identity becomes that of the opened directory, and gets its `below` unless it has one.
Fd openListed(const std::string& path, Identity* identity, For purpose, const char* call);

// Finds out which open directories give less access than they were listed with. It climbs once to each directory above them.
// So all of them must have been read before the first call, and stay open until the last one.
class Closings {
 public:
  using Place = std::tuple<uint64_t, uint64_t, uint64_t>;  // mount (0 before Linux 5.8), device and inode

  // True if the directory, which `openListed` opened, has another owner, group or ACL now, or a mode that gives others less; or
  // if a directory above it, up to the top of the identity, has another owner, mode or ACL, or is another one.
  bool isClosed(int fd, const Identity& identity);

 private:

  bool climb(int fd, const Identity& identity, uint8_t (&line)[kLineBytes]);

  uint64_t top_ = 0;
  uint64_t device_ = 0;
  std::map<Place, std::array<uint8_t, kLineBytes>> known_;  // lines of directories, with each directory itself
};

}  // namespace tardis
