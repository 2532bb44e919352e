#pragma once
// Accounts and their root keys: rows made at first start, and the credentials file that clients read.
//
// <data>/credentials is in AWS's shared-credentials format, mode 0600: the first account is [default], each one has a
// profile named by its id. It is written again whenever it does not match the rows, in which the secrets lie sealed.

#include <filesystem>

#include "base/clock.h"
#include "base/files.h"
#include "catalog/database.h"
#include "daemon/config.h"
#include "keys/key_store.h"

namespace kiln::daemon {

void ensure_accounts(catalog::Database& catalog, base::Clock& clock, keys::KeyStore& keys, const Config& config);
void write_credentials(catalog::Database& catalog, base::Files& files, keys::KeyStore& keys, const Config& config);

}  // namespace kiln::daemon
