#include "daemon/accounts.h"

#include <sys/stat.h>

#include <stdexcept>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/accounts.h"
#include "catalog/organizations.h"
#include "catalog/sharing.h"
#include "control/access_keys.h"
#include "control/sealed_secrets.h"

namespace kiln::daemon {
namespace {

using catalog::AccessKey;

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::vector<AccessKey> active_keys_of(catalog::Txn& txn, const std::string& account) {
  auto keys = catalog::access_keys_of(txn, account);
  // Users tell their own.
  std::erase_if(keys, [](const AccessKey& key) { return !key.active || !key.user_id.empty(); });
  return keys;
}

// Keys of which the secret was lost with the keys directory sign nothing any more; a root user gets another one.
void switch_off_lost_keys(catalog::Txn& txn, keys::KeyStore& keys) {
  for (auto& key : catalog::select<AccessKey>(txn, "WHERE active = 1")) {
    if (control::secret_of(keys, key)) continue;
    base::log_warning("daemon", "access key {} is switched off: its secret was sealed by a key that is not here",
                      key.id);
    key.active = false;
    catalog::update(txn, key);
  }
}

void seal(keys::KeyStore& keys, AccessKey& key) {
  key.secret = control::seal_secret(keys, key.id, key.secret);
  key.sealed = true;
}

}  // namespace

void ensure_accounts(catalog::Database& catalog, base::Clock& clock, keys::KeyStore& keys, const Config& config) {
  catalog.run_in_txn([&](catalog::Txn& txn) {
    switch_off_lost_keys(txn, keys);
    for (const auto& account : config.accounts) {
      const auto known = catalog::find_account(txn, account.id);
      const base::Micros created = known ? known->created : clock.now();
      catalog::upsert(txn, catalog::Account{.id = account.id, .name = account.name, .created = created});
      catalog::set_memberships(txn, account.id, account.member_of);
      if (const auto place = catalog::place_of(txn, account.id); place.organization) {
        catalog::write_memberships(txn, *place.organization, account.id);
      }
      const auto present = active_keys_of(txn, account.id);
      if (account.access_key.empty() && !present.empty()) continue;
      const bool given = !account.access_key.empty();
      AccessKey key{.id = given ? account.access_key : "AKIA" + upper(base::random_hex(8)),
                    .secret = given ? account.secret_key : base::random_hex(20),
                    .account = account.id,
                    .principal = "arn:aws:iam::" + account.id + ":root",
                    .active = true,
                    .created = clock.now()};
      seal(keys, key);
      catalog::upsert(txn, key);
    }
    // Of a catalog from before there were seals.
    for (auto& key : catalog::select<AccessKey>(txn, "WHERE sealed = 0")) {
      seal(keys, key);
      catalog::update(txn, key);
    }
  });
}

void write_credentials(catalog::Database& catalog, base::Files& files, keys::KeyStore& key_store,
                       const Config& config) {
  std::string text;
  catalog.read([&](catalog::Txn& txn) {
    text.clear();
    bool first = true;
    for (const auto& account : config.accounts) {
      const auto keys = active_keys_of(txn, account.id);
      if (keys.empty()) continue;
      const auto secret = control::secret_of(key_store, keys.front());
      if (!secret) {
        throw std::runtime_error("the secret of access key " + keys.front().id +
                                 " cannot be opened: the keys directory is not that of this catalog");
      }
      const auto profile = [&](const std::string& name) {
        text +=
            "[" + name + "]\naws_access_key_id = " + keys.front().id + "\naws_secret_access_key = " + *secret + "\n\n";
      };
      if (first) profile("default");
      profile(account.id);
      first = false;
    }
  });
  const auto path = config.data / "credentials";
  const auto present = files.read_all(path);
  if (present && *present == text) return;
  const auto previous = ::umask(0077);  // start has one thread yet, and no moment may show the secret to others
  const auto written = files.replace(path, base::as_bytes(text));
  ::umask(previous);
  if (!written) throw std::runtime_error(written.error().message());
}

}  // namespace kiln::daemon
