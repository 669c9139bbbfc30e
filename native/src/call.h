// The code that all calls share: it reads and checks arguments, and turns failures into JavaScript errors.
#pragma once

#include <node_api.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>

namespace tardis {

// A failure to be reported to JavaScript. Calls throw it; only the dispatcher catches it.
struct Failure {
  int number;                  // the system's errno, or 0 if the code below is our own
  const char* syscall;         // the failed operation
  const char* code = nullptr;  // replaces the name of errno
  const char* text = nullptr;  // replaces the description of errno
};

// Returns the result of `work` on one of many entries; false if it fails. The failure happens again in the call for that
// entry alone, which reports it.
template <typename Work>
bool succeeded(const Work& work) {
  try {
    return work();
  } catch (const Failure&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// Returns the failure as a JavaScript error; null if there is no memory for it.
napi_value errorOf(napi_env env, const Failure& failure);

struct Bytes {
  uint8_t* data;
  size_t size;

  // Returns the part [offset, offset + count) of these bytes; throws EINVAL if they do not contain it.
  uint8_t* range(size_t offset, size_t count, const char* call) const {
    if (offset > size || count > size - offset) {
      throw Failure{EINVAL, call, nullptr, "offset or length outside of the buffer"};
    }
    return data + offset;
  }

  // Returns the value at an index, of values without gaps; throws as `range` does.
  template <typename Value>
  Value at(size_t index, const char* call) const {
    Value value;
    memcpy(&value, range(index * sizeof value, sizeof value, call), sizeof value);
    return value;
  }
};

// A single file name, checked and ended by a NUL. Some file systems have names longer than NAME_MAX bytes.
struct Name {
  char text[PATH_MAX];
};

// Copies a file name that may be hostile. Throws EINVAL or ENAMETOOLONG if it is not a single name.
void takeName(const Bytes& name, Name* into, const char* call);

class Call {
 public:
  static constexpr size_t kMostArguments = 16;

  Call(napi_env env, const char* name, const napi_value* values) : env_(env), name_(name), values_(values) {}

  const char* name() const { return name_; }
  napi_env env() const { return env_; }

  int fd(int index) const;
  size_t count(int index) const;    // an offset or a number of items
  int64_t integer(int index) const;  // a number that may be negative
  int64_t nanoseconds(int index) const;  // a bigint; the nearest limit if it exceeds 64 bits
  unsigned bits(int index) const;   // an enumeration or a set of flags
  bool truth(int index) const;
  Bytes bytes(int index) const;     // a Uint8Array, not copied
  bool has(int index) const;        // false if the argument is undefined
  std::string path(int index) const;
  Name name(int index) const;
  Name nameOrNone(int index) const;  // empty if the argument has no bytes
  Bytes text(int index) const;      // bytes without a NUL
  napi_value raw(int index) const { return values_[index]; }

  napi_value nothing() const;
  napi_value number(double value) const;
  napi_value boolean(bool value) const;
  napi_value buffer(const void* data, size_t size) const;
  napi_value bufferOf(size_t size, uint8_t** room) const;  // to be filled by the caller
  napi_value bufferOrNothing(const std::string& data) const {
    return data.empty() ? nothing() : buffer(data.data(), data.size());
  }

 private:
  [[noreturn]] void refuse(const char* why) const { throw Failure{EINVAL, name_, nullptr, why}; }

  napi_env env_;
  const char* name_;
  const napi_value* values_;
};

// A function of the addon. Its body is called in the JavaScript thread.
struct CallInfo {
  const char* name;
  napi_value (*body)(const Call& call);
};

napi_value dispatch(napi_env env, napi_callback_info info);

}  // namespace tardis
