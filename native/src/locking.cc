// Locks between processes, and making a whole file system durable.
#include <sys/file.h>
#include <unistd.h>

#include "calls.h"
#include "files.h"

namespace tardis::calls {

napi_value flock(const Call& call) {
  const int fd = call.fd(0);
  const int kind = call.truth(1) ? LOCK_EX : LOCK_SH;
  if (retry([&] { return ::flock(fd, kind | LOCK_NB); }) == 0) return call.boolean(true);
  if (errno != EWOULDBLOCK) throw Failure{errno, "flock"};
  return call.boolean(false);
}

napi_value unlock(const Call& call) {
  const int fd = call.fd(0);
  if (retry([&] { return ::flock(fd, LOCK_UN); }) != 0) throw Failure{errno, "flock"};
  return call.nothing();
}

napi_value syncfs(const Call& call) {
  const int fd = call.fd(0);
  if (retry([&] { return ::syncfs(fd); }) != 0) throw Failure{errno, "syncfs"};
  return call.nothing();
}

}  // namespace tardis::calls
