// Owner, attributes, permissions and times of a row, put on what was restored.
#pragma once

#include <string>

#include "row.h"

namespace tardis {

enum MetadataOption : unsigned {
  kSetOwner = 1,         // give it to the row's uid and gid
  kForgiveOwner = 2,     // go on when that is not permitted
  kDropAcl = 4,          // take away what was inherited from the directory above
};

// All throw; they return which attributes could not be put, as "CODE\0name\0" for each. The first is for files and
// directories, the second for a symbolic link, which has no permissions, the third for what must not be opened.
std::string setMetadata(int fd, const Row& row, unsigned options, bool directory);
std::string setLinkMetadata(int directory, const char* name, const Row& row, unsigned options);
std::string setNodeMetadata(int directory, const char* name, const Row& row, unsigned options);

}  // namespace tardis
