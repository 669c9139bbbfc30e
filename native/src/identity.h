// Compares what was opened with what was listed, so that nobody can lead a reader into another file or directory by
// exchanging names in between.
#pragma once

#include <sys/stat.h>

#include "files.h"
#include "row.h"

namespace tardis {

// The parts of a row by which an entry is recognised. The layout is that of src/model/identity.ts.
struct Identity {
  uint64_t device;  // 0 if it is unknown: the entry is on another device than its directory
  uint64_t inode;
  uint32_t uid;
  uint32_t gid;
  uint16_t permissions;
  uint8_t type;
  uint8_t unused[5];
};

// Reads the identity in a buffer of JavaScript. Throws EINVAL if the buffer has another length.
Identity identityIn(const Bytes& bytes, const char* call);

// Throws EREPLACED unless the open file is the one that was listed.
void requireListed(int fd, const struct stat& stat, const Identity& identity, const char* call);

// Opens a directory of this identity. Follows no link in any part of the path. Throws EREPLACED for another directory, and
// ELOOP if a part is a link. A device that was unknown becomes that of the directory.
Fd openListed(const std::string& path, Identity* identity, For purpose, const char* call);

}  // namespace tardis
