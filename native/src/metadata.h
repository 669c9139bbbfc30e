// Sets owner, attributes, permissions and times of a row on a restored file.
#pragma once

#include <string>

#include "row.h"

namespace tardis {

enum MetadataOption : unsigned {
  kSetOwner = 1,            // set the row's uid and gid
  kForgiveOwner = 2,        // do not report an owner that the system refuses
  kDropInherited = 4,       // remove the ACLs and flags inherited from the parent directory
  kForgivePermissions = 8,  // as kForgiveOwner, for permissions
  kForgiveTimes = 16,       // as kForgiveOwner, for times
  kJustMade = 32,           // the call has made this entry itself
};

// The metadata that the system refused to set. The errors of owner, permissions and times are 0 if these were set or
// are forgiven.
struct Refused {
  int owner = 0;
  int permissions = 0;
  int times = 0;
  std::string attributes;  // "CODE\0name\0" for each

  bool any() const { return owner != 0 || permissions != 0 || times != 0 || !attributes.empty(); }

  // Returns all of it in the form of `attributes`; the names of the others are "owner", "permissions" and "times".
  std::string text() const;
};

// Each of these functions sets the metadata of a row, and returns what the system refused. It throws any other failure,
// such as one of the disk. The first function is for files and directories. The others are for a symbolic link, which
// has no permissions, and for nodes, which must not be opened. They get a descriptor made with O_PATH, since another
// entry may have the name by now.
Refused setMetadata(int fd, const Row& row, unsigned options, bool directory);
Refused setLinkMetadata(int fd, const Row& row, unsigned options);
Refused setNodeMetadata(int fd, const Row& row, unsigned options);

}  // namespace tardis
