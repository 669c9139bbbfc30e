// Speaks the kernel's own FUSE protocol: requests in batches, and replies. No library is needed.
#include <linux/fuse.h>
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
#include "fuse-answers.h"
#include "fuse-turn.h"
#include "ready-files.h"
#include "ready-links.h"

namespace tardis::calls {

namespace {

constexpr int kMostRequests = 64;           // in one batch
constexpr int kMostBatches = 4;             // before other work of the process gets its turn
constexpr int kMostReads = 256;             // for one batch, if most requests are answered at once
constexpr size_t kKept = 6, kFunction = 1;  // arguments of `fuseListen` that must not be freed, and one of them
constexpr size_t kSentBeforeMore = 8;       // ready replies are sent before JavaScript makes more
constexpr size_t kWalk = 2;                 // ready replies in succession: a program walks through a tree
constexpr size_t kLongTurn = 8;             // after so many of the other thread, it goes on once the request is answered
constexpr uint64_t kTurnNs = 1'000'000;     // other work of the process gets its turn after that

// Reads requests in the thread of JavaScript whenever the kernel has some: another thread would have to wake that one for
// each request. While a program only requests listings and contents that are ready, another thread reads the requests and
// sends the replies, and JavaScript makes the next ones meanwhile. Any other request ends that turn.
class Listener : private TurnTaker {
 public:
  Listener(napi_env env, int fd, const Bytes& memory, const SharedAnswers& shared)
      : env_(env), fd_(fd), memory_(memory.data), room_(memory.size), answers_(fd, shared), turn_(fd, this) {}

  std::vector<napi_ref> references;  // to the memory, the function, and what is shared
  napi_async_context context = nullptr;

  // Returns the listener of a descriptor in this thread, or null.
  static Listener* of(int fd) {
    const auto found = std::find_if(all_.begin(), all_.end(), [fd](const Listener* one) { return one->fd_ == fd; });
    return found == all_.end() ? nullptr : *found;
  }

  // Answers what is ready, between pieces of work that JavaScript does. Keeps the other requests for the next batch.
  void answerReady() {
    if (isBatchRead_ || isOver_ || turn_.isTaken()) return;
    answerKeptOne();
    if (keptError_ == 0) keptError_ = fill(&keptBytes_);
    if (keptError_ != 0) isOver_ = true;
    if (keptBytes_ > 0 || keptError_ != 0) uv_idle_start(&idle_, onIdle);
  }

  void noteEnd(uint64_t node, uint64_t offset) {
    const auto lock = turn_.lock();
    answers_.noteEnd(node, offset);
  }

  void forget() {
    const auto lock = turn_.lock();
    answers_.forget();
  }

  // Returns false if the loop does not take the descriptor; then the listener is freed.
  bool start() {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env_, &loop) != napi_ok || uv_async_init(loop, &async_, onAsync) != 0) {
      finish();
      return false;
    }
    all_.push_back(this);
    uv_idle_init(loop, &idle_);
    open_ = 2;
    async_.data = idle_.data = poll_.data = this;
    const bool hasPoll = uv_poll_init(loop, &poll_, fd_) == 0;
    if (hasPoll) open_ += 1;
    if (hasPoll && napi_add_env_cleanup_hook(env_, onCleanup, this) == napi_ok && watch()) return true;
    close();
    return false;
  }

 private:
  static Listener* at(uv_handle_t* handle) { return static_cast<Listener*>(handle->data); }
  static void onReady(uv_poll_t* handle, int status, int) { static_cast<Listener*>(handle->data)->serve(status); }
  static void onIdle(uv_idle_t* handle) { static_cast<Listener*>(handle->data)->serve(0); }
  static void onAsync(uv_async_t* handle) { static_cast<Listener*>(handle->data)->wakened(); }
  static void onCleanup(void* listener) { static_cast<Listener*>(listener)->turn_.end(); }

  static void onClosed(uv_handle_t* handle) {
    Listener* const listener = static_cast<Listener*>(handle->data);
    if (--listener->open_ == 0) listener->finish();
  }

  void close() {
    turn_.end();
    all_.erase(std::remove(all_.begin(), all_.end(), this), all_.end());
    napi_remove_env_cleanup_hook(env_, onCleanup, this);
    uv_close(reinterpret_cast<uv_handle_t*>(&async_), onClosed);
    uv_close(reinterpret_cast<uv_handle_t*>(&idle_), onClosed);
    if (open_ == kHandles) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), onClosed);
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

  // Lets the loop call this listener when there are requests. Returns false if it does not.
  bool watch() {
    if (!isWatched_) isWatched_ = uv_poll_start(&poll_, UV_READABLE, onReady) == 0;
    return isWatched_;
  }

  // Lets the other thread read.
  void handOver() {
    uv_poll_stop(&poll_);
    isWatched_ = false;
    ready_ = turnReady_ = sent_ = 0;
    mayHandOver_ = turn_.start();
  }

  // The other thread has sent some replies, or its turn has ended.
  void wakened() {
    hasWork_ = true;
    serve(0);
  }

  // Answers what is waiting. The next request often comes while the last ones are answered. Meanwhile JavaScript makes
  // replies ready, a few at a time. If time runs out, the loop comes back at once.
  void serve(int status) {
    const uint64_t startNs = uv_hrtime();
    for (int batches = 0; batches < kMostBatches && uv_hrtime() - startNs < kTurnNs;) {
      size_t bytes = 0;
      int error = 0;
      const bool isTheirs = turn_.isTaken();
      if (!isTheirs) {
        error = next(&bytes, status);
        if (error != 0) close();
      }
      const bool isNothing = bytes == 0 && error == 0;
      if (isNothing && !isTheirs && isWalk() && mayHandOver_) {
        hasWork_ = true;
        handOver();
      } else if (!isNothing || hasWork_ || (!isTheirs && sent_ >= kSentBeforeMore)) {
        deliver(bytes, error);
      } else {
        uv_idle_stop(&idle_);
        return;
      }
      if (error != 0) return;
      if (bytes > 0) ++batches;
    }
    // The kernel does not announce requests again that were read and are kept for the next batch.
    uv_idle_start(&idle_, onIdle);
  }

  bool isWalk() const { return ready_ >= kWalk || turnReady_ >= kLongTurn; }

  // Answers the request that the other thread kept, if its reply is ready by now. Must be called before others are kept
  // behind it: they are to stay.
  void answerKeptOne() {
    if (std::exchange(isKeptOne_, false) && isAnswered(memory_, keptBytes_)) keptBytes_ = 0;
  }

  // Takes the requests that were kept, and those that are waiting. Returns an error number that ends the connection, or 0.
  int next(size_t* bytes, int status) {
    answerKeptOne();
    *bytes = std::exchange(keptBytes_, 0);
    int error = std::exchange(keptError_, 0);
    if (error == 0) error = fill(bytes);
    if (error == 0 && *bytes == 0 && (status < 0 || !watch())) error = EBADF;
    return error;
  }

  // Reads the requests that are waiting and that JavaScript must answer, within the bounds. Returns an error number that
  // ends the connection, or 0.
  int fill(size_t* bytes) {
    int count = 0;
    for (int reads = 0; reads < kMostReads && count < kMostRequests && room_ - *bytes >= kRequestBytes; ++reads) {
      uint8_t* at = memory_ + *bytes;
      const ssize_t got = ::read(fd_, at, room_ - *bytes);
      if (got < 0) {
        if (errno == EAGAIN) return 0;
        if (errno == EINTR || errno == ENOENT) continue;
        return errno;
      }
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header)) || isAnswered(at, static_cast<size_t>(got))) continue;
      *bytes += aligned(got);
      count += 1;
    }
    return 0;
  }

  static size_t aligned(ssize_t bytes) { return (static_cast<size_t>(bytes) + 7) & ~size_t{7}; }

  // Answers a request without JavaScript. Counts the ready replies that follow one another.
  bool isAnswered(const uint8_t* request, size_t bytes) {
    const Answered answered = answers_.answer(request, bytes);
    if (answered == Answered::kNo) ready_ = 0;
    if (answered != Answered::kReady) return answered == Answered::kYes;
    ready_ += 1;
    sent_ += 1;
    return true;
  }

  // Called by the other thread. Wakes this one when it can make more ready.
  bool take(const uint8_t* request, ssize_t got) override {
    if (got < 0) keptError_ = got == -EAGAIN ? 0 : static_cast<int>(-got);
    if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) return false;
    turnReady_ = std::max(turnReady_, ready_);
    if (!isAnswered(request, static_cast<size_t>(got))) {
      memcpy(memory_, request, static_cast<size_t>(got));
      keptBytes_ = aligned(got);
      isKeptOne_ = true;
      return false;
    }
    if (sent_ >= kSentBeforeMore) {
      sent_ = 0;
      uv_async_send(&async_);
    }
    return true;
  }

  void turnEnded() override { uv_async_send(&async_); }

  // Passes a batch to JavaScript, or nothing if it has other work: the offset in the memory, the bytes, and the error that
  // ended the connection.
  void deliver(size_t bytes, int error) {
    if (!turn_.isTaken()) sent_ = 0;
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

  static constexpr int kHandles = 3;

  napi_env env_;
  int fd_;
  uint8_t* memory_;
  size_t room_;
  Answers answers_;
  // State of the thread that reads, handed over with a turn.
  size_t ready_ = 0;        // ready replies in succession
  size_t turnReady_ = 0;    // as many in the last turn of the other thread
  size_t sent_ = 0;         // ready replies since JavaScript was called
  size_t keptBytes_ = 0;    // requests in the memory that JavaScript has not got
  int keptError_ = 0;       // what ended the connection after them
  bool isKeptOne_ = false;  // they are one that the other thread read
  FuseTurn turn_;
  bool hasWork_ = false;      // JavaScript can make more replies ready
  bool mayHandOver_ = true;
  bool isWatched_ = false;
  bool isBatchRead_ = false;  // JavaScript reads the memory
  bool isOver_ = false;
  int open_ = 0;  // handles that are not closed
  static thread_local std::vector<Listener*> all_;
  uv_poll_t poll_ = {};
  uv_idle_t idle_ = {};
  uv_async_t async_ = {};
};

thread_local std::vector<Listener*> Listener::all_;

// Returns a node id of two halves.
uint64_t nodeOf(const Call& call, int low) {
  return (static_cast<uint64_t>(call.bits(low + 1)) << 32) | call.bits(low);
}

}  // namespace

// Answers the requests of a listener that are ready, while JavaScript makes others ready. Does nothing without a listener.
napi_value fuseAnswer(const Call& call) {
  if (Listener* const listener = Listener::of(call.fd(0))) listener->answerReady();
  return call.nothing();
}

// Notes for a listener that the listing of a directory ends at an offset. Does nothing without a listener.
napi_value fuseNoteEnd(const Call& call) {
  const uint64_t node = nodeOf(call, 1);
  if (Listener* const listener = Listener::of(call.fd(0))) listener->noteEnd(node, call.count(3));
  return call.nothing();
}

// Forgets ends of listings and links of a listener. Does nothing without a listener.
napi_value fuseForget(const Call& call) {
  if (Listener* const listener = Listener::of(call.fd(0))) listener->forget();
  return call.nothing();
}

// Calls a function with each batch of requests, which lies in `memory`, until the connection ends. The descriptor must
// stay open until then.
napi_value fuseListen(const Call& call) {
  napi_env env = call.env();
  const int fd = call.fd(0);
  const Bytes memory = call.bytes(1), answers = call.bytes(3), ready = call.bytes(4), links = call.bytes(5), files = call.bytes(6);
  const int flags = fcntl(fd, F_GETFL);
  const bool isAligned = reinterpret_cast<uintptr_t>(ready.data) % alignof(ReadyPage) == 0 &&
                         reinterpret_cast<uintptr_t>(files.data) % alignof(ReadyFile) == 0;
  if (memory.size < kRequestBytes || answers.size < 1 || ready.size < kReadyTableBytes || !isAligned ||
      links.size < kReadyLinksBytes || files.size < kReadyFilesBytes) {
    throw Failure{EINVAL, call.name()};
  }
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw Failure{errno, "fcntl"};
  auto listener = std::make_unique<Listener>(env, fd, memory, SharedAnswers{answers.data, ready.data, links.data, files.data});
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
