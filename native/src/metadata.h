// Sets owner, attributes, permissions and times of a row on a restored file.
#pragma once

#include <string>

#include "row.h"

namespace tardis {

enum MetadataOption : unsigned {
  kSetOwner = 1,         // set the row's uid and gid
  kForgiveOwner = 2,     // continue if that is not permitted
  kDropAcl = 4,          // remove the ACLs inherited from the parent directory
};

// Each of these functions sets the metadata of a row, and throws on failure. Each returns the attributes that could not
// be set, as "CODE\0name\0" for each. The first function is for files and directories. The second is for a symbolic
// link, which has no permissions. The third is for nodes, which must not be opened.
std::string setMetadata(int fd, const Row& row, unsigned options, bool directory);
std::string setLinkMetadata(int directory, const char* name, const Row& row, unsigned options);
std::string setNodeMetadata(int directory, const char* name, const Row& row, unsigned options);

}  // namespace tardis
