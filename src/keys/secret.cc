#include "keys/secret.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>

namespace kiln::keys {

void wipe(std::span<std::byte> bytes) {
  if (!bytes.empty()) ::OPENSSL_cleanse(bytes.data(), bytes.size());
}

void fill_random(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got > 0) {
      out = out.subspan(static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      std::abort();  // a key that could be guessed is worse than none
    }
  }
}

Secret::Secret(std::span<const std::byte> from) {
  assert(from.size() == size_bytes);
  std::copy(from.begin(), from.end(), bytes_.begin());
}

Secret Secret::random() {
  Secret made;
  fill_random(made.bytes_);
  return made;
}

SecretBytes SecretBytes::random(std::size_t count) {
  SecretBytes made{base::Bytes(count)};
  fill_random(made.bytes_);
  return made;
}

}  // namespace kiln::keys
