// Reads the metadata of one directory entry into a row.
#pragma once

#include <sys/types.h>

#include "growing.h"
#include "row.h"

namespace tardis {

// Begins a row after the last one of `rows`, with a name and no other values. The buffer then has room for any link
// target.
Row beginRow(Growing& rows, const void* name, size_t nameBytes);

// The state of a directory as a mount point. Unknown if the kernel does not report it.
enum class MountRoot { kUnknown, kNo, kYes };

// Fills a row from the metadata of a file, including its link target. Returns the name of the system call that failed,
// or null. Sets `*device` to the file's device and `*root` to its state as a mount point.
const char* look(int directory, const char* path, const Row& row, dev_t* device, MountRoot* root = nullptr);

// Fills a row from the metadata of a name in an open directory. Throws the system's error.
void lookIn(int directory, const char* name, const Row& row);

// Appends the row of a directory's entry to the rows, unless the entry has vanished. An entry whose metadata
// cannot be read is marked as unreadable and gets the type that the directory reports (d_type).
void addRow(Growing& rows, int directory, dev_t device, const char* name, size_t nameBytes, uint8_t kind);

// Returns the device number of an open directory's file system.
dev_t deviceOf(int directory);

}  // namespace tardis
