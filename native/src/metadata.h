// Owner, permissions and times of a row, put on what was restored.
#pragma once

#include "row.h"

namespace tardis {

enum MetadataOption : unsigned {
  kSetOwner = 1,         // give it to the row's uid and gid
  kForgiveOwner = 2,     // go on when that is not permitted
};

// Both throw. The first is for files and directories, the second for a symbolic link, which has no permissions.
void setMetadata(int fd, const Row& row, unsigned options, bool directory);
void setLinkMetadata(int directory, const char* name, const Row& row, unsigned options);

}  // namespace tardis
