#include "control/kms_data.h"

#include <stdexcept>

#include "base/api_error.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Fault;

void append_text(std::string& out, const std::string& text) {
  base::Bytes length;
  base::append_int(length, static_cast<std::uint32_t>(text.size()));
  (out += base::as_text(length)) += text;
}

}  // namespace

std::string bound_context(const EncryptionContext& context) {
  std::string out;
  for (const auto& [key, value] : context) {
    append_text(out, key);
    append_text(out, value);
  }
  return out;
}

Encrypted encrypt(Region& region, const KeyCaller& caller, const std::string& key_name,
                  std::span<const std::byte> plain, const EncryptionContext& context, const std::string& action) {
  auto key = find_key(region, caller, key_name, action);
  check_enabled(key);
  const auto text = region.key_store.encrypt(stored_id(key), plain, bound_context(context));
  if (!text) throw std::runtime_error(text.error().message());
  return {std::move(key), std::string(base::as_text(*text))};
}

Decrypted decrypt(Region& region, const KeyCaller& caller, const std::string& key_name, const std::string& ciphertext,
                  const EncryptionContext& context, const std::string& action) {
  const auto named = keys::key_of(base::as_bytes(ciphertext));
  if (!named) throw ApiError("InvalidCiphertextException", "");
  // The text says whose key it is by its id alone, so the row says of which account.
  std::string name = key_name;
  if (name.empty()) {
    const auto row = catalog::in_read(
        region.catalog, [&](catalog::Txn& txn) { return catalog::find_kms_key(txn, region.name, named->text()); });
    name = row ? row->arn() : named->text();
  }
  auto key = find_key(region, caller, name, action);
  if (key.id != named->text()) {
    throw ApiError("IncorrectKeyException",
                   "The key ID in the request does not identify a CMK that can perform this operation.");
  }
  check_enabled(key);
  auto plain = region.key_store.decrypt(*named, base::as_bytes(ciphertext), bound_context(context));
  if (!plain && plain.error().fault() == Fault::corrupt) throw ApiError("InvalidCiphertextException", "");
  if (!plain) throw std::runtime_error(plain.error().message());
  return {std::move(key), std::move(*plain)};
}

}  // namespace kiln::control
