#include "async-work.h"

#include <cerrno>
#include <new>
#include <utility>

namespace tardis {

napi_value AsyncWork::start(std::unique_ptr<AsyncWork> work, const Call& call, std::initializer_list<int> kept) {
  napi_env env = call.env();
  napi_value name = nullptr, promise = nullptr, held = nullptr;
  bool isReady = napi_create_array(env, &held) == napi_ok;
  uint32_t count = 0;
  for (const int index : kept) isReady = isReady && napi_set_element(env, held, count++, call.raw(index)) == napi_ok;
  if (!isReady || napi_create_reference(env, held, 1, &work->held_) != napi_ok ||
      napi_create_string_utf8(env, work->name_, NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_promise(env, &work->deferred_, &promise) != napi_ok ||
      napi_create_async_work(env, nullptr, name, execute, complete, work.get(), &work->work_) != napi_ok ||
      napi_queue_async_work(env, work->work_) != napi_ok) {
    throw Failure{ENOMEM, call.name()};
  }
  work.release();  // `complete` takes ownership back
  return promise;
}

napi_value AsyncWork::either(std::unique_ptr<AsyncWork> work, const Call& call, std::initializer_list<int> kept, int isAsync) {
  if (call.truth(isAsync)) return start(std::move(work), call, kept);
  work->run();
  const napi_value value = work->result(call.env());
  if (value == nullptr) throw Failure{ENOMEM, call.name()};
  return value;
}

napi_value AsyncWork::result(napi_env env) {
  napi_value nothing = nullptr;
  return napi_get_undefined(env, &nothing) == napi_ok ? nothing : nullptr;
}

void AsyncWork::execute(napi_env, void* data) {
  auto* work = static_cast<AsyncWork*>(data);
  try {
    work->run();
  } catch (const Failure& failure) {
    work->failure_ = failure;
    work->hasFailed_ = true;
  } catch (const std::bad_alloc&) {
    work->failure_ = {ENOMEM, work->name_};
    work->hasFailed_ = true;
  }
}

void AsyncWork::complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<AsyncWork> work(static_cast<AsyncWork*>(data));
  const bool isDone = status == napi_ok && !work->hasFailed_;
  const napi_value value = isDone ? work->result(env) : nullptr;
  if (value != nullptr) {
    napi_resolve_deferred(env, work->deferred_, value);
  } else {
    const Failure failure = work->hasFailed_ ? work->failure_ : Failure{ECANCELED, work->name_};
    napi_reject_deferred(env, work->deferred_, work->error(env, failure));
  }
  napi_delete_reference(env, work->held_);
  napi_delete_async_work(env, work->work_);
}

}  // namespace tardis
