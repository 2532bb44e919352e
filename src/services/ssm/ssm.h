#pragma once
// Systems Manager, of which there are parameters: named values with versions, labels and tags, some of them secret.

#include "services/service.h"

namespace kiln::services::ssm {

Service service();

}  // namespace kiln::services::ssm
