#pragma once
// Secrets of identities, which lie encrypted in the catalog: of access keys, and what temporary credentials carry.
//
// They are encrypted by one key of the key store with a fixed name, which is made when it is first needed; whoever has
// the catalog without <data>/keys has no secret. Any thread; a call reads a file of the key store. Throws when the key
// store fails.

#include <optional>
#include <string>

#include "keys/key_store.h"

namespace kiln::control {

// The name of that key: kiln keys tells it apart from strays.
keys::KeyId identity_key();

// base64. context is bound to it: the id of what the secret is of.
std::string seal_secret(keys::KeyStore& keys, const std::string& context, const std::string& secret);
// Nothing when it was not sealed here with this context.
std::optional<std::string> open_secret(keys::KeyStore& keys, const std::string& context, const std::string& sealed);

}  // namespace kiln::control
