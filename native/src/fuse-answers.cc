#include "fuse-answers.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ready-files.h"
#include "ready-links.h"

namespace tardis {

namespace {

constexpr uint64_t kBareNode = uint64_t{1} << 62;  // in node ids of entries without attributes
constexpr char kLabel[] = "security.selinux";
constexpr char kAcl[] = "system.posix_acl_";
constexpr uint8_t kNoAcls = 1;  // bits of the answers about entries without attributes
constexpr uint8_t kNoAttributes = 2;
constexpr int kEndShift = 24;  // node ids of directories differ from this bit on

// True if a page is that of a directory, and a reply with it has room.
bool fits(const ReadyPage& page, const fuse_in_header& in, const fuse_read_in& read) {
  const auto word = [](const uint32_t& field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); };
  const uint32_t bytes = word(page.bytes);
  return word(page.nodeLow) == static_cast<uint32_t>(in.nodeid) &&
         word(page.nodeHigh) == static_cast<uint32_t>(in.nodeid >> 32) && bytes >= sizeof(fuse_out_header) &&
         bytes <= kReadyBytes && bytes - sizeof(fuse_out_header) <= read.size;
}

// True if a content is that of a file.
bool isOf(const ReadyFile& file, const fuse_in_header& in) {
  return __atomic_load_n(&file.nodeLow, __ATOMIC_RELAXED) == static_cast<uint32_t>(in.nodeid) &&
         __atomic_load_n(&file.nodeHigh, __ATOMIC_RELAXED) == static_cast<uint32_t>(in.nodeid >> 32);
}

size_t endAt(uint64_t node) { return (node >> kEndShift) % kListingEnds; }

// True if the reply was written, or if the request was interrupted, so that none is awaited.
bool isSent(ssize_t written) { return written >= 0 || errno == ENOENT; }

}  // namespace

Answered Answers::answer(const uint8_t* request, size_t bytes) {
  fuse_in_header in;
  if (bytes < sizeof in) return Answered::kNo;
  memcpy(&in, request, sizeof in);
  bool isAnswered = false;
  if (in.opcode == FUSE_READ || in.opcode == FUSE_READDIR || in.opcode == FUSE_READDIRPLUS) {
    fuse_read_in read;
    if (bytes < sizeof in + sizeof read) return Answered::kNo;
    memcpy(&read, request + sizeof in, sizeof read);
    if (in.opcode == FUSE_READ) return answerFile(in, read) ? Answered::kReady : Answered::kNo;
    if (in.opcode == FUSE_READDIRPLUS && answerReady(in, read)) return Answered::kReady;
    isAnswered = answerEnd(in, read);
  } else if (in.opcode == FUSE_READLINK) {
    isAnswered = answerLink(in);
  } else {
    isAnswered = answerAttribute(in, request, bytes);
  }
  return isAnswered ? Answered::kYes : Answered::kNo;
}

void Answers::noteEnd(uint64_t node, uint64_t offset) { ends_[endAt(node)] = {node, offset}; }

void Answers::forget() {
  ends_ = {};
  forgetLinks(shared_.links);
}

// Answers for a symbolic link that was packed lately.
bool Answers::answerLink(const fuse_in_header& in) const {
  ReadyLink link;
  if (!findLink(shared_.links, in.nodeid, &link)) return false;
  fuse_out_header head = {};
  head.unique = in.unique;
  head.len = static_cast<uint32_t>(sizeof head + link.bytes);
  const iovec parts[2] = {{&head, sizeof head}, {link.target, link.bytes}};
  return isSent(::writev(fd_, parts, 2));
}

// Answers a request for a directory whose reply is ready. JavaScript counts the references when it sees that it was sent.
bool Answers::answerReady(const fuse_in_header& in, const fuse_read_in& read) {
  if (read.offset != 0) return false;
  const auto* const pages = reinterpret_cast<ReadyPage*>(shared_.ready);
  for (size_t index = 0; index < kReadyPages; ++index) {
    const bool isReady = __atomic_load_n(&pages[index].state, __ATOMIC_ACQUIRE) == ReadyPage::kReady;
    if (isReady && fits(pages[index], in, read)) return sendReady(in, read, index);
  }
  return false;
}

// Sends a reply, unless JavaScript takes it back or has filled it with another directory meanwhile. A reply that is taken
// and not sent is free afterwards.
bool Answers::sendReady(const fuse_in_header& in, const fuse_read_in& read, size_t index) {
  ReadyPage& page = reinterpret_cast<ReadyPage*>(shared_.ready)[index];
  uint32_t state = ReadyPage::kReady;
  if (!__atomic_compare_exchange_n(&page.state, &state, uint32_t{ReadyPage::kSending}, false, __ATOMIC_ACQUIRE,
                                   __ATOMIC_RELAXED)) {
    return false;
  }
  ssize_t written = -1;
  errno = EAGAIN;
  if (fits(page, in, read)) {
    uint8_t* const reply = shared_.ready + kReadyPages * sizeof page + index * kReadyBytes;
    fuse_out_header head = {};
    head.unique = in.unique;
    head.len = page.bytes;
    memcpy(reply, &head, sizeof head);
    written = ::write(fd_, reply, page.bytes);
  }
  if (written >= 0) noteEnd(in.nodeid, page.end);
  const uint32_t next = written >= 0 ? ReadyPage::kSent : ReadyPage::kFree;
  const bool isDone = isSent(written);
  __atomic_store_n(&page.state, next, __ATOMIC_RELEASE);
  return isDone;
}

// Answers a request for a part of a file whose content is ready.
bool Answers::answerFile(const fuse_in_header& in, const fuse_read_in& read) const {
  const auto* const files = reinterpret_cast<ReadyFile*>(shared_.files);
  for (size_t index = 0; index < kReadyFiles; ++index) {
    const bool isReady = __atomic_load_n(&files[index].state, __ATOMIC_ACQUIRE) == ReadyFile::kReady;
    if (isReady && isOf(files[index], in)) return sendFile(in, read, index);
  }
  return false;
}

// Sends a part of a content, unless JavaScript takes the content back or has filled its row with another one meanwhile. A
// content that was not sent to its end stays ready.
bool Answers::sendFile(const fuse_in_header& in, const fuse_read_in& read, size_t index) const {
  ReadyFile& file = reinterpret_cast<ReadyFile*>(shared_.files)[index];
  uint32_t state = ReadyFile::kReady;
  if (!__atomic_compare_exchange_n(&file.state, &state, uint32_t{ReadyFile::kSending}, false, __ATOMIC_ACQUIRE,
                                   __ATOMIC_RELAXED)) {
    return false;
  }
  ssize_t written = -1;
  bool isEnd = false;
  errno = EAGAIN;
  const size_t at = file.at, bytes = file.bytes;
  if (isOf(file, in) && at <= kReadyFileBytes && bytes <= kReadyFileBytes - at) {
    const size_t from = std::min<uint64_t>(read.offset, bytes);
    const size_t count = std::min<size_t>(read.size, bytes - from);
    isEnd = from + count == bytes;
    fuse_out_header head = {};
    head.unique = in.unique;
    head.len = static_cast<uint32_t>(sizeof head + count);
    uint8_t* const data = shared_.files + kReadyFiles * sizeof file + at + from;
    const iovec parts[2] = {{&head, sizeof head}, {data, count}};
    written = ::writev(fd_, parts, 2);
  }
  const bool isDone = isSent(written);
  const uint32_t next = written >= 0 && isEnd ? ReadyFile::kSent : ReadyFile::kReady;
  state = ReadyFile::kSending;
  if (!__atomic_compare_exchange_n(&file.state, &state, next, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    __atomic_store_n(&file.state, uint32_t{ReadyFile::kFree}, __ATOMIC_RELEASE);  // dropped meanwhile
  }
  return isDone;
}

// Answers a request for what follows the last entry of a directory: nothing.
bool Answers::answerEnd(const fuse_in_header& in, const fuse_read_in& read) const {
  const ListingEnd& end = ends_[endAt(in.nodeid)];
  if (end.offset == 0 || end.node != in.nodeid || end.offset != read.offset) return false;
  fuse_out_header head = {};
  head.unique = in.unique;
  head.len = sizeof head;
  return isSent(::write(fd_, &head, sizeof head));
}

// Answers a question for an attribute of an entry that has none. `ls -l` requests an ACL and a label of every file.
bool Answers::answerAttribute(const fuse_in_header& in, const uint8_t* request, size_t bytes) const {
  if ((in.nodeid & kBareNode) == 0 || bytes < sizeof in + sizeof(fuse_getxattr_in)) return false;
  const uint8_t answers = __atomic_load_n(shared_.answers, __ATOMIC_RELAXED);
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
    const bool isRefused = isLabel || (isAcl && (answers & kNoAcls) != 0);
    out.head.error = isRefused ? -EOPNOTSUPP : -ENODATA;
    out.head.len = sizeof out.head;
  } else if (in.opcode == FUSE_LISTXATTR && (answers & kNoAttributes) != 0) {
    out.head.error = -EOPNOTSUPP;
    out.head.len = sizeof out.head;
  } else if (in.opcode == FUSE_LISTXATTR) {
    fuse_getxattr_in wanted;
    memcpy(&wanted, request + sizeof in, sizeof wanted);
    out.head.len = wanted.size == 0 ? sizeof out : sizeof out.head;
  } else {
    return false;
  }
  return isSent(::write(fd_, &out, out.head.len));
}

}  // namespace tardis
