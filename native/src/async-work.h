#pragma once
#include <initializer_list>
#include <memory>

#include "call.h"

namespace tardis {

// A task for a thread of libuv's pool, or for the calling thread. On another thread, its result settles a promise. JavaScript
// buffers that the task uses are kept
// alive until the task has ended. The caller must not change, transfer or free them before that, nor read
// what the task writes.
class AsyncWork {
 public:
  explicit AsyncWork(const char* name) : name_(name) {}
  virtual ~AsyncWork() = default;

  // Starts the work and returns its promise. The work owns itself from then on. `kept`: indexes of the arguments whose
  // memory it uses.
  static napi_value start(std::unique_ptr<AsyncWork> work, const Call& call, std::initializer_list<int> kept = {});

  // Starts the work if the argument with the number `isAsync` is true. Otherwise does it in the calling thread, and returns
  // its result.
  static napi_value either(std::unique_ptr<AsyncWork> work, const Call& call, std::initializer_list<int> kept, int isAsync);

 protected:
  // Does the work; throws a Failure.
  virtual void run() = 0;
  // Returns the result, which is undefined if this is not overridden; null if there is no memory for it.
  virtual napi_value result(napi_env env);
  // Returns the error that the promise rejects with.
  virtual napi_value error(napi_env env, const Failure& failure) { return errorOf(env, failure); }

 private:
  static void execute(napi_env env, void* data);
  static void complete(napi_env env, napi_status status, void* data);

  const char* name_;
  bool hasFailed_ = false;
  Failure failure_{0, ""};
  napi_ref held_ = nullptr;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
};

}  // namespace tardis
