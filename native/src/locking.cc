// Locks between processes, and syncs of a whole file system.
#include <sys/file.h>
#include <unistd.h>

#include <memory>

#include "calls.h"
#include "files.h"

namespace tardis::calls {

namespace {

struct Sync {
  int fd;
  int number = 0;  // errno
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void synchronise(napi_env, void* data) {
  auto* sync = static_cast<Sync*>(data);
  if (retry([&] { return ::syncfs(sync->fd); }) != 0) sync->number = errno;
}

void synchronised(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Sync> sync(static_cast<Sync*>(data));
  if (status == napi_ok && sync->number == 0) {
    napi_value nothing = nullptr;
    napi_get_undefined(env, &nothing);
    napi_resolve_deferred(env, sync->deferred, nothing);
  } else {
    const int number = sync->number == 0 ? ECANCELED : sync->number;
    napi_reject_deferred(env, sync->deferred, errorOf(env, Failure{number, "syncfs"}));
  }
  napi_delete_async_work(env, sync->work);
}

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

napi_value syncfs(const Call& call) {
  auto sync = std::make_unique<Sync>();
  sync->fd = call.fd(0);
  napi_env env = call.env();
  napi_value name = nullptr, promise = nullptr;
  if (napi_create_string_utf8(env, "syncfs", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_promise(env, &sync->deferred, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, synchronise, synchronised, sync.get(), &sync->work) != napi_ok ||
      napi_queue_async_work(env, sync->work) != napi_ok) {
    throw Failure{ENOMEM, call.name()};
  }
  sync.release();  // `synchronised` takes ownership back
  return promise;
}

}  // namespace tardis::calls
