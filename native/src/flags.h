// The inode flags (chattr) that restrict what may be done with a file. Flags that control how a file system
// stores a file (compression, no copy on write, …) are not among them.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace tardis {

// The name of the flags among the attributes of a row; their value is a u32.
constexpr const char* kFlagsName = "flags";

// Returns the flags of a name in an open directory (an empty name: of the directory itself), as far as backups keep
// them. Returns 0 if the file has none or cannot be opened.
uint32_t flagsOf(int directory, const char* name);

// True if an open file has any flag that backups keep. `device` is the file's device.
bool hasFlags(int fd, dev_t device);

// Clears the flags of an open new file or directory, which inherited them from its parent directory. Does nothing if the
// system refuses that.
void clearFlags(int fd);

}  // namespace tardis
