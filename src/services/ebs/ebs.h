#pragma once
// The EBS direct APIs, 2019-11-02: blocks of snapshots over HTTP, in rest-json.

#include "services/service.h"

namespace kiln::services::ebs {

Service service();

}  // namespace kiln::services::ebs
