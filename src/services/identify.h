#pragma once
// Which service and which operation a request is for, before anything of it is trusted. Pure.

#include <optional>
#include <string>
#include <vector>

#include "http/message.h"
#include "services/service.h"
#include "wire/params.h"
#include "wire/sigv4.h"

namespace kiln::services {

// By the credential scope; else by the host's first label, X-Amz-Target, Version; else EC2. Null when the request is
// signed for a service that is not served.
const Service* identify_service(const std::vector<Service>& services, const http::Request& request,
                                const std::optional<wire::Claim>& claim, const wire::Params& params);

// The form that a POST has as its body, else the query string. Empty for JSON. Throws ApiError.
wire::Params read_params(const http::Request& request);

// Action, or what follows the dot of X-Amz-Target; empty when there is neither.
std::string action_of(const http::Request& request, const wire::Params& params);

// How to answer a request whose service is unknown: in JSON when it came in JSON.
wire::Dialect fallback_dialect(const http::Request& request);

// The HTTP status of an error code that says only 400: a few of AWS's codes have others.
int status_of(const std::string& code, int status);

}  // namespace kiln::services
