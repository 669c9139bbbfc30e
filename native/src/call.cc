// Reads and checks arguments, runs the body of a call, and turns its failures into JavaScript errors.
#include "call.h"

#include <uv.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>

namespace tardis {

namespace {

void describe(const Failure& failure, char (&code)[64], char (&text)[160]) {
  uv_err_name_r(-failure.number, code, sizeof code);
  uv_strerror_r(-failure.number, text, sizeof text);
  if (failure.code != nullptr) snprintf(code, sizeof code, "%s", failure.code);
  if (failure.text != nullptr) snprintf(text, sizeof text, "%s", failure.text);
}

void requireText(const Bytes& text, const char* call) {
  if (text.size > 0 && memchr(text.data, 0, text.size) != nullptr) {
    throw Failure{EINVAL, call, nullptr, "a path or name holds a NUL byte"};
  }
}

void raise(napi_env env, const Failure& failure) {
  const napi_value error = errorOf(env, failure);
  if (error != nullptr) napi_throw(env, error);
  else napi_throw_error(env, "ENOMEM", "ENOMEM: an error could not be told");
}

}  // namespace

napi_value errorOf(napi_env env, const Failure& failure) {
  char code[64];
  char text[160];
  describe(failure, code, text);
  const std::string message = std::string(code) + ": " + text + ", " + failure.syscall;

  napi_value error, codeValue, messageValue, value;
  if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &codeValue) != napi_ok ||
      napi_create_string_utf8(env, message.data(), message.size(), &messageValue) != napi_ok ||
      napi_create_error(env, codeValue, messageValue, &error) != napi_ok) {
    return nullptr;
  }
  if (napi_create_int32(env, -failure.number, &value) == napi_ok) {
    napi_set_named_property(env, error, "errno", value);
  }
  if (napi_create_string_utf8(env, failure.syscall, NAPI_AUTO_LENGTH, &value) == napi_ok) {
    napi_set_named_property(env, error, "syscall", value);
  }
  return error;
}

void takeName(const Bytes& name, Name* into, const char* call) {
  const auto refuse = [call](const char* why) { throw Failure{EINVAL, call, nullptr, why}; };
  requireText(name, call);
  if (name.size == 0) refuse("a name is empty");
  if (name.size >= sizeof into->text) throw Failure{ENAMETOOLONG, call};
  if (memchr(name.data, '/', name.size) != nullptr) refuse("a name holds a slash");
  memcpy(into->text, name.data, name.size);
  into->text[name.size] = 0;
  if (strcmp(into->text, ".") == 0 || strcmp(into->text, "..") == 0) refuse("a name is . or ..");
}

int Call::fd(int index) const {
  double value;
  if (napi_get_value_double(env_, values_[index], &value) != napi_ok) refuse("a file descriptor must be a number");
  // Negative numbers have special meanings to the system (AT_FDCWD).
  if (!(value >= 0 && value <= INT_MAX && value == std::floor(value))) throw Failure{EBADF, name_};
  return static_cast<int>(value);
}

size_t Call::count(int index) const {
  double value;
  if (napi_get_value_double(env_, values_[index], &value) != napi_ok) refuse("a number is expected");
  if (!(value >= 0 && value <= 9007199254740991.0 && value == std::floor(value))) {
    refuse("a whole number that is not negative is expected");
  }
  return static_cast<size_t>(value);
}

int64_t Call::integer(int index) const {
  int64_t value;
  if (napi_get_value_int64(env_, values_[index], &value) != napi_ok) refuse("a number is expected");
  return value;
}

int64_t Call::nanoseconds(int index) const {
  int isNegative;
  uint64_t word = 0;
  size_t words = 1;
  if (napi_get_value_bigint_words(env_, values_[index], &isNegative, &words, &word) != napi_ok) refuse("a bigint is expected");
  if (words > 1 || word > INT64_MAX) return isNegative ? INT64_MIN : INT64_MAX;
  return isNegative ? -static_cast<int64_t>(word) : static_cast<int64_t>(word);
}

unsigned Call::bits(int index) const {
  const size_t value = count(index);
  if (value > UINT_MAX) refuse("unknown bits");
  return static_cast<unsigned>(value);
}

bool Call::truth(int index) const {
  bool value;
  if (napi_get_value_bool(env_, values_[index], &value) != napi_ok) refuse("a boolean is expected");
  return value;
}

bool Call::has(int index) const {
  napi_valuetype type;
  return napi_typeof(env_, values_[index], &type) == napi_ok && type != napi_undefined;
}

Bytes Call::bytes(int index) const {
  napi_typedarray_type type;
  void* data = nullptr;
  size_t size = 0;
  if (napi_get_typedarray_info(env_, values_[index], &type, &size, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    refuse("a Buffer or Uint8Array is expected");
  }
  // An empty array may have no memory, but memcpy, memcmp and their like take no null pointer, even for no bytes.
  static uint8_t nothing;
  return {data == nullptr ? &nothing : static_cast<uint8_t*>(data), size};
}

Bytes Call::text(int index) const {
  const Bytes text = bytes(index);
  requireText(text, name_);
  return text;
}

std::string Call::path(int index) const {
  const Bytes path = text(index);
  return std::string(reinterpret_cast<const char*>(path.data), path.size);
}

Name Call::name(int index) const {
  Name name;
  takeName(bytes(index), &name, name_);
  return name;
}

Name Call::nameOrNone(int index) const {
  Name name;
  name.text[0] = 0;
  if (bytes(index).size > 0) takeName(bytes(index), &name, name_);
  return name;
}

napi_value Call::nothing() const {
  napi_value result = nullptr;
  napi_get_undefined(env_, &result);
  return result;
}

napi_value Call::number(double value) const {
  napi_value result = nullptr;
  napi_create_double(env_, value, &result);
  return result;
}

napi_value Call::boolean(bool value) const {
  napi_value result = nullptr;
  napi_get_boolean(env_, value, &result);
  return result;
}

napi_value Call::buffer(const void* data, size_t size) const {
  napi_value result = nullptr;
  if (napi_create_buffer_copy(env_, size, data, nullptr, &result) != napi_ok) throw Failure{ENOMEM, name_};
  return result;
}

napi_value Call::bufferOf(size_t size, uint8_t** room) const {
  napi_value result = nullptr;
  void* data = nullptr;
  if (napi_create_buffer(env_, size, &data, &result) != napi_ok) throw Failure{ENOMEM, name_};
  *room = static_cast<uint8_t*>(data);
  return result;
}

napi_value dispatch(napi_env env, napi_callback_info info) {
  napi_value values[Call::kMostArguments];
  size_t count = Call::kMostArguments;  // missing arguments are undefined
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok) return nullptr;
  const auto* call = static_cast<const CallInfo*>(data);
  try {
    return call->body(Call(env, call->name, values));
  } catch (const Failure& failure) {
    raise(env, failure);
  } catch (const std::bad_alloc&) {
    raise(env, Failure{ENOMEM, call->name});
  }
  return nullptr;
}

}  // namespace tardis
