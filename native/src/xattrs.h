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
#include <vector>

#include "identity.h"
#include "row.h"

namespace tardis {

// The file that gets attributes: an open one or, with `isPath`, a descriptor of O_PATH.
struct AttributeTarget {
  int fd;
  bool isPath;
  bool isOthers = false;  // its owner is not that of the row
};

// Sets a row's attributes, but the capabilities of a program only if that has its owner. Each attribute that cannot be set is appended to *refused.
void setAttributes(const AttributeTarget& target, const Row& row, std::string* refused);

// Appends "CODE\0name\0", with the code of an error, to what was refused.
void appendRefused(std::string* refused, int error, const std::string& name);

using Packed = std::vector<uint8_t>;

// Returns the packed attributes of an open entry; none if it has none. Throws E2BIG above the limit, and the system's error.
Packed attributesOf(int fd, size_t limit);

// Opens an entry of this identity (requireListedOrLike), to read its attributes. Only files and directories are opened for reading.
Fd openEntry(int directory, const char* name, const Identity& identity, const char* call);

// True unless an open file or directory has no ACL that limits who may use it. True also if that cannot be found out.
bool hasAcl(int fd);

// Returns the bytes of the ACL that limits who may use an open file or directory; none if it has none, or if that cannot be
// found out.
std::string aclOf(int fd);

// Removes the ACLs that a new file or directory inherited from its parent directory. The second function does so for
// what a path stands for. Each returns 0, or the error of a removal.
int dropInheritedAcls(int fd, bool directory);
int dropInheritedAcl(const char* path);

// Returns the row's exact modification time.
timespec mtimeOf(const Row& row);

// Returns the exact time for a time that a row stores: the one in its packed attributes if it is a limit of 64 bits. Throws
// EINVAL if they are malformed.
timespec exactTime(int64_t stored, const uint8_t* attributes, const uint8_t* end);

}  // namespace tardis
