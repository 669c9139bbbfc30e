// Targets of symbolic links that were packed lately. The addon answers from this table, which it shares with JavaScript.
#pragma once

#include <cstdint>
#include <cstring>

#include "call.h"

namespace tardis {

constexpr size_t kReadyLinks = 256;
constexpr size_t kMostLinkTarget = 244;  // a longer target is left to JavaScript

// A target of `bytes` bytes; a node of 0 is none.
struct ReadyLink {
  uint64_t node;
  uint32_t bytes;
  uint8_t target[kMostLinkTarget];
};
static_assert(sizeof(ReadyLink) == 256);

constexpr size_t kReadyLinksBytes = kReadyLinks * sizeof(ReadyLink);

// Links of one directory have successive places.
inline size_t readyLinkAt(uint64_t node) { return ((node >> 24) * 37 + node) % kReadyLinks * sizeof(ReadyLink); }

inline void noteLink(const Bytes& links, uint64_t node, const uint8_t* target, size_t bytes) {
  if (bytes == 0 || bytes > kMostLinkTarget) return;
  ReadyLink link = {node, static_cast<uint32_t>(bytes), {}};
  memcpy(link.target, target, bytes);
  memcpy(links.data + readyLinkAt(node), &link, sizeof link);
}

}  // namespace tardis
