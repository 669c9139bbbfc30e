// SHA-256 by the instructions of x86 processors, of two inputs at once.
#pragma once

#include "digests.h"

namespace tardis {

// True if the processor has the instructions.
bool hasLanes();

// Computes the digest of each input. Requires `hasLanes`.
void digestInLanes(const ToDigest* inputs, size_t count);

}  // namespace tardis
