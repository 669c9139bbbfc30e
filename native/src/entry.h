// Reads the metadata of one directory entry into a row.
#pragma once

#include <sys/types.h>

#include "growing.h"
#include "row.h"

namespace tardis {

// Appends an empty row with a name to the rows; the buffer has room for any link target.
Row beginRow(Growing& rows, const void* name, size_t nameBytes);

// State of a directory as a mount point, if the kernel reports it.
enum class MountRoot { kUnknown, kNo, kYes };

// Fills a row from the file itself, including its link target. Returns the name of the failed call, if any.
const char* look(int directory, const char* path, const Row& row, dev_t* device, MountRoot* root = nullptr);

// Appends the row of a directory's entry to the rows, unless the entry has vanished. An entry whose metadata
// cannot be read is marked as unreadable and gets the type that the directory reports (d_type).
void addRow(Growing& rows, int directory, dev_t device, const char* name, size_t nameBytes, uint8_t kind);

// Returns the device number of an open directory's file system.
dev_t deviceOf(int directory);

}  // namespace tardis
