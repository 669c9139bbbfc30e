// Checks of rows that a client sent, and the numbers that belong to them.
#pragma once

#include "listed-rows.h"
#include "row.h"

namespace tardis {

// The numbers of one row, as they lie in the memory of a Float64Array. `placeRows` makes them, and the table
// `placed_rows` takes them.
struct RowPlace {
  double directory;  // kNoDirectory: the row is left out
  double content;    // 0 if it has none
  double child;      // 0 if it is no directory
  double offset;     // of the row
};

constexpr double kNoDirectory = -1;
// An id that JavaScript has to find.
constexpr double kUnknownId = -1;
constexpr double kMostId = 9007199254740991.0;

// An entry of a frame's index: the digest of a content, and its size.
constexpr size_t kFrameEntryBytes = kDigestBytes + 4;

// Returns the bytes of the row at an offset, or 0 if it is malformed. The bytes of its attributes are not checked, nor
// are the characters of its name.
size_t soundRow(const Bytes& rows, size_t offset);

// True if a name may occur in a directory (`isEntryName` in src/model/row.ts).
bool isEntryName(const uint8_t* name, size_t bytes);

}  // namespace tardis
