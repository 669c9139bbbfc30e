// Writes restored files. It creates only new files, never writes through a link, and removes a file that it cannot
// write completely.
#include "calls.h"
#include "files.h"
#include "metadata.h"
#include "writing.h"

namespace tardis {

namespace {

Fd createFile(int directory, const char* name) {
  constexpr int flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
  return opened(retry([&] { return openat(directory, name, flags, 0600); }), "openat");
}

void writeWhole(int fd, const uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t bytes = retry([&] { return write(fd, data, size); });
    if (bytes < 0) throw Failure{errno, "write"};
    if (bytes == 0) throw Failure{EIO, "write"};
    data += bytes;
    size -= bytes;
  }
}

// Closes a written file. Some file systems report a full disk only now. A signal that interrupts the call does not
// leave the descriptor open.
void closeWritten(Fd& fd) {
  if (::close(fd.release()) != 0 && errno != EINTR) throw Failure{errno, "close"};
}

}  // namespace

Refused writeFile(int directory, const char* name, const Bytes& data, const Row& row, unsigned options) {
  Fd fd = createFile(directory, name);
  try {
    writeWhole(fd.get(), data.data, data.size);
    Refused refused = setMetadata(fd.get(), row, options | kJustMade, false);
    closeWritten(fd);
    return refused;
  } catch (const Failure&) {
    unlinkat(directory, name, 0);
    throw;
  }
}

namespace calls {

napi_value writeFileAt(const Call& call) {
  const int directory = call.fd(0);
  const Name name = call.name(1);
  const size_t size = call.count(4);
  uint8_t* data = call.bytes(2).range(call.count(3), size, call.name());
  const Row row = Row::checked(call.bytes(5), call.count(6), call.name());
  return call.bufferOrNothing(writeFile(directory, name.text, {data, size}, row, call.bits(7)).text());
}

napi_value createFileAt(const Call& call) {
  const Name name = call.name(1);
  return call.number(createFile(call.fd(0), name.text).release());
}

napi_value finishFile(const Call& call) {
  const Row row = Row::checked(call.bytes(1), call.count(2), call.name());
  return call.bufferOrNothing(setMetadata(call.fd(0), row, call.bits(3), false).text());
}

napi_value setDirectoryMetadata(const Call& call) {
  const Row row = Row::checked(call.bytes(1), call.count(2), call.name());
  return call.bufferOrNothing(setMetadata(call.fd(0), row, call.bits(3), true).text());
}

}  // namespace calls

}  // namespace tardis
