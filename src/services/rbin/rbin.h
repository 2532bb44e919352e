#pragma once
// Recycle Bin, version 2021-06-15: the rules by which deleted images and snapshots are kept. What is kept is listed and
// restored by EC2's operations.

#include "services/service.h"

namespace kiln::services::rbin {

Service service();

}  // namespace kiln::services::rbin
