#include "services/dispatch.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "control/access.h"
#include "services/authentication.h"
#include "services/client_tokens.h"
#include "services/identify.h"
#include "wire/scalar.h"

namespace kiln::services {
namespace {

using base::ApiError;

// The request and the response of one operation, in the dialect of its service.
class DialectExchange final : public Exchange {
 public:
  DialectExchange(const wire::Dialect& dialect, const wire::Params& params, std::string_view body)
      : dialect_(dialect), params_(params), body_(body) {}

  void read(const wire::Type& type, void* request) override {
    wire::decode_request(dialect_, params_, body_, type, request);
    bool dry_run = false;
    const auto asked = dialect_.protocol == wire::Protocol::ec2 ? params_.find("DryRun") : std::nullopt;
    if (asked && !wire::parse_scalar(wire::Kind::boolean, *asked, &dry_run)) {
      throw ApiError("InvalidParameterValue", "Value (" + std::string(*asked) + ") for parameter DryRun is invalid.");
    }
    if (dry_run) throw ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412);
  }
  void write(const wire::Type& type, const void* response) override {
    content_ = wire::encode_content(dialect_, type, response);
  }
  const std::string& content() const { return content_; }

 private:
  const wire::Dialect& dialect_;
  const wire::Params& params_;
  const std::string_view body_;
  std::string content_;
};

http::Response to_http(wire::Reply reply, const std::string& request_id) {
  http::Response response{.status = reply.status, .headers = std::move(reply.headers), .body = std::move(reply.body)};
  response.headers.emplace_back("Content-Type", std::move(reply.content_type));
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace

// One request on its way through; what is known of it grows from top to bottom.
struct Dispatch::Incoming {
  http::Request& http;
  const std::string id = base::new_uuid();
  const wire::SignedParts parts{
      .method = http.method, .path = http.path, .query = http.query, .headers = http.headers};
  wire::Params params = {};
  std::string action = {};
  std::optional<wire::Claim> claim = {};
  const Service* service = nullptr;
  wire::Dialect dialect = fallback_dialect(http);
  control::Principal principal = {};
  std::string region = {};
};

Dispatch::Dispatch(const control::Regions& regions, catalog::Database& catalog, base::Clock& clock,
                   const std::vector<Service>& services)
    : regions_(regions), catalog_(catalog), clock_(clock), services_(services) {
  for (const Service& service : services_) {
    for (const auto table : service.tables) {
      for (const Operation& operation : table) operations_.emplace(std::pair(service.name, operation.name), &operation);
    }
  }
}

http::Response Dispatch::answer(http::Request& request) const {
  Incoming incoming{.http = request};
  wire::Failure failure;
  wire::Reply reply;
  try {
    reply = serve(incoming);
  } catch (const ApiError& error) {
    failure = {error.code(), error.what(), status_of(error.code(), error.http_status())};
  } catch (const std::exception& error) {
    base::log_error("dispatch", "{} {}: {}", incoming.id, incoming.action, error.what());
    failure = {"InternalError", "An internal error has occurred. Request id: " + incoming.id, 500};
  }
  if (!failure.code.empty()) reply = wire::failure(incoming.dialect, incoming.id, failure);
  control::audit({.request_id = incoming.id,
                  .principal = incoming.principal,
                  .region = incoming.region,
                  .service = std::string(incoming.service != nullptr ? incoming.service->name : "-"),
                  .action = incoming.action,
                  .source_ip = request.peer_address,
                  .outcome = failure.code.empty() ? "ok" : failure.code});
  return to_http(std::move(reply), incoming.id);
}

const Operation* Dispatch::identify(Incoming& incoming) const {
  std::optional<wire::SignatureError> bad_claim;
  try {
    incoming.claim = wire::read_claim(incoming.parts);
  } catch (const wire::SignatureError& error) {
    bad_claim = error;
  }
  // The service comes before every complaint, because it decides how to word them.
  std::optional<ApiError> bad_params;
  try {
    incoming.params = read_params(incoming.http);
  } catch (const ApiError& error) {
    bad_params = error;
  }
  incoming.action = action_of(incoming.http, incoming.params);
  incoming.service = identify_service(services_, incoming.http, incoming.claim, incoming.params);
  if (incoming.service == nullptr) {
    throw ApiError("InvalidAction", "The action " + incoming.action + " is not valid for this endpoint: the service '" +
                                        (incoming.claim ? incoming.claim->service : "?") + "' is not served here.");
  }
  incoming.dialect = incoming.service->dialect;
  if (bad_claim) throw refusal_of(incoming.dialect.protocol, *bad_claim);
  if (bad_params) throw *bad_params;
  const auto found = operations_.find({incoming.service->name, incoming.action});
  return found == operations_.end() ? nullptr : found->second;
}

void Dispatch::authenticate_caller(Incoming& incoming, Payload payload) const {
  const wire::Protocol protocol = incoming.dialect.protocol;
  if (!incoming.claim) throw refusal_of_unsigned(protocol);
  try {
    incoming.principal =
        authenticate(catalog_, incoming.parts, *incoming.claim, incoming.http.body, payload, clock_.now());
  } catch (const wire::SignatureError& error) {
    throw refusal_of(protocol, error);
  } catch (const UnknownKey&) {
    throw refusal_of_unknown_key(protocol);
  }
}

control::Region& Dispatch::find_region(Incoming& incoming) const {
  control::Region* region = regions_.find(incoming.claim->region);
  if (region == nullptr && incoming.service->global && !regions_.all().empty()) region = regions_.all().front().get();
  if (region == nullptr) throw refusal_of_region(incoming.dialect.protocol, incoming.claim->region);
  incoming.region = region->name;
  return *region;
}

wire::Reply Dispatch::serve(Incoming& incoming) const {
  const Operation* operation = identify(incoming);
  authenticate_caller(incoming, operation != nullptr ? operation->payload : Payload::buffered);
  control::Region& region = find_region(incoming);
  if (incoming.action.empty()) throw ApiError("MissingAction", "The request must contain the parameter Action");
  if (operation == nullptr) {
    throw ApiError("InvalidAction", "The action " + incoming.action + " is not valid for this web service.");
  }
  control::authorise(incoming.principal, incoming.service->name, incoming.action);
  Call call{.region = region,
            .principal = incoming.principal,
            .request_id = incoming.id,
            .service = std::string(incoming.service->name),
            .action = incoming.action,
            .source_ip = incoming.http.peer_address,
            .user_agent = std::string(incoming.http.header("user-agent").value_or("")),
            .secure = incoming.http.secure,
            .host = std::string(incoming.http.header("host").value_or(""))};
  DialectExchange exchange(incoming.dialect, incoming.params, incoming.http.body);
  if (operation->access == Access::writes) {
    call.client_token =
        client_token_of(incoming.params, region.name, call.principal.account, call.action, clock_.now());
  }
  if (call.client_token) call.made_before = made_before(catalog_, *call.client_token);
  try {
    operation->answer(call, exchange);
  } catch (const catalog::DatabaseError& error) {
    // Another request with the same token got its row in first: this one is its replay.
    if (!call.client_token || error.kind() != catalog::DatabaseError::Kind::constraint) throw;
    call.made_before = made_before(catalog_, *call.client_token);
    if (call.made_before.empty()) throw;
    operation->answer(call, exchange);
  }
  return wire::success(incoming.dialect, incoming.action, incoming.id, exchange.content());
}

http::Response Dispatch::refuse(int status, const http::Request& request) {
  wire::Dialect dialect{.protocol = wire::Protocol::ec2};
  if (request.header("authorization").value_or("").find("/ec2/aws4_request") == std::string_view::npos) {
    dialect = fallback_dialect(request);
  }
  wire::Failure failure{"InvalidRequest", "The request is malformed.", status};
  if (status == 413) failure = {"RequestEntityTooLarge", "The request is too large.", status};
  if (status == 503) failure = {"RequestLimitExceeded", "Request limit exceeded.", status};
  const std::string id = base::new_uuid();
  return to_http(wire::failure(dialect, id, failure), id);
}

}  // namespace kiln::services
