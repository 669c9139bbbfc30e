// Mounts by the kernel's own FUSE protocol: /dev/fuse, requests in batches, and replies. No library is needed.
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include <fcntl.h>

#include "calls.h"
#include "files.h"

namespace tardis::calls {

namespace {

constexpr size_t kSlots = 2;                   // batches in flight: JavaScript works on one, the other one is filled
constexpr size_t kLeastRoom = 16 * 1024;       // for one request; no request of a read-only file system is longer
constexpr int kMostRequests = 64;              // in one batch
constexpr uint64_t kBareNode = uint64_t{1} << 62;  // in node ids of entries without attributes
constexpr size_t kMostMountData = 4096;

struct Batch {
  size_t slot;
  size_t bytes;
  int error;  // errno that ended the connection, or 0
};

class Listener {
 public:
  Listener(int fd, const Bytes& memory) : fd_(fd), memory_(memory.data), slotBytes_(memory.size / kSlots) {}

  napi_ref buffer = nullptr;
  napi_threadsafe_function function = nullptr;

  void run() {
    for (size_t slot = 0;; slot = (slot + 1) % kSlots) {
      waitFor(slot);
      auto batch = std::make_unique<Batch>(Batch{slot, 0, 0});
      fill(batch.get());
      const int error = batch->error;
      if (napi_call_threadsafe_function(function, batch.release(), napi_tsfn_blocking) != napi_ok) return;
      if (error != 0) break;
    }
    napi_release_threadsafe_function(function, napi_tsfn_release);
  }

  void free(size_t slot) {
    const std::lock_guard<std::mutex> lock(mutex_);
    isBusy_[slot] = false;
    changed_.notify_one();
  }

 private:
  void waitFor(size_t slot) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return !isBusy_[slot]; });
    isBusy_[slot] = true;
  }

  // Reads at least one request that JavaScript must answer, and all others that are waiting, within the bounds.
  void fill(Batch* batch) {
    int count = 0;
    while (count < kMostRequests && slotBytes_ - batch->bytes >= kLeastRoom) {
      if (count > 0 && !isWaiting()) return;
      uint8_t* at = memory_ + batch->slot * slotBytes_ + batch->bytes;
      const ssize_t got = ::read(fd_, at, slotBytes_ - batch->bytes);
      if (got < 0) {
        if (errno == EINTR || errno == EAGAIN || errno == ENOENT) continue;
        batch->error = errno;
        return;
      }
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header)) || answered(at)) continue;
      batch->bytes += (static_cast<size_t>(got) + 7) & ~size_t{7};
      count += 1;
    }
  }

  bool isWaiting() const {
    pollfd waiting = {fd_, POLLIN, 0};
    return poll(&waiting, 1, 0) > 0;
  }

  // Answers a question for an attribute of an entry that has none. `ls -l` asks for an ACL of every file.
  bool answered(const uint8_t* request) const {
    fuse_in_header in;
    memcpy(&in, request, sizeof in);
    if ((in.nodeid & kBareNode) == 0) return false;
    struct {
      fuse_out_header head;
      fuse_getxattr_out size;
    } out = {};
    out.head.unique = in.unique;
    if (in.opcode == FUSE_GETXATTR) {
      out.head.error = -ENODATA;
      out.head.len = sizeof out.head;
    } else if (in.opcode == FUSE_LISTXATTR) {
      fuse_getxattr_in wanted;
      memcpy(&wanted, request + sizeof in, sizeof wanted);
      out.head.len = wanted.size == 0 ? sizeof out : sizeof out.head;
    } else {
      return false;
    }
    return ::write(fd_, &out, out.head.len) >= 0 || errno == ENOENT;  // ENOENT: the request was interrupted
  }

  int fd_;
  uint8_t* memory_;
  size_t slotBytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool isBusy_[kSlots] = {};
};

// Passes a batch to JavaScript: its offset in the memory, its bytes, and the error that ended the connection.
void deliver(napi_env env, napi_value callback, void* context, void* data) {
  const std::unique_ptr<Batch> batch(static_cast<Batch*>(data));
  auto* listener = static_cast<Listener*>(context);
  if (env == nullptr) return;
  napi_value undefined, memory, numbers[3];
  size_t bytes = 0;
  if (napi_get_undefined(env, &undefined) == napi_ok &&
      napi_get_reference_value(env, listener->buffer, &memory) == napi_ok &&
      napi_get_buffer_info(env, memory, nullptr, &bytes) == napi_ok &&
      napi_create_double(env, static_cast<double>(batch->slot * (bytes / kSlots)), &numbers[0]) == napi_ok &&
      napi_create_double(env, static_cast<double>(batch->bytes), &numbers[1]) == napi_ok &&
      napi_create_int32(env, batch->error, &numbers[2]) == napi_ok) {
    napi_call_function(env, undefined, callback, 3, numbers, nullptr);  // an exception ends the process, as it should
  }
  listener->free(batch->slot);
}

void finish(napi_env env, void* data, void*) {
  auto* listener = static_cast<Listener*>(data);
  napi_delete_reference(env, listener->buffer);
  delete listener;
}

}  // namespace

// Returns two connected sockets, as two numbers of 32 bits.
napi_value fuseSockets(const Call& call) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw Failure{errno, "socketpair"};
  return call.buffer(fds, sizeof fds);
}

// Returns the descriptor that was sent through a socket.
napi_value fuseReceive(const Call& call) {
  const int socket = call.fd(0);
  char byte;
  iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (retry([&] { return recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); }) < 0) {
    throw Failure{errno, "recvmsg"};
  }
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == nullptr || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int))) {
    throw Failure{EPROTO, "recvmsg"};
  }
  int fd;
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return call.number(fd);
}

// Opens /dev/fuse and mounts it. Needs the privilege to mount.
napi_value fuseMount(const Call& call) {
  const std::string path = call.path(0), source = call.path(1), options = call.path(2);
  const int fd = static_cast<int>(retry([] { return ::open("/dev/fuse", O_RDWR | O_CLOEXEC); }));
  if (fd < 0) throw Failure{errno, "open"};
  const std::string data = "fd=" + std::to_string(fd) + "," + options;
  const unsigned long flags = call.bits(3) | MS_RDONLY;
  if (data.size() >= kMostMountData || mount(source.c_str(), path.c_str(), "fuse.tardisfs", flags, data.c_str()) != 0) {
    const int number = data.size() >= kMostMountData ? E2BIG : errno;
    ::close(fd);
    throw Failure{number, "mount"};
  }
  return call.number(fd);
}

// Unmounts a path; with `isLazy` also one that is in use.
napi_value fuseUnmount(const Call& call) {
  const std::string path = call.path(0);
  const int flags = UMOUNT_NOFOLLOW | (call.truth(1) ? MNT_DETACH : 0);
  if (umount2(path.c_str(), flags) != 0) throw Failure{errno, "umount"};
  return call.nothing();
}

// Calls a function with each batch of requests, which lies in `memory`, until the connection ends.
napi_value fuseListen(const Call& call) {
  napi_env env = call.env();
  const int fd = call.fd(0);
  const Bytes memory = call.bytes(1);
  if (memory.size / kSlots < kLeastRoom) throw Failure{EINVAL, call.name()};
  auto listener = std::make_unique<Listener>(fd, memory);
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "fuse", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_reference(env, call.raw(1), 1, &listener->buffer) != napi_ok ||
      napi_create_threadsafe_function(env, call.raw(2), nullptr, name, kSlots + 1, 1, listener.get(), finish,
                                      listener.get(), deliver, &listener->function) != napi_ok) {
    throw Failure{ENOMEM, call.name()};
  }
  std::thread([kept = listener.release()] { kept->run(); }).detach();
  return call.nothing();
}

// Writes a reply of a head and optional data. Returns 0, or the errno; ENOENT means that the request was abandoned.
napi_value fuseReply(const Call& call) {
  const int fd = call.fd(0);
  const Bytes head = call.bytes(1);
  const size_t headBytes = call.count(2);
  iovec parts[2] = {{head.range(0, headBytes, call.name()), headBytes}, {nullptr, 0}};
  const size_t dataBytes = call.count(5);
  if (dataBytes > 0) parts[1] = {call.bytes(3).range(call.count(4), dataBytes, call.name()), dataBytes};
  const ssize_t written = retry([&] { return writev(fd, parts, dataBytes > 0 ? 2 : 1); });
  return call.number(written < 0 ? errno : 0);
}

}  // namespace tardis::calls
