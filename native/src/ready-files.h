// Contents of files that are decoded before their requests come. JavaScript shares the memory of this table with the
// addon, which answers from it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tardis {

constexpr size_t kReadyFiles = 256;
constexpr size_t kReadyFileBytes = 2 << 20;  // room for the contents of all rows

// A row of the table: a whole content, which is `bytes` bytes at `at` behind the table. JavaScript fills a row that is
// free. A thread that sends a part of a content owns its row meanwhile, so that JavaScript cannot take it back.
struct ReadyFile {
  // `kSent`: sent to its end; `kDropped`: JavaScript has dropped it while it is sent
  enum State : uint32_t { kFree, kReady, kSent, kSending, kDropped };

  uint32_t nodeLow, nodeHigh;
  uint32_t at, bytes;
  uint32_t state, unused;
};

constexpr size_t kReadyFilesBytes = kReadyFiles * sizeof(ReadyFile) + kReadyFileBytes;

}  // namespace tardis
