#include "keys/secret.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cassert>

#include "base/ids.h"

namespace kiln::keys {

void wipe(std::span<std::byte> bytes) {
  if (!bytes.empty()) ::OPENSSL_cleanse(bytes.data(), bytes.size());
}

Secret::Secret(std::span<const std::byte> from) {
  assert(from.size() == size_bytes);
  std::copy(from.begin(), from.end(), bytes_.begin());
}

Secret Secret::random() {
  Secret made;
  base::fill_random(made.bytes_);
  return made;
}

SecretBytes SecretBytes::random(std::size_t count) {
  SecretBytes made{base::Bytes(count)};
  base::fill_random(made.bytes_);
  return made;
}

}  // namespace kiln::keys
