#include "control/sealed_secrets.h"

#include <stdexcept>

#include "base/text.h"

namespace kiln::control {

keys::KeyId identity_key() { return *keys::KeyId::from_text("6964656e-7469-4479-8000-6b696c6e6b65"); }

std::string seal_secret(keys::KeyStore& keys, const std::string& context, const std::string& secret) {
  const auto key = identity_key();
  auto sealed = keys.encrypt(key, base::as_bytes(secret), context);
  if (!sealed && sealed.error().fault() == base::Fault::not_found) {
    // Another request may make it at the same time.
    const auto made = keys.create(key);
    if (!made && made.error().fault() != base::Fault::exists) throw std::runtime_error(made.error().message());
    sealed = keys.encrypt(key, base::as_bytes(secret), context);
  }
  if (!sealed) throw std::runtime_error(sealed.error().message());
  return base::to_base64({reinterpret_cast<const char*>(sealed->data()), sealed->size()});
}

std::optional<std::string> open_secret(keys::KeyStore& keys, const std::string& context, const std::string& sealed) {
  const auto bytes = base::from_base64(sealed);
  if (!bytes) return {};
  const auto ciphertext = base::as_bytes(*bytes);
  if (keys::key_of(ciphertext) != identity_key()) return {};
  const auto opened = keys.decrypt(identity_key(), ciphertext, context);
  if (!opened) {
    const auto fault = opened.error().fault();
    if (fault == base::Fault::corrupt || fault == base::Fault::not_found) return {};
    throw std::runtime_error(opened.error().message());
  }
  return std::string(reinterpret_cast<const char*>(opened->bytes().data()), opened->bytes().size());
}

}  // namespace kiln::control
