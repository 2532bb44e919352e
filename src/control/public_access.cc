#include "control/public_access.h"

#include "base/api_error.h"
#include "catalog/lifecycle.h"

namespace kiln::control {
namespace {

std::string& state_of(catalog::SharingSettings& settings, Shareable what) {
  return what == Shareable::images ? settings.image_block : settings.snapshot_block;
}

}  // namespace

std::string public_access(Region& region, const std::string& account, Shareable what) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    auto settings = catalog::sharing_settings_of(txn, region.name, account);
    return state_of(settings, what);
  });
}

std::string set_public_access(Region& region, const std::string& account, Shareable what, const std::string& state) {
  const bool known = state == "unblocked" || state == "block-new-sharing" ||
                     (what == Shareable::snapshots && state == "block-all-sharing");
  if (!known) {
    throw base::ApiError("InvalidParameterValue", "Value (" + state + ") for parameter state is invalid.");
  }
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto settings = catalog::sharing_settings_of(txn, region.name, account);
    state_of(settings, what) = state;
    catalog::upsert(txn, settings);
  });
  return state;
}

}  // namespace kiln::control
