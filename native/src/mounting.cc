// Mounts and unmounts by the kernel's own calls, and receives the descriptor that fusermount3 opened.
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include <fcntl.h>

#include "calls.h"
#include "files.h"

namespace tardis::calls {

namespace {

constexpr size_t kMostMountData = 4096;

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

// Unmounts the mount that a descriptor was opened in, even if it is in use.
napi_value fuseUnmount(const Call& call) {
  const std::string path = "/proc/self/fd/" + std::to_string(call.fd(0));
  if (umount2(path.c_str(), MNT_DETACH) != 0) throw Failure{errno, "umount"};
  return call.nothing();
}

// Makes this process the leader of a new session. Does nothing if it already leads its group.
napi_value newSession(const Call& call) {
  if (setsid() < 0 && errno != EPERM) throw Failure{errno, "setsid"};
  return call.nothing();
}

}  // namespace tardis::calls
