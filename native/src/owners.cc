// Looks up names and ids of users and groups in the sources that the system is configured for (files, LDAP, …). A call
// may take a while.
#include <grp.h>
#include <pwd.h>

#include <vector>

#include "calls.h"

namespace tardis::calls {

namespace {

constexpr size_t kFirstBytes = 4096;
constexpr size_t kMostBytes = 4 << 20;  // for a group with a great many members

// Runs a look-up with a buffer that grows on demand. True if the user or group exists.
template <typename Entry, typename Run, typename Use>
bool lookUp(const char* syscall, Run&& run, Use&& use) {
  for (std::vector<char> room(kFirstBytes);;) {
    Entry entry;
    Entry* found = nullptr;
    const int failed = run(&entry, room.data(), room.size(), &found);
    if (failed == EINTR) continue;
    if (failed == ERANGE && room.size() < kMostBytes) {
      room.resize(room.size() * 4);
      continue;
    }
    // Several error codes mean "not found".
    if (failed == ENOENT || failed == ESRCH || failed == EBADF || failed == EPERM || found == nullptr) {
      if (failed == 0 || failed == ENOENT || failed == ESRCH || failed == EBADF || failed == EPERM) return false;
      throw Failure{failed, syscall};
    }
    use(*found);
    return true;
  }
}

napi_value nameOr(const Call& call, bool found, const std::string& name) {
  return found ? call.buffer(name.data(), name.size()) : call.nothing();
}

}  // namespace

napi_value userName(const Call& call) {
  const uid_t id = call.bits(0);
  std::string name;
  const bool found = lookUp<passwd>(
      "getpwuid_r", [id](auto... rest) { return getpwuid_r(id, rest...); },
      [&name](const passwd& entry) { name = entry.pw_name; });
  return nameOr(call, found, name);
}

napi_value groupName(const Call& call) {
  const gid_t id = call.bits(0);
  std::string name;
  const bool found = lookUp<group>(
      "getgrgid_r", [id](auto... rest) { return getgrgid_r(id, rest...); },
      [&name](const group& entry) { name = entry.gr_name; });
  return nameOr(call, found, name);
}

napi_value userId(const Call& call) {
  const std::string name = call.path(0);
  uid_t id = 0;
  const bool found = lookUp<passwd>(
      "getpwnam_r", [&name](auto... rest) { return getpwnam_r(name.c_str(), rest...); },
      [&id](const passwd& entry) { id = entry.pw_uid; });
  return found ? call.number(id) : call.nothing();
}

napi_value groupId(const Call& call) {
  const std::string name = call.path(0);
  gid_t id = 0;
  const bool found = lookUp<group>(
      "getgrnam_r", [&name](auto... rest) { return getgrnam_r(name.c_str(), rest...); },
      [&id](const group& entry) { id = entry.gr_gid; });
  return found ? call.number(id) : call.nothing();
}

}  // namespace tardis::calls
