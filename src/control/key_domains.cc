#include "control/key_domains.h"

#include "base/api_error.h"
#include "base/log.h"
#include "base/text.h"
#include "control/kms_keys.h"

namespace kiln::control {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using blocks::DomainId;
using blocks::DomainPtr;
using catalog::KmsKey;
using catalog::Txn;

// What the secret of a domain is bound to, so that it opens for that domain alone.
std::string context_of(const std::string& region, const std::string& domain_id) {
  return "kiln key domain " + region + " " + domain_id;
}

std::string key_id_of(const std::string& key_arn) {
  const auto slash = key_arn.rfind(":key/");
  return slash == std::string::npos ? std::string() : key_arn.substr(slash + 5);
}

std::optional<KmsKey> enabled_key(Txn& txn, const std::string& region, const std::string& key_arn) {
  auto key = catalog::find_kms_key(txn, region, key_id_of(key_arn));
  if (!key || key->arn() != key_arn || key->state != "Enabled") return {};
  return key;
}

Result<DomainPtr> unwrap(keys::KeyStore& store, const catalog::KeyDomain& row) {
  const auto no_key = [&](const std::string& why) { return Error(Fault::no_key, "domain " + row.id + ": " + why); };
  const auto id = DomainId::from_hex(row.id);
  const auto key = keys::KeyId::from_text(key_id_of(row.key_arn));
  const auto wrapped = base::from_base64(row.secret);
  if (!id || !key || !wrapped) return no_key("its row is damaged");
  const auto opened = store.decrypt(*key, base::as_bytes(*wrapped), context_of(row.region, row.id));
  if (!opened) return no_key(opened.error().message());
  blocks::DomainSecret secret;
  if (opened->bytes().size() != secret.size()) return no_key("its secret has another length");
  std::copy(opened->bytes().begin(), opened->bytes().end(), secret.begin());
  auto domain = std::make_shared<const blocks::KeyDomain>(*id, secret);
  keys::wipe(secret);
  return DomainPtr(std::move(domain));
}

// The row of the key's domain, which is made when it is not there.
catalog::KeyDomain ensure_row(Region& region, const KmsKey& key) {
  const auto find = [&](Txn& txn) { return catalog::find_key_domain(txn, region.name, key.arn()); };
  if (auto there = catalog::in_read(region.catalog, find)) return *std::move(there);
  auto secret = blocks::make_domain_secret();
  const auto id = DomainId::make().hex();
  const auto wrapped = region.key_store.encrypt(stored_id(key), secret, context_of(region.name, id));
  keys::wipe(secret);
  if (!wrapped) {
    base::log_warning("control", "{}: {}", key.arn(), wrapped.error().message());
    throw KeyNotAccessible();
  }
  const catalog::KeyDomain row{.region = region.name,
                               .id = id,
                               .key_arn = key.arn(),
                               .secret = base::to_base64(base::as_text(*wrapped)),
                               .created = region.clock.now()};
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    if (auto other = find(txn)) return *std::move(other);
    catalog::insert(txn, row);
    return row;
  });
}

DomainId domain_of_key(Region& region, const KmsKey& key) {
  const auto row = ensure_row(region, key);
  const auto id = DomainId::from_hex(row.id);
  if (!id) throw std::runtime_error("'" + row.id + "' is no id of a domain");
  keys_of_domain(region, *id);
  return *id;
}

DomainId domain_if(Region& region, const std::string& account, const std::string& key_arn, const std::string& action) {
  if (key_arn.empty()) return {};
  try {
    const auto key = find_key(region, {.account = account, .through = "ec2"}, key_arn, action);
    check_enabled(key);
    return domain_of_key(region, key);
  } catch (const base::ApiError& refusal) {
    base::log_info("control", "{}: {}: {}", key_arn, refusal.code(), refusal.what());
    throw KeyNotAccessible();
  }
}

}  // namespace

void refuse_boot(const std::string& volume_id, const std::string& why) {
  base::log_warning("control", "{}: {}", volume_id, why);
  throw base::ApiError("InternalError", "Client error on launch");
}

blocks::Keyring::Load domain_loader(catalog::Database& catalog, keys::KeyStore& key_store, std::string region) {
  return [&catalog, &key_store, region = std::move(region)](const DomainId& id) -> Result<DomainPtr> {
    try {
      const auto row = catalog::in_read(catalog, [&](Txn& txn) -> std::optional<catalog::KeyDomain> {
        auto found = catalog::select_one<catalog::KeyDomain>(txn, "WHERE region = $1 AND id = $2", {region, id.hex()});
        if (!found || !enabled_key(txn, region, found->key_arn)) return {};
        return found;
      });
      if (!row) return Error(Fault::no_key, "the key of domain " + id.hex() + " is not enabled, or not there");
      return unwrap(key_store, *row);
    } catch (const std::exception& failure) {
      return Error(Fault::no_key, "domain " + id.hex() + ": " + failure.what());
    }
  };
}

DomainId domain_for_new(Region& region, const std::string& account, const std::string& key_arn) {
  return domain_if(region, account, key_arn, "kms:GenerateDataKeyWithoutPlaintext");
}

DomainId domain_to_read(Region& region, const std::string& account, const std::string& key_arn) {
  return domain_if(region, account, key_arn, "kms:Decrypt");
}

DomainId domain_of(Region& region, const std::string& key_arn) {
  if (key_arn.empty()) return {};
  const auto key = catalog::in_read(region.catalog, [&](Txn& txn) { return enabled_key(txn, region.name, key_arn); });
  if (!key) throw KeyNotAccessible();
  return domain_of_key(region, *key);
}

DomainPtr keys_of_domain(Region& region, const DomainId& id) {
  if (id.is_plain()) return nullptr;
  auto found = region.store.keys()->find(id);
  if (found) return *std::move(found);
  base::log_info("control", "{}", found.error().message());
  throw KeyNotAccessible();
}

void forget_domain_of(Region& region, const std::string& key_arn) {
  const auto row =
      catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::find_key_domain(txn, region.name, key_arn); });
  const auto id = row ? DomainId::from_hex(row->id) : std::nullopt;
  if (id) region.store.forget_domain(*id);
}

void forget_lost_domains(Region& region) {
  const auto lost = catalog::in_read(region.catalog, [&](Txn& txn) {
    auto rows = catalog::select<catalog::KeyDomain>(txn, "WHERE region = $1", {region.name});
    std::erase_if(rows, [&](const auto& row) { return enabled_key(txn, region.name, row.key_arn).has_value(); });
    return rows;
  });
  for (const auto& row : lost) {
    if (const auto id = DomainId::from_hex(row.id)) region.store.forget_domain(*id);
  }
}

}  // namespace kiln::control
