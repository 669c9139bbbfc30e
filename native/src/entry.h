// What the system tells of one directory entry, as a row.
#pragma once

#include <sys/types.h>

#include "growing.h"
#include "row.h"

namespace tardis {

// Puts an empty row with a name behind the rows; the room allows for any link target.
Row beginRow(Growing& rows, const void* name, size_t nameBytes);

// Fills a row from the file itself, its link target included. Returns what failed, if anything did.
const char* look(int directory, const char* path, const Row& row, dev_t* device);

// Puts the row of a directory's entry behind the rows, unless the entry has vanished. One that cannot be looked at is
// marked as unreadable and has the type that the directory tells (d_type).
void addRow(Growing& rows, int directory, dev_t device, const char* name, size_t nameBytes, uint8_t kind);

// The file system that an open directory lies on.
dev_t deviceOf(int directory);

}  // namespace tardis
