// Reads the names of a directory, sorted by their bytes.
#include "names.h"

#include <dirent.h>
#include <sys/syscall.h>

#include <cstring>

#include "files.h"

namespace tardis {

namespace {

constexpr size_t kReadBytes = 64 * 1024;  // buffer size of each getdents64 call
constexpr size_t kHeadBytes = 3;

uint64_t prefixOf(const char* name, size_t bytes) {
  uint64_t prefix = 0;
  memcpy(&prefix, name, std::min(bytes, sizeof prefix));
  return __builtin_bswap64(prefix);
}

template <typename Each>
void forget(std::vector<Each>& list) {
  list.clear();
  if (list.capacity() * sizeof(Each) > kKeptBytes) list.shrink_to_fit();
}

}  // namespace

Names::Entry Names::entryAt(uint32_t place) const {
  const uint8_t* head = text_.data() + place;
  uint16_t bytes;
  memcpy(&bytes, head + 1, sizeof bytes);
  return {reinterpret_cast<const char*>(head + kHeadBytes), bytes, head[0]};
}

void Names::add(const char* name, uint8_t kind) {
  const size_t bytes = strlen(name);
  const size_t place = text_.used();
  if (place + kReadBytes > UINT32_MAX) throw Failure{EOVERFLOW, "getdents64"};
  uint8_t* room = text_.room(kHeadBytes + bytes + 1);
  const uint16_t length = static_cast<uint16_t>(bytes);
  room[0] = kind;
  memcpy(room + 1, &length, sizeof length);
  memcpy(room + kHeadBytes, name, bytes + 1);
  text_.use(kHeadBytes + bytes + 1);
  order_.push_back({0, static_cast<uint32_t>(place)});
  if (place == 0) {
    shared_ = bytes;
    return;
  }
  const Entry first = entryAt(0);
  size_t shared = 0;
  const size_t most = std::min(shared_, bytes);
  while (shared < most && first.name[shared] == name[shared]) shared += 1;
  shared_ = shared;
}

bool Names::read(int directory, size_t most) {
  alignas(dirent64) static thread_local uint8_t records[kReadBytes];
  bool isWhole = false;
  while (order_.size() <= most) {
    const long got = retry([&] { return syscall(SYS_getdents64, directory, records, kReadBytes); });
    if (got < 0) throw Failure{errno, "getdents64"};
    isWhole = got == 0;
    if (isWhole) break;
    for (long at = 0; at < got;) {
      const auto* record = reinterpret_cast<const dirent64*>(records + at);
      at += record->d_reclen;
      const char* name = record->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      add(name, record->d_type);
    }
  }
  sort();
  return isWhole;
}

void Names::sort() {
  for (Sorted& each : order_) {
    const Entry entry = entryAt(each.place);
    each.prefix = prefixOf(entry.name + shared_, entry.nameBytes - shared_);
  }
  std::sort(order_.begin(), order_.end(), [this](const Sorted& left, const Sorted& right) {
    if (left.prefix != right.prefix) return left.prefix < right.prefix;
    const Entry one = entryAt(left.place);
    const Entry other = entryAt(right.place);
    const int order = memcmp(one.name, other.name, std::min(one.nameBytes, other.nameBytes));
    return order != 0 ? order < 0 : one.nameBytes < other.nameBytes;
  });
  places_.reserve(order_.size());
  for (const Sorted& each : order_) places_.push_back(each.place);
  forget(order_);
}

void Names::clear() {
  text_.clear();
  forget(places_);
  forget(order_);
}

}  // namespace tardis
