#pragma once
// How the EBS direct APIs refuse: one exception each, with a finer reason. "Errors" of their reference. Any thread.

#include <string>

#include "base/api_error.h"

namespace kiln::control {

// ValidationException. reason: INVALID_BLOCK, INVALID_SNAPSHOT_ID, INVALID_PARAMETER_VALUE, ...
[[noreturn]] inline void refuse_ebs(const std::string& why, const std::string& reason) {
  throw base::ApiError("ValidationException", why, 400, reason);
}

// Of another account too: who may not see a snapshot does not learn that it is there.
[[noreturn]] inline void refuse_ebs_unknown(const std::string& snapshot_id) {
  throw base::ApiError("ResourceNotFoundException", "The snapshot '" + snapshot_id + "' does not exist.", 404,
                       "SNAPSHOT_NOT_FOUND");
}

}  // namespace kiln::control
