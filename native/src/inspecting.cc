// Inspects the rows of a listing: counts them, marks those that may change again unnoticed, and finds directories with their
// identities.
#include <vector>

#include "calls.h"
#include "identity.h"

namespace tardis::calls {

namespace {

// The numbers before the lists in a result, as src/workers/inspect.ts reads them.
struct Head {
  uint64_t fileBytes = 0;
  uint32_t entries = 0;
  uint32_t isSettled = 1;
  uint32_t directories = 0;
  uint32_t unreadable = 0;
  uint32_t owners = 0;
  uint32_t unused = 0;
};

template <typename Item>
uint8_t* put(uint8_t* at, const std::vector<Item>& items) {
  const size_t bytes = items.size() * sizeof(Item);
  if (bytes > 0) memcpy(at, items.data(), bytes);
  return at + bytes;
}

}  // namespace

// Returns a buffer: the head, offsets of directories and of unreadable rows (u32), pairs of user and group (u32), each other than
// the pair before it, and an identity for each directory.
napi_value inspectRows(const Call& call) {
  const Bytes rows = call.bytes(0);
  const int64_t fromNs = call.nanoseconds(1);
  const Identity above = identityIn(call.bytes(2), call.name());
  Head head;
  std::vector<uint32_t> directories, unreadable, owners;
  std::vector<Identity> identities;
  for (size_t at = 0; at < rows.size; ++head.entries) {
    const Row row = Row::checked(rows, at, call.name());
    const auto place = static_cast<uint32_t>(at);
    at += row.bytes();
    const auto uid = row.get<uint32_t>(kUid), gid = row.get<uint32_t>(kGid);
    if (owners.empty() || owners[owners.size() - 2] != uid || owners.back() != gid) owners.insert(owners.end(), {uid, gid});
    if (row.hasFlag(kUnreadable)) {
      head.isSettled = 0;
      row.clearFlag(kUnknownType);
      unreadable.push_back(place);
      continue;
    }
    if (row.get<int64_t>(kCtime) >= fromNs) {
      row.setFlag(kUnsettled);
      head.isSettled = 0;
    }
    const auto type = row.get<uint8_t>(kType);
    if (type == kFile) head.fileBytes += row.get<uint64_t>(kSize);
    if (type != kDirectory) continue;
    directories.push_back(place);
    identities.push_back(identityBelow(row, above));
  }
  head.directories = static_cast<uint32_t>(directories.size());
  head.unreadable = static_cast<uint32_t>(unreadable.size());
  head.owners = static_cast<uint32_t>(owners.size());
  const size_t numbers = directories.size() + unreadable.size() + owners.size();
  uint8_t* room;
  const napi_value result =
      call.bufferOf(sizeof head + numbers * sizeof(uint32_t) + identities.size() * sizeof(Identity), &room);
  memcpy(room, &head, sizeof head);
  put(put(put(put(room + sizeof head, directories), unreadable), owners), identities);
  return result;
}

}  // namespace tardis::calls
