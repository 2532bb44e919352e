#include "services/sts/sts.h"

namespace kiln::services::sts {

struct GetCallerIdentityRequest {};

struct GetCallerIdentityResponse {
  std::string arn, user_id, account;
};

}  // namespace kiln::services::sts

KILN_WIRE_EMPTY(kiln::services::sts::GetCallerIdentityRequest)
KILN_WIRE(kiln::services::sts::GetCallerIdentityResponse, arn, user_id, account)

namespace kiln::services::sts {
namespace {

GetCallerIdentityResponse get_caller_identity(Call& call, const GetCallerIdentityRequest&) {
  return {.arn = call.principal.arn, .user_id = call.principal.user_id, .account = call.principal.account};
}

constexpr Operation operations[] = {
    operation<get_caller_identity>("GetCallerIdentity", Access::reads),
};

}  // namespace

Service service() {
  return {.name = "sts",
          .version = "2011-06-15",
          .dialect = {.protocol = wire::Protocol::query, .xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/"},
          .global = true,
          .tables = {operations}};
}

}  // namespace kiln::services::sts
