#pragma once
// The key management service: keys, aliases, policies, tags, and the few KiB that keys encrypt directly.

#include "services/service.h"

namespace kiln::services::kms {

Service service();

}  // namespace kiln::services::kms
