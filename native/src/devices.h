// Opens block devices whose contents are backed up.
#pragma once

#include "files.h"
#include "identity.h"

namespace tardis {

// Opens the block device that was listed under a name of an open directory, or to which a link of this name leads, for reading.
// The name is first opened without any effect on what it leads to. Throws EREPLACED for anything but the listed device.
Fd openDevice(int directory, const char* name, const Identity& identity, const char* call);

}  // namespace tardis
