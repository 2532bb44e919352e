#include "services/identify.h"

#include <algorithm>

namespace kiln::services {
namespace {

bool is_json(const http::Request& request) {
  const auto type = request.header("content-type").value_or("");
  return type.starts_with("application/x-amz-json") || type.starts_with("application/json");
}

struct StatusOfCode {
  std::string_view code;
  int status;
};

// "Error codes for the Amazon EC2 API": the server errors, and the client errors that are not 400.
constexpr StatusOfCode statuses[] = {
    {"AuthFailure", 401},
    {"UnauthorizedOperation", 403},
    {"DryRunOperation", 412},
    {"InternalError", 500},
    {"InternalFailure", 500},
    {"InsufficientInstanceCapacity", 500},
    {"InsufficientVolumeCapacity", 500},
    {"InsufficientCapacity", 500},
    {"RequestLimitExceeded", 503},
    {"ServiceUnavailable", 503},
    {"Unavailable", 503},
};

}  // namespace

wire::Params read_params(const http::Request& request) {
  if (request.header("x-amz-target") || is_json(request)) return {};
  const bool from_query = request.method != "POST" || request.body.empty();
  return wire::Params::parse(from_query ? request.query : request.body);
}

std::string action_of(const http::Request& request, const wire::Params& params) {
  if (const auto target = request.header("x-amz-target")) {
    return std::string(target->substr(std::min(target->size(), target->find('.') + 1)));
  }
  return std::string(params.find("Action").value_or(""));
}

const Service* identify_service(const std::vector<Service>& services, const http::Request& request,
                                const std::optional<wire::Claim>& claim, const wire::Params& params) {
  const auto by = [&](auto matches) -> const Service* {
    const auto found = std::find_if(services.begin(), services.end(), matches);
    return found == services.end() ? nullptr : &*found;
  };
  if (claim) return by([&](const Service& s) { return s.name == claim->service; });
  const std::string_view host = request.header("host").value_or("");
  if (const auto* s = by([&](const Service& one) { return one.name == host.substr(0, host.find('.')); })) return s;
  const std::string_view target = request.header("x-amz-target").value_or("");
  const auto has_target = [&](const Service& s) {
    return !s.target.empty() && s.target == target.substr(0, target.find('.'));
  };
  if (const auto* s = by(has_target)) return s;
  const auto version = params.find("Version");
  if (const auto* s = by([&](const Service& one) { return version == one.version; })) return s;
  return by([](const Service& s) { return s.name == "ec2"; });
}

wire::Dialect fallback_dialect(const http::Request& request) {
  const auto authorization = request.header("authorization").value_or("");
  if (authorization.find("/ebs/aws4_request") != std::string_view::npos ||
      authorization.find("/rbin/aws4_request") != std::string_view::npos) {
    return {.protocol = wire::Protocol::rest_json};
  }
  if (is_json(request)) return {.protocol = wire::Protocol::json_1_1};
  return {.protocol = wire::Protocol::query, .xml_namespace = "http://webservices.amazon.com/AWSFault/2005-15-09"};
}

int status_of(const std::string& code, int status) {
  if (status != 400) return status;
  for (const auto& known : statuses) {
    if (known.code == code) return known.status;
  }
  return status;
}

}  // namespace kiln::services
