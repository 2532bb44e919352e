#pragma once
// Parameters into a request, for the two query protocols. Pure; any thread.
//
//   EC2:    ImageId.1=ami-1 & Filter.1.Name=state & Filter.1.Value.1=available
//   query:  PolicyArns.member.1.arn=...                 (STS, IAM, Auto Scaling)
//
// Lists may be sparse: Filter.1, Filter.2, Filter.10 give three elements in the order of their numbers. Parameters that
// the request does not know are ignored, for SDKs add some every week. Throws ApiError that names the parameter.

#include "wire/params.h"
#include "wire/table.h"

namespace kiln::wire {

enum class Lists { flattened, members };

void decode_query(const Params& params, Lists lists, const Type& type, void* request);

}  // namespace kiln::wire
