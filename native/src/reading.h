// Reads whole files, for the call that reads one file and the call that reads many.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>

#include "files.h"
#include "row.h"

namespace tardis {

// Returns the state of an open file. Throws the system's error.
struct stat statOf(const Fd& fd);

int64_t mtimeOf(const struct stat& stat);
int64_t ctimeOf(const struct stat& stat);

// Opens a file without waiting for the other end of a fifo and without following a link. Leaves the access time
// unchanged if this is permitted: only the owner and root may request that.
Fd openForReading(int directory, const char* name);

// True if an open file may have extended attributes or inode flags. A row that was only listed has neither.
bool mayHaveAttributes(const Fd& fd, const struct stat& stat);

// True if the first byte of an open file must come from its disk; false if the system has it in memory, or does not report that.
bool isOnDisk(const Fd& fd);

// Begins to read a regular file into the memory of the system, and does not wait for it. Does nothing if that cannot be done.
void beginReading(int directory, const char* name, uint64_t size);

// Reads `size` bytes from the start of the file. It requests one more byte in the same system call, which detects a
// file that has grown. Returns the number of bytes in the target; sets `*longer` if there are more. Every read passes
// an offset, since the search for holes moves the offset of the descriptor.
size_t readWhole(const Fd& fd, uint8_t* target, size_t size, bool* longer);

}  // namespace tardis
