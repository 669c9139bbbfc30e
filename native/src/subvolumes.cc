// Makes, recognises and deletes snapshots of subvolumes of btrfs. All of it works on open directories, never by paths.
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "calls.h"
#include "files.h"

namespace tardis::calls {

namespace {

// Throws if the call fails. Some succeed with 1.
void command(int fd, unsigned long request, void* arguments, const char* name) {
  if (retry([&] { return ioctl(fd, request, arguments); }) < 0) throw Failure{errno, name};
}

btrfs_ioctl_get_subvol_info_args infoOf(int fd) {
  btrfs_ioctl_get_subvol_info_args info = {};
  command(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info, "BTRFS_IOC_GET_SUBVOL_INFO");
  return info;
}

// Adds the path, from the top of its subvolume, of a name in the directory with this number. Leaves out a path that is too long
// for the system.
void addPath(int fd, uint64_t tree, uint64_t directory, const char* name, size_t nameBytes, std::string* into) {
  btrfs_ioctl_ino_lookup_args lookup = {};
  lookup.treeid = tree;
  lookup.objectid = directory;
  if (retry([&] { return ioctl(fd, BTRFS_IOC_INO_LOOKUP, &lookup); }) < 0) return;
  into->append(lookup.name).append(name, nameBytes).push_back(0);
}

}  // namespace

// Returns the identifier of the subvolume that an open file is in, that of the subvolume of which it is a snapshot, and a byte
// that is 1 if nobody can write to it.
napi_value subvolumeOf(const Call& call) {
  const btrfs_ioctl_get_subvol_info_args info = infoOf(call.fd(0));
  constexpr uint64_t kReadOnly = 1;  // BTRFS_ROOT_SUBVOL_RDONLY
  uint8_t* room;
  const napi_value made = call.bufferOf(2 * BTRFS_UUID_SIZE + 1, &room);
  memcpy(room, info.uuid, BTRFS_UUID_SIZE);
  memcpy(room + BTRFS_UUID_SIZE, info.parent_uuid, BTRFS_UUID_SIZE);
  room[2 * BTRFS_UUID_SIZE] = (info.flags & kReadOnly) != 0 ? 1 : 0;
  return made;
}

// Returns the paths of the subvolumes directly in a subvolume, each ended by a NUL.
napi_value subvolumesIn(const Call& call) {
  const int fd = call.fd(0);
  const uint64_t tree = infoOf(fd).treeid;
  std::string paths;
  btrfs_ioctl_search_args search = {};
  btrfs_ioctl_search_key& key = search.key;
  key.tree_id = BTRFS_ROOT_TREE_OBJECTID;
  key.min_objectid = key.max_objectid = tree;
  key.min_type = key.max_type = BTRFS_ROOT_REF_KEY;
  key.max_offset = key.max_transid = UINT64_MAX;
  for (;;) {
    key.nr_items = UINT32_MAX;
    command(fd, BTRFS_IOC_TREE_SEARCH, &search, "BTRFS_IOC_TREE_SEARCH");
    if (key.nr_items == 0) return call.buffer(paths.data(), paths.size());
    const char* at = search.buf;
    for (uint32_t item = 0; item < key.nr_items; ++item) {
      btrfs_ioctl_search_header header;
      memcpy(&header, at, sizeof header);
      at += sizeof header;
      btrfs_root_ref reference;
      if (header.len >= sizeof reference) {
        memcpy(&reference, at, sizeof reference);
        const size_t nameBytes = std::min<size_t>(le16toh(reference.name_len), header.len - sizeof reference);
        addPath(fd, tree, le64toh(reference.dirid), at + sizeof reference, nameBytes, &paths);
      }
      at += header.len;
      if (header.offset == UINT64_MAX) return call.buffer(paths.data(), paths.size());
      key.min_offset = header.offset + 1;
    }
  }
}

// Makes a snapshot, which cannot be written, of the subvolume whose open top is the second argument.
napi_value makeSnapshot(const Call& call) {
  const Name name = call.name(2);
  btrfs_ioctl_vol_args_v2 arguments = {};
  arguments.fd = call.fd(1);
  arguments.flags = BTRFS_SUBVOL_RDONLY;
  if (strlen(name.text) > BTRFS_SUBVOL_NAME_MAX) throw Failure{ENAMETOOLONG, call.name()};
  memcpy(arguments.name, name.text, strlen(name.text));
  command(call.fd(0), BTRFS_IOC_SNAP_CREATE_V2, &arguments, "BTRFS_IOC_SNAP_CREATE_V2");
  return call.nothing();
}

napi_value deleteSnapshot(const Call& call) {
  const Name name = call.name(1);
  btrfs_ioctl_vol_args arguments = {};
  if (strlen(name.text) > BTRFS_PATH_NAME_MAX) throw Failure{ENAMETOOLONG, call.name()};
  memcpy(arguments.name, name.text, strlen(name.text));
  command(call.fd(0), BTRFS_IOC_SNAP_DESTROY, &arguments, "BTRFS_IOC_SNAP_DESTROY");
  return call.nothing();
}

}  // namespace tardis::calls
