// The table of calls, registered again in every thread that loads the addon.
#include "calls.h"

namespace tardis {

namespace {

#define TARDIS_ENTRY(name) {#name, calls::name},
const CallInfo kCalls[] = {TARDIS_CALLS(TARDIS_ENTRY)};
#undef TARDIS_ENTRY

}  // namespace

}  // namespace tardis

NAPI_MODULE_INIT() {
  for (const tardis::CallInfo& call : tardis::kCalls) {
    napi_value function;
    void* data = const_cast<tardis::CallInfo*>(&call);
    if (napi_create_function(env, call.name, NAPI_AUTO_LENGTH, tardis::dispatch, data, &function) != napi_ok ||
        napi_set_named_property(env, exports, call.name, function) != napi_ok) {
      napi_throw_error(env, nullptr, "tardis_native could not register its calls");
      return nullptr;
    }
  }
  return exports;
}
