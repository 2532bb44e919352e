#pragma once
// What RunInstances is asked for when all names in it have been looked up: the launch template whose parameters stand
// where the request says nothing, and the image that a parameter names.
//
// At the door policies judge what the names stand for. What they stand for can change before the launch, so the handler
// looks them up once more, is authorised for that, and launches exactly it.

#include "catalog/database.h"
#include "control/principal.h"
#include "control/region.h"
#include "wire/params.h"

namespace kiln::services::ec2 {

// Whether there is anything to look up.
bool has_names(const wire::Params& sent);
// The same request without names; of a template its id and the number of its version are left. Throws what
// find_template() throws (launch_templates.h), SsmInvalidParameter, and SsmAccessDenied unless the caller may read the
// parameter. Done twice it is as done once.
wire::Params look_up_names(catalog::Txn& txn, const control::Region& region, const control::Principal& caller,
                           const wire::Params& sent);

}  // namespace kiln::services::ec2
