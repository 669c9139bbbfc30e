// Answers those requests of the kernel that need no JavaScript. Each listener has one Answers, which the thread that
// reads requests uses.
#pragma once

#include <linux/fuse.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace tardis {

constexpr size_t kRequestBytes = 16 * 1024;  // room for one request; no request of a read-only file system is longer
constexpr size_t kListingEnds = 64;        // listings whose ends are known
constexpr size_t kReadyPages = 256;        // replies that are prepared before their requests come
constexpr size_t kReadyBytes = 16 * 1024;  // room for each prepared reply

// A row of the table of prepared replies. A prepared reply answers a READDIRPLUS request from the beginning of a
// directory to its end; the replies lie behind the table. JavaScript fills a row that is free. A thread that sends a
// reply owns its row meanwhile, so that JavaScript cannot take it back.
struct ReadyPage {
  enum State : uint32_t { kFree, kReady, kSent, kSending };

  uint32_t nodeLow, nodeHigh;
  uint32_t bytes, state;
  uint64_t end;
};

constexpr size_t kReadyTableBytes = kReadyPages * (sizeof(ReadyPage) + kReadyBytes);

// Memory that the addon and JavaScript share: answers about entries without attributes, prepared replies, targets of
// links, and contents of files.
struct SharedAnswers {
  uint8_t *answers, *ready, *links, *files;
};

enum class Answered { kNo, kYes, kReady };  // `kReady`: answered with a prepared reply or a prepared content

class Answers {
 public:
  Answers(int fd, const SharedAnswers& shared) : fd_(fd), shared_(shared) {}

  // Answers a request if it needs no JavaScript. Returns `kNo` if JavaScript must answer it.
  Answered answer(const uint8_t* request, size_t bytes);

  // Records that the listing of a directory ends at an offset.
  void noteEnd(uint64_t node, uint64_t offset);

  // Discards the ends of listings, and the targets of links.
  void forget();

 private:
  // The end of a listing. The kernel sends one more request, for the entries after it. An offset of 0 marks an unused
  // element.
  struct ListingEnd {
    uint64_t node, offset;
  };

  bool answerReady(const fuse_in_header& in, const fuse_read_in& read);
  bool sendReady(const fuse_in_header& in, const fuse_read_in& read, size_t index);
  bool answerFile(const fuse_in_header& in, const fuse_read_in& read) const;
  bool sendFile(const fuse_in_header& in, const fuse_read_in& read, size_t index) const;
  bool answerEnd(const fuse_in_header& in, const fuse_read_in& read) const;
  bool answerLink(const fuse_in_header& in) const;
  bool answerAttribute(const fuse_in_header& in, const uint8_t* request, size_t bytes) const;

  int fd_;
  SharedAnswers shared_;
  std::array<ListingEnd, kListingEnds> ends_ = {};
};

}  // namespace tardis
