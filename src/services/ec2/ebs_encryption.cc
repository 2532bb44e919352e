// EnableEbsEncryptionByDefault, DisableEbsEncryptionByDefault, GetEbsEncryptionByDefault, GetEbsDefaultKmsKeyId,
// ModifyEbsDefaultKmsKeyId, ResetEbsDefaultKmsKeyId.
#include "base/api_error.h"
#include "control/ebs_defaults.h"
#include "control/kms_keys.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct EbsEncryptionRequest {};

struct EbsEncryptionByDefault {
  bool ebs_encryption_by_default = false;
};

struct GetEbsEncryptionByDefaultResponse {
  bool ebs_encryption_by_default = false;
  std::string sse_type = "none";
};

struct EbsDefaultKey {
  std::string kms_key_id;
};

struct ModifyEbsDefaultKmsKeyIdRequest {
  std::string kms_key_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE_EMPTY(kiln::services::ec2::EbsEncryptionRequest)
KILN_WIRE(kiln::services::ec2::EbsEncryptionByDefault, ebs_encryption_by_default)
KILN_WIRE(kiln::services::ec2::GetEbsEncryptionByDefaultResponse, ebs_encryption_by_default, sse_type)
KILN_WIRE(kiln::services::ec2::EbsDefaultKey, kms_key_id)
KILN_WIRE(kiln::services::ec2::ModifyEbsDefaultKmsKeyIdRequest, kms_key_id)

namespace kiln::services::ec2 {
namespace {

EbsEncryptionByDefault enable(Call& call, const EbsEncryptionRequest&) {
  control::encrypt_by_default(call.region, call.principal.account, true);
  return {true};
}

EbsEncryptionByDefault disable(Call& call, const EbsEncryptionRequest&) {
  control::encrypt_by_default(call.region, call.principal.account, false);
  return {false};
}

GetEbsEncryptionByDefaultResponse get(Call& call, const EbsEncryptionRequest&) {
  const bool encrypt = control::ebs_defaults(call.region, call.principal.account).encrypt;
  return {.ebs_encryption_by_default = encrypt, .sse_type = encrypt ? "sse-kms" : "none"};
}

EbsDefaultKey get_key(Call& call, const EbsEncryptionRequest&) {
  const auto set = control::ebs_defaults(call.region, call.principal.account).key_arn;
  return {set.empty() ? control::ebs_alias : set};
}

EbsDefaultKey modify_key(Call& call, const ModifyEbsDefaultKmsKeyIdRequest& request) {
  if (request.kms_key_id.empty()) {
    throw base::ApiError("MissingParameter", "The request must contain the parameter KmsKeyId");
  }
  return {control::set_default_key(call.region, call.principal, request.kms_key_id)};
}

EbsDefaultKey reset_key(Call& call, const EbsEncryptionRequest&) {
  return {control::set_default_key(call.region, call.principal, "")};
}

constexpr Operation operations[] = {
    operation<disable>("DisableEbsEncryptionByDefault", Access::writes),
    operation<enable>("EnableEbsEncryptionByDefault", Access::writes),
    operation<get_key>("GetEbsDefaultKmsKeyId", Access::reads),
    operation<get>("GetEbsEncryptionByDefault", Access::reads),
    operation<modify_key>("ModifyEbsDefaultKmsKeyId", Access::writes),
    operation<reset_key>("ResetEbsDefaultKmsKeyId", Access::writes),
};

}  // namespace

std::span<const Operation> ebs_encryption_operations() { return operations; }

}  // namespace kiln::services::ec2
