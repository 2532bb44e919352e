#pragma once
// AWS Identity and Access Management, version 2010-05-08: users, groups, roles, instance profiles, their keys and
// policies. It has no region.

#include "services/service.h"

namespace kiln::services::iam {

Service service();

}  // namespace kiln::services::iam
