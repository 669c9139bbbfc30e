// Writes whole new files.
#pragma once

#include "metadata.h"
#include "row.h"

namespace tardis {

// Creates a file with these bytes and the metadata of a row. Returns what the system refused, as setMetadata
// does. Throws EEXIST if the name is taken; after any later failure the file is removed.
Refused writeFile(int directory, const char* name, const Bytes& data, const Row& row, unsigned options);

}  // namespace tardis
