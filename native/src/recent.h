// The table of recent digests that threads share without a lock (src/workers/recent-digests.ts). It may forget a digest, but never
// contains one that was not added: all 32 bytes must be equal, so a torn write matches nothing.
#pragma once

#include "call.h"
#include "row.h"

namespace tardis {

class RecentDigests {
 public:
  // Throws EINVAL unless the bytes are such a table: a header, then a power of two of places for digests.
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
