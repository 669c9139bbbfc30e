// Locks between processes, and syncs of a whole file system.
#include <sys/file.h>
#include <unistd.h>

#include <memory>

#include "async-work.h"
#include "calls.h"
#include "files.h"

namespace tardis::calls {

namespace {

class Sync : public AsyncWork {
 public:
  explicit Sync(const Call& call) : AsyncWork("syncfs"), fd_(call.fd(0)) {}

 protected:
  void run() override {
    if (retry([&] { return ::syncfs(fd_); }) != 0) throw Failure{errno, "syncfs"};
  }
  napi_value result(napi_env env) override {
    napi_value nothing = nullptr;
    napi_get_undefined(env, &nothing);
    return nothing;
  }

 private:
  const int fd_;
};

}  // namespace

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

napi_value syncfs(const Call& call) { return AsyncWork::start(std::make_unique<Sync>(call), call); }

}  // namespace tardis::calls
