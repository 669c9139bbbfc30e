// Looks up and adds recent digests. JavaScript uses the same memory in the same way, by its Atomics.
#include "recent.h"

namespace tardis {

namespace {

int32_t wordOf(const uint8_t* digest, size_t index) {
  int32_t word;
  memcpy(&word, digest + index * sizeof word, sizeof word);
  return word;
}

int32_t load(const int32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

}  // namespace

RecentDigests::RecentDigests(const Bytes& table, const char* call)
    : words_(reinterpret_cast<int32_t*>(table.data)), places_(table.size / kDigestBytes - 1) {
  const bool isTable = table.size >= 2 * kDigestBytes && table.size % kDigestBytes == 0 &&
                       (places_ & (places_ - 1)) == 0 && places_ <= UINT32_MAX &&
                       reinterpret_cast<uintptr_t>(table.data) % alignof(int32_t) == 0;
  if (!isTable) throw Failure{EINVAL, call, nullptr, "this is no table of digests"};
}

bool RecentDigests::has(const uint8_t* digest) const {
  const auto home = static_cast<uint32_t>(wordOf(digest, 1));
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    const int32_t* at = place(home + probe);
    const int32_t first = load(at);
    if (first == 0) return false;
    if (first != wordOf(digest, 0)) continue;
    size_t equal = 1;
    while (equal < kWords && load(at + equal) == wordOf(digest, equal)) ++equal;
    if (equal == kWords) return true;
  }
  return false;
}

void RecentDigests::add(const uint8_t* digest) const {
  const int32_t first = wordOf(digest, 0);
  if (first == 0) return;  // 0 marks an empty place, so such a digest is never remembered
  const auto home = static_cast<uint32_t>(wordOf(digest, 1));
  int32_t* at = place(home);
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    int32_t empty = 0;
    if (__atomic_compare_exchange_n(place(home + probe), &empty, first, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      at = place(home + probe);
      break;
    }
  }
  __atomic_store_n(at, first, __ATOMIC_SEQ_CST);
  for (size_t word = 1; word < kWords; ++word) __atomic_store_n(at + word, wordOf(digest, word), __ATOMIC_SEQ_CST);
  __atomic_fetch_add(words_, 1, __ATOMIC_SEQ_CST);
}

}  // namespace tardis
