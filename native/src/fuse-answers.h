// Answers requests of the kernel that need no JavaScript. Each listener has one; the thread that reads requests uses it.
#pragma once

#include <linux/fuse.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace tardis {

constexpr size_t kRequestBytes = 16 * 1024;  // room for one; no request of a read-only file system is longer
constexpr size_t kListingEnds = 64;        // listings whose ends are known
constexpr size_t kReadyPages = 256;        // replies that are ready before their requests
constexpr size_t kReadyBytes = 16 * 1024;  // of each of them

// A reply to READDIRPLUS from the begin of a directory to its end, which lies beside this table. JavaScript fills one that
// is free. A thread that sends one owns it meanwhile, so that JavaScript cannot take it back.
struct ReadyPage {
  enum State : uint32_t { kFree, kReady, kSent, kSending };

  uint32_t nodeLow, nodeHigh;
  uint32_t bytes, state;
  uint64_t end;
};

constexpr size_t kReadyTableBytes = kReadyPages * (sizeof(ReadyPage) + kReadyBytes);

// Memory that the addon and JavaScript share: answers about entries without attributes, replies that are ready, and targets
// of links.
struct SharedAnswers {
  uint8_t *answers, *ready, *links;
};

enum class Answered { kNo, kYes, kListing };  // `kListing`: with a reply that was ready

class Answers {
 public:
  Answers(int fd, const SharedAnswers& shared) : fd_(fd), shared_(shared) {}

  // Answers what needs no JavaScript. `kNo` if JavaScript must answer.
  Answered answer(const uint8_t* request, size_t bytes);

  // Notes that the listing of a directory ends at an offset.
  void noteEnd(uint64_t node, uint64_t offset);

  // Forgets ends of listings, and links.
  void forget();

 private:
  // The end of a listing: the kernel sends one more request for what follows it. An offset of 0 is none.
  struct ListingEnd {
    uint64_t node, offset;
  };

  bool answerReady(const fuse_in_header& in, const fuse_read_in& read);
  bool sendReady(const fuse_in_header& in, const fuse_read_in& read, size_t index);
  bool answerEnd(const fuse_in_header& in, const fuse_read_in& read) const;
  bool answerLink(const fuse_in_header& in) const;
  bool answerAttribute(const fuse_in_header& in, const uint8_t* request, size_t bytes) const;

  int fd_;
  SharedAnswers shared_;
  std::array<ListingEnd, kListingEnds> ends_ = {};
};

}  // namespace tardis
