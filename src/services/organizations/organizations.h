#pragma once
// Organizations: accounts under one that manages them, in units; what images are shared with.

#include "services/service.h"

namespace kiln::services::organizations {

Service service();

}  // namespace kiln::services::organizations
