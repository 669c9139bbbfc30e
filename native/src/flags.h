// The inode flags (chattr) that restrict what may be done with a file. Flags that control how a file system
// stores a file (compression, no copy on write, …) are not among them.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace tardis {

// The name of the flags among the attributes of a row; their value is a u32.
constexpr const char* kFlagsName = "flags";

// Returns the flags, of those that backups keep, of a name in an open directory (empty: of the directory itself).
// 0 if the file has none or cannot be opened.
uint32_t flagsOf(int directory, const char* name);

// True if an open file, on that device, has any of them.
bool hasFlags(int fd, dev_t device);

}  // namespace tardis
