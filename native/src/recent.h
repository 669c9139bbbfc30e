// The table of recent digests, which threads share without a lock (src/workers/recent-digests.ts). It may lose a
// digest, but never has one that was not added: a look-up compares all 32 bytes, so a digest that is half written
// matches nothing.
#pragma once

#include "call.h"
#include "row.h"

namespace tardis {

class RecentDigests {
 public:
  // Uses the bytes as a table. Throws EINVAL unless they are a header followed by places for digests, whose number must
  // be a power of two.
  RecentDigests(const Bytes& table, const char* call);

  bool has(const uint8_t* digest) const;
  void add(const uint8_t* digest) const;

 private:
  static constexpr size_t kWords = kDigestBytes / sizeof(int32_t);
  static constexpr size_t kProbes = 8;

  int32_t* place(uint32_t number) const { return words_ + kWords + (number & (places_ - 1)) * kWords; }

  int32_t* words_;
  size_t places_;
};

}  // namespace tardis
