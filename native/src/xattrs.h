// Extended attributes, ACLs among them: read by name beneath an open directory, packed behind a row, put on what was
// restored. Packed, for each in the order of their names:
//
//  0 u16 bytes of the name   2 u32 bytes of the value   6 name, value
//
// An empty name stands for the modification time where the row's nanoseconds cannot hold it: i64 seconds, u32 ns.
#pragma once

#include <time.h>

#include <string>

#include "row.h"

namespace tardis {

// Where attributes are put: an open file, or a name in a directory when fd is below 0.
struct AttributeTarget {
  int fd;
  int directory;
  const char* name;
};

// Puts a row's attributes in place. What cannot be put is added to *failed as "CODE\0name\0".
void setAttributes(const AttributeTarget& target, const Row& row, std::string* failed);

// Takes away the ACLs that a new file or directory got from the directory it was made in.
void dropInheritedAcls(int fd, bool directory);

// The row's exact modification time.
timespec mtimeOf(const Row& row);

}  // namespace tardis
