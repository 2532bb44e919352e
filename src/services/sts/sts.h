#pragma once
// AWS Security Token Service, version 2011-06-15: who am I, and temporary credentials. It has no region and no state.

#include "services/service.h"

namespace kiln::services::sts {

Service service();

}  // namespace kiln::services::sts
