#pragma once
// Amazon EC2, version 2016-11-15: the collection of its families' tables.

#include "services/service.h"

namespace kiln::services::ec2 {

Service service();

}  // namespace kiln::services::ec2
