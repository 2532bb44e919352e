#include "keys/aes_gcm.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <memory>

namespace kiln::keys {
namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(base::Bytes& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
int size_of(std::span<const std::byte> bytes) { return static_cast<int>(bytes.size()); }

// OpenSSL fails these only for lack of memory or a broken installation; nothing may be stored then.
void must(bool done) {
  if (!done) std::abort();
}

}  // namespace

base::Bytes seal(const Secret& key, const Nonce& nonce, std::span<const std::byte> bound,
                 std::span<const std::byte> plain) {
  const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  base::Bytes out(plain.size() + tag_bytes);
  int length = 0;
  must(context != nullptr);
  must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.bytes()), raw(nonce)) == 1);
  must(EVP_EncryptUpdate(context.get(), nullptr, &length, raw(bound), size_of(bound)) == 1);
  must(EVP_EncryptUpdate(context.get(), raw(out), &length, raw(plain), size_of(plain)) == 1);
  must(EVP_EncryptFinal_ex(context.get(), raw(out) + length, &length) == 1);
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, raw(out) + plain.size()) == 1);
  return out;
}

base::Result<SecretBytes> open(const Secret& key, const Nonce& nonce, std::span<const std::byte> bound,
                               std::span<const std::byte> sealed) {
  const base::Error wrong(base::Fault::corrupt, "it was not encrypted by this key for this use, or has changed since");
  if (sealed.size() < tag_bytes) return wrong;
  const auto encrypted = sealed.first(sealed.size() - tag_bytes);
  base::Bytes tag(sealed.end() - tag_bytes, sealed.end());
  const Context context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  base::Bytes plain(encrypted.size());
  int length = 0;
  must(context != nullptr);
  must(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, raw(key.bytes()), raw(nonce)) == 1);
  must(EVP_DecryptUpdate(context.get(), nullptr, &length, raw(bound), size_of(bound)) == 1);
  must(EVP_DecryptUpdate(context.get(), raw(plain), &length, raw(encrypted), size_of(encrypted)) == 1);
  must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, raw(tag)) == 1);
  SecretBytes out(std::move(plain));
  unsigned char nothing[tag_bytes];
  if (EVP_DecryptFinal_ex(context.get(), nothing, &length) != 1) return wrong;
  return out;
}

}  // namespace kiln::keys
