#pragma once
// The file FAILED of a volume: a sync of it has failed, so the page cache does not hold what was written to it.
//
// Written by the process that met the failure and read by the next one that opens the volume, which believes COMMITs
// only and, unless whoever opens it says that the disk is mended, refuses writes as the one before it did. The mark
// itself is not synced, on a disk whose syncs fail: it lives as long as the page cache does, and after another boot
// COMMITs are all that counts anyway. docs/formats/volume.md

#include <string>

#include "base/files.h"

namespace kiln::blocks {

base::Status write_failure_mark(base::Files& files, const base::Path& directory, const std::string& why);
// What was written in this boot; empty when nothing was.
base::Result<std::string> read_failure_mark(base::Files& files, const base::Path& directory);
base::Status remove_failure_mark(base::Files& files, const base::Path& directory);

}  // namespace kiln::blocks
