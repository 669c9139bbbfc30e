// Extended attributes, including ACLs: read by name below an open directory, packed at the end of a row, and set on
// restored files. The packed form contains for each attribute, in the order of their names:
//
//  0 u16 bytes of the name   2 u32 bytes of the value   6 name, value
//
// The name "flags" stands for the inode's flags (flags.h). setAttributes skips it, since with some of the flags nothing
// else can be set. An empty name stands for a modification time that the row's nanoseconds cannot represent: i64
// seconds, u32 ns.
#pragma once

#include <time.h>

#include <string>

#include "row.h"

namespace tardis {

// The file that gets attributes: an open file, or a name in a directory if fd is below 0.
struct AttributeTarget {
  int fd;
  int directory;
  const char* name;
};

// Sets a row's attributes. Each attribute that cannot be set is appended to *failed as "CODE\0name\0".
void setAttributes(const AttributeTarget& target, const Row& row, std::string* failed);

// True if an entry has neither extended attributes nor inode flags, kept or not. Throws the system's error.
bool isBare(int directory, const char* name);

// Removes the ACLs that a new file or directory inherited from its parent directory.
void dropInheritedAcls(int fd, bool directory);

// Returns the row's exact modification time.
timespec mtimeOf(const Row& row);

}  // namespace tardis
