#pragma once
// The families of the Recycle Bin's files; each is described in its own .cc.

#include <vector>

#include "services/service.h"

namespace kiln::services::rbin {

std::vector<control::Asked> asked(const AtDoor& request);

}  // namespace kiln::services::rbin
