// Targets of symbolic links that were packed recently. JavaScript shares the memory of this table with the addon, which
// answers READLINK from it.
#pragma once

#include <cstdint>
#include <cstring>
#include <mutex>

#include "call.h"

namespace tardis {

constexpr size_t kReadyLinks = 256;
constexpr size_t kMostLinkTarget = 244;  // a longer target is left to JavaScript

// A row of the table: the target of a link, of `bytes` bytes. A node of 0 marks an empty row.
struct ReadyLink {
  uint64_t node;
  uint32_t bytes;
  uint8_t target[kMostLinkTarget];
};
static_assert(sizeof(ReadyLink) == 256);

constexpr size_t kReadyLinksBytes = kReadyLinks * sizeof(ReadyLink);

// The lock for a table. A thread that uses a table locks it, since one thread packs links while another one answers.
inline std::mutex& linksMutex() {
  static std::mutex mutex;
  return mutex;
}

// Returns the offset of a node's row in the table. The nodes of one directory get successive rows.
inline size_t readyLinkAt(uint64_t node) { return ((node >> 24) * 37 + node) % kReadyLinks * sizeof(ReadyLink); }

inline void noteLink(const Bytes& links, uint64_t node, const uint8_t* target, size_t bytes) {
  if (bytes == 0 || bytes > kMostLinkTarget) return;
  ReadyLink link = {node, static_cast<uint32_t>(bytes), {}};
  memcpy(link.target, target, bytes);
  const std::lock_guard<std::mutex> lock(linksMutex());
  memcpy(links.data + readyLinkAt(node), &link, sizeof link);
}

// Returns false if the link of a node is not in the table.
inline bool findLink(const uint8_t* links, uint64_t node, ReadyLink* link) {
  const std::lock_guard<std::mutex> lock(linksMutex());
  memcpy(link, links + readyLinkAt(node), sizeof *link);
  return node != 0 && link->node == node && link->bytes <= kMostLinkTarget;
}

inline void forgetLinks(uint8_t* links) {
  const std::lock_guard<std::mutex> lock(linksMutex());
  memset(links, 0, kReadyLinksBytes);
}

}  // namespace tardis
