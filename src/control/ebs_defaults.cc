#include "control/ebs_defaults.h"

#include "base/api_error.h"
#include "control/kms_keys.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Txn;

// KMS's refusals in the words of EC2.
catalog::KmsKey usable_key(Region& region, const Principal& caller, const std::string& name) {
  try {
    auto key =
        find_key(region, {.account = caller.account, .through = "ec2"}, name, "kms:GenerateDataKeyWithoutPlaintext");
    check_enabled(key);
    return key;
  } catch (const ApiError& refusal) {
    throw ApiError("InvalidParameterValue", "The KMS key " + name + " cannot be used: " + refusal.what());
  }
}

void change(Region& region, const std::string& account, const std::function<void(catalog::EbsDefaults&)>& how) {
  region.catalog.run_in_txn([&](Txn& txn) {
    auto row = catalog::ebs_defaults_of(txn, region.name, account);
    how(row);
    catalog::upsert(txn, row);
  });
}

}  // namespace

catalog::EbsDefaults ebs_defaults(Region& region, const std::string& account) {
  return catalog::in_read(region.catalog,
                          [&](Txn& txn) { return catalog::ebs_defaults_of(txn, region.name, account); });
}

void encrypt_by_default(Region& region, const std::string& account, bool encrypt) {
  change(region, account, [&](catalog::EbsDefaults& row) { row.encrypt = encrypt; });
}

std::string set_default_key(Region& region, const Principal& caller, const std::string& name) {
  const auto key = name.empty() ? service_key(region, caller.account, ebs_alias) : usable_key(region, caller, name);
  change(region, caller.account, [&](catalog::EbsDefaults& row) { row.key_arn = name.empty() ? "" : key.arn(); });
  return key.arn();
}

}  // namespace kiln::control
