// Speaks the kernel's own FUSE protocol: requests in batches, and replies. No library is needed.
#include <linux/fuse.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "calls.h"
#include "files.h"
#include "ready-links.h"

namespace tardis::calls {

namespace {

constexpr size_t kLeastRoom = 16 * 1024;  // for one request; no request of a read-only file system is longer
constexpr int kMostRequests = 64;         // in one batch
constexpr int kMostBatches = 4;           // before other work of the process gets its turn
constexpr int kMostReads = 256;           // for one batch, if most requests are answered at once
constexpr uint64_t kBareNode = uint64_t{1} << 62;  // in node ids of entries without attributes
constexpr char kLabel[] = "security.selinux";
constexpr char kAcl[] = "system.posix_acl_";
constexpr uint8_t kNoAcls = 1;        // bits of the answers about entries without attributes
constexpr uint8_t kNoAttributes = 2;
constexpr size_t kKept = 6, kFunction = 1;  // arguments of `fuseListen` that must not be freed, and one of them
constexpr size_t kEnds = 64;                // listings whose ends are known
constexpr int kEndShift = 24;               // node ids of directories differ from this bit on
constexpr size_t kReadyPages = 64;          // replies that are ready before their requests
constexpr size_t kReadyBytes = 16 * 1024;   // of each of them
constexpr uint32_t kReady = 1, kSent = 2;   // states of them; 0 is none
constexpr size_t kSentBeforeMore = 8;       // ready replies are sent before JavaScript makes more
constexpr uint64_t kPollNs = 100'000;       // polls for so long after a ready reply, since a walk soon sends another request
constexpr uint64_t kBusyNs = 50'000;        // other work has the processor if yielding it takes longer than this
constexpr uint64_t kRestNs = 20'000'000;    // no polling for so long after that
constexpr uint64_t kTurnNs = 1'000'000;     // other work of the process gets its turn after that

// The end of a listing: the kernel sends one more request for what follows it.
struct ListingEnd {
  uint64_t node, offset;
};

// A reply to READDIRPLUS from the begin of a directory to its end, which lies beside this table.
struct ReadyPage {
  uint64_t node;
  uint32_t bytes, state;
  uint64_t end;
};

// Memory that the addon and JavaScript share: answers about entries without attributes, ends of listings, replies that are
// ready, and targets of links.
struct Shared {
  uint8_t *answers, *ends, *ready, *links;
};

// Reads requests in the thread of JavaScript whenever the kernel has some. A thread of its own would have to wake that
// one for each request.
class Listener {
 public:
  Listener(napi_env env, int fd, const Bytes& memory, const Shared& shared)
      : env_(env), fd_(fd), memory_(memory.data), room_(memory.size), shared_(shared) {}

  std::vector<napi_ref> references;  // to the memory, the function, and what is shared
  napi_async_context context = nullptr;

  // Returns the listener of a descriptor in this thread, or null.
  static Listener* of(int fd) {
    const auto found = std::find_if(all_.begin(), all_.end(), [fd](const Listener* one) { return one->fd_ == fd; });
    return found == all_.end() ? nullptr : *found;
  }

  // Answers what is ready, between pieces of work that JavaScript does. Keeps the other requests for the next batch.
  void answerReady() {
    if (isBatchRead_ || isOver_) return;
    keptError_ = fill(&keptBytes_);
    if (keptError_ != 0) isOver_ = true;
    if (keptBytes_ > 0 || keptError_ != 0) uv_idle_start(&idle_, onIdle);
  }

  // Returns false if the loop does not take the descriptor; then `close` frees the listener.
  bool start() {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env_, &loop) != napi_ok || uv_poll_init(loop, &handle_, fd_) != 0) {
      finish();
      return false;
    }
    uv_idle_init(loop, &idle_);
    handle_.data = idle_.data = this;
    all_.push_back(this);
    if (uv_poll_start(&handle_, UV_READABLE, onReady) == 0) return true;
    close();
    return false;
  }

 private:
  static void onReady(uv_poll_t* handle, int status, int) { static_cast<Listener*>(handle->data)->serve(status); }
  static void onIdle(uv_idle_t* handle) { static_cast<Listener*>(handle->data)->serve(0); }

  void close() {
    all_.erase(std::remove(all_.begin(), all_.end(), this), all_.end());
    uv_poll_stop(&handle_);
    uv_close(reinterpret_cast<uv_handle_t*>(&idle_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
             [](uv_handle_t* handle) { static_cast<Listener*>(handle->data)->finish(); });
  }

  void finish() {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env_, &scope) == napi_ok) {
      for (napi_ref reference : references) napi_delete_reference(env_, reference);
      napi_async_destroy(env_, context);
      napi_close_handle_scope(env_, scope);
    }
    delete this;
  }

  // Answers what is waiting. The next request often comes while the last ones are answered, or soon after a reply that was
  // ready. Meanwhile JavaScript makes the next ones ready, a few at a time. If time runs out, the loop comes back at once.
  void serve(int status) {
    const uint64_t startNs = uv_hrtime();
    for (int batches = 0;;) {
      size_t bytes = std::exchange(keptBytes_, 0);
      int error = std::exchange(keptError_, 0);
      if (error == 0) error = fill(&bytes);
      const bool isNothing = bytes == 0 && error == 0;
      if (isNothing && status < 0) error = EBADF;
      if (error != 0) close();
      if (error != 0 || bytes > 0 || sent_ >= kSentBeforeMore || hasWork_) deliver(bytes, error);
      else if (mayPoll()) yield();
      else break;
      if (error != 0) return;
      if (bytes > 0) ++batches;
      if (batches < kMostBatches && uv_hrtime() - startNs < kTurnNs) continue;
      // The kernel does not announce requests again that were read and are kept for the next batch.
      if (hasWork_ || keptBytes_ > 0 || keptError_ != 0 || mayPoll()) {
        uv_idle_start(&idle_, onIdle);
        return;
      }
      break;
    }
    uv_idle_stop(&idle_);
  }

  // True soon after a reply that was ready. On a busy machine polling takes the processor from the walk that it waits for.
  bool mayPoll() const {
    const uint64_t nowNs = uv_hrtime();
    return nowNs - repliedNs_ < kPollNs && nowNs >= restsUntilNs_;
  }

  void yield() {
    const uint64_t beforeNs = uv_hrtime();
    sched_yield();
    const uint64_t nowNs = uv_hrtime();
    if (nowNs - beforeNs > kBusyNs) restsUntilNs_ = nowNs + kRestNs;
  }

  // Reads the requests that are waiting and that JavaScript must answer, within the bounds. Returns an error number that
  // ends the connection, or 0.
  int fill(size_t* bytes) {
    int count = 0;
    for (int reads = 0; reads < kMostReads && count < kMostRequests && room_ - *bytes >= kLeastRoom; ++reads) {
      uint8_t* at = memory_ + *bytes;
      const ssize_t got = ::read(fd_, at, room_ - *bytes);
      if (got < 0) {
        if (errno == EAGAIN) return 0;
        if (errno == EINTR || errno == ENOENT) continue;
        return errno;
      }
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header)) || answered(at, static_cast<size_t>(got))) continue;
      *bytes += (static_cast<size_t>(got) + 7) & ~size_t{7};
      count += 1;
    }
    return 0;
  }

  // Passes a batch to JavaScript, or nothing if it has other work: the offset in the memory, the bytes, and the error that
  // ended the connection.
  void deliver(size_t bytes, int error) {
    sent_ = 0;
    hasWork_ = false;
    isBatchRead_ = bytes > 0;
    napi_handle_scope scope;
    if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
    napi_value receiver, callback, numbers[3], result = nullptr;
    if (napi_get_global(env_, &receiver) == napi_ok &&
        napi_get_reference_value(env_, references[kFunction], &callback) == napi_ok &&
        napi_create_double(env_, 0, &numbers[0]) == napi_ok &&
        napi_create_double(env_, static_cast<double>(bytes), &numbers[1]) == napi_ok &&
        napi_create_int32(env_, error, &numbers[2]) == napi_ok) {
      const napi_status status = napi_make_callback(env_, context, receiver, callback, 3, numbers, &result);
      napi_value thrown;
      if (status == napi_ok) {
        napi_get_value_bool(env_, result, &hasWork_);  // false if it is no truth value
      } else if (status == napi_pending_exception && napi_get_and_clear_last_exception(env_, &thrown) == napi_ok) {
        napi_fatal_exception(env_, thrown);
      }
    }
    napi_close_handle_scope(env_, scope);
    isBatchRead_ = false;
  }

  // Answers what needs no JavaScript. False if JavaScript must answer.
  bool answered(const uint8_t* request, size_t bytes) {
    fuse_in_header in;
    memcpy(&in, request, sizeof in);
    if (in.opcode == FUSE_READDIRPLUS && answeredReady(in, request, bytes)) return true;
    if (in.opcode == FUSE_READDIR || in.opcode == FUSE_READDIRPLUS) return answeredEnd(in, request, bytes);
    if (in.opcode == FUSE_READLINK) return answeredLink(in);
    return answeredAttribute(in, request, bytes);
  }

  // Answers for a symbolic link that was packed lately.
  bool answeredLink(const fuse_in_header& in) const {
    ReadyLink link;
    memcpy(&link, shared_.links + readyLinkAt(in.nodeid), sizeof link);
    if (in.nodeid == 0 || link.node != in.nodeid || link.bytes > kMostLinkTarget) return false;
    fuse_out_header head = {};
    head.unique = in.unique;
    head.len = static_cast<uint32_t>(sizeof head + link.bytes);
    const iovec parts[2] = {{&head, sizeof head}, {link.target, link.bytes}};
    return ::writev(fd_, parts, 2) >= 0 || errno == ENOENT;  // ENOENT: the request was interrupted
  }

  // Answers a request for a directory whose reply is ready. JavaScript counts the references when it sees that it was sent.
  bool answeredReady(const fuse_in_header& in, const uint8_t* request, size_t bytes) {
    fuse_read_in read;
    if (bytes < sizeof in + sizeof read) return false;
    memcpy(&read, request + sizeof in, sizeof read);
    if (read.offset != 0) return false;
    ReadyPage page;
    size_t at = 0;
    for (;; ++at) {
      if (at == kReadyPages) return false;
      memcpy(&page, shared_.ready + at * sizeof page, sizeof page);
      if (page.node == in.nodeid && page.state == kReady) break;
    }
    if (page.bytes < sizeof(fuse_out_header) || page.bytes > kReadyBytes) return false;
    if (page.bytes - sizeof(fuse_out_header) > read.size) return false;
    uint8_t* const reply = shared_.ready + kReadyPages * sizeof page + at * kReadyBytes;
    fuse_out_header head = {};
    head.unique = in.unique;
    head.len = page.bytes;
    memcpy(reply, &head, sizeof head);
    if (::write(fd_, reply, page.bytes) < 0) return errno == ENOENT;  // the request was interrupted
    page.state = kSent;
    memcpy(shared_.ready + at * sizeof page, &page, sizeof page);
    const ListingEnd end = {page.node, page.end};
    memcpy(shared_.ends + (page.node >> kEndShift) % kEnds * sizeof end, &end, sizeof end);
    sent_ += 1;
    repliedNs_ = uv_hrtime();
    return true;
  }

  // Answers a request for what follows the last entry of a directory: nothing.
  bool answeredEnd(const fuse_in_header& in, const uint8_t* request, size_t bytes) const {
    fuse_read_in read;
    if (bytes < sizeof in + sizeof read) return false;
    memcpy(&read, request + sizeof in, sizeof read);
    ListingEnd end;
    memcpy(&end, shared_.ends + (in.nodeid >> kEndShift) % kEnds * sizeof end, sizeof end);
    if (end.offset == 0 || end.node != in.nodeid || end.offset != read.offset) return false;
    fuse_out_header head = {};
    head.unique = in.unique;
    head.len = sizeof head;
    return ::write(fd_, &head, sizeof head) >= 0 || errno == ENOENT;  // ENOENT: the request was interrupted
  }

  // Answers a question for an attribute of an entry that has none. `ls -l` requests an ACL and a label of every file.
  bool answeredAttribute(const fuse_in_header& in, const uint8_t* request, size_t bytes) const {
    if ((in.nodeid & kBareNode) == 0 || bytes < sizeof in + sizeof(fuse_getxattr_in)) return false;
    struct {
      fuse_out_header head;
      fuse_getxattr_out size;
    } out = {};
    out.head.unique = in.unique;
    if (in.opcode == FUSE_GETXATTR) {
      // `ls` requests no more labels and ACLs where there are none, and the kernel keeps no answer about labels.
      const size_t nameAt = sizeof in + sizeof(fuse_getxattr_in);
      const size_t nameBytes = bytes - nameAt;
      const bool isLabel = nameBytes >= sizeof kLabel && memcmp(request + nameAt, kLabel, sizeof kLabel) == 0;
      const bool isAcl = nameBytes >= sizeof kAcl && memcmp(request + nameAt, kAcl, sizeof kAcl - 1) == 0;
      const bool isRefused = isLabel || (isAcl && (*shared_.answers & kNoAcls) != 0);
      out.head.error = isRefused ? -EOPNOTSUPP : -ENODATA;
      out.head.len = sizeof out.head;
    } else if (in.opcode == FUSE_LISTXATTR && (*shared_.answers & kNoAttributes) != 0) {
      out.head.error = -EOPNOTSUPP;
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

  napi_env env_;
  int fd_;
  uint8_t* memory_;
  size_t room_;
  Shared shared_;
  size_t sent_ = 0;          // ready replies since JavaScript was called
  bool hasWork_ = false;     // JavaScript can make more replies ready
  uint64_t repliedNs_ = 0;   // when the last ready reply was sent
  uint64_t restsUntilNs_ = 0;
  size_t keptBytes_ = 0;     // requests in the memory that JavaScript has not got
  int keptError_ = 0;        // what ended the connection after them
  bool isBatchRead_ = false; // JavaScript reads the memory
  bool isOver_ = false;
  static thread_local std::vector<Listener*> all_;
  uv_poll_t handle_ = {};
  uv_idle_t idle_ = {};
};

thread_local std::vector<Listener*> Listener::all_;

}  // namespace

// Answers the requests of a listener that are ready, while JavaScript makes others ready. Does nothing without a listener.
napi_value fuseAnswer(const Call& call) {
  if (Listener* const listener = Listener::of(call.fd(0))) listener->answerReady();
  return call.nothing();
}

// Calls a function with each batch of requests, which lies in `memory`, until the connection ends. The descriptor must
// stay open until then.
napi_value fuseListen(const Call& call) {
  napi_env env = call.env();
  const int fd = call.fd(0);
  const Bytes memory = call.bytes(1), answers = call.bytes(3), ends = call.bytes(4), ready = call.bytes(5);
  const Bytes links = call.bytes(6);
  const int flags = fcntl(fd, F_GETFL);
  if (memory.size < kLeastRoom || answers.size < 1 || ends.size < kEnds * sizeof(ListingEnd) ||
      ready.size < kReadyPages * (sizeof(ReadyPage) + kReadyBytes) || links.size < kReadyLinksBytes) {
    throw Failure{EINVAL, call.name()};
  }
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw Failure{errno, "fcntl"};
  const Shared shared = {answers.data, ends.data, ready.data, links.data};
  auto listener = std::make_unique<Listener>(env, fd, memory, shared);
  for (size_t kept = 1; kept <= kKept; ++kept) {
    napi_ref& reference = listener->references.emplace_back(nullptr);
    if (napi_create_reference(env, call.raw(kept), 1, &reference) != napi_ok) throw Failure{ENOMEM, call.name()};
  }
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "fuse", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, nullptr, name, &listener->context) != napi_ok || !listener.release()->start()) {
    throw Failure{ENOMEM, call.name()};
  }
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
