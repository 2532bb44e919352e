#include "keys/key_file.h"

#include <algorithm>
#include <string>

#include "base/digest.h"
#include "base/ids.h"

namespace kiln::keys {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Reader;
using base::Result;
using base::Status;

constexpr std::string_view root_magic = "KILNROOT";
constexpr std::string_view key_magic = "KILNKEY\n";
constexpr std::string_view message_key_purpose = "kiln ciphertext 1";

void append_head(Bytes& out, std::string_view magic) {
  base::append(out, base::as_bytes(magic));
  base::append_int(out, key_format);
  base::append_int(out, std::uint32_t{0});
}

Status read_head(Reader& reader, std::string_view magic, const std::string& what) {
  const auto found = base::as_text(reader.read(magic.size()));
  const auto version = reader.read_int<std::uint32_t>(), features = reader.read_int<std::uint32_t>();
  if (!reader.ok() || found != magic) return Error(Fault::corrupt, "this is no " + what);
  if (version != key_format || features != 0) {
    return Error(Fault::unsupported, what + " of format " + std::to_string(version) + " with features " +
                                         std::to_string(features) + "; this program reads format 1 without any");
  }
  return {};
}

template <std::size_t size>
void read_into(Reader& reader, std::array<std::byte, size>& out) {
  const auto bytes = reader.read(size);
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

Status expect_size(std::span<const std::byte> bytes, std::size_t size, const std::string& what) {
  if (bytes.size() == size) return {};
  return Error(Fault::corrupt, what + " has " + std::to_string(size) + " bytes, found " + std::to_string(bytes.size()));
}

// All that stands before the nonce: it says of what and by what this is a key.
Bytes bound_of(const KeyFile& file) {
  Bytes out;
  append_head(out, key_magic);
  base::append(out, file.key.bytes);
  base::append(out, file.root.bytes);
  return out;
}

Bytes bound_of(const Ciphertext& text, std::string_view context) {
  Bytes out;
  out.reserve(ciphertext_head_bytes + context.size());
  out.push_back(static_cast<std::byte>(key_format));
  base::append(out, text.key.bytes);
  base::append(out, text.salt);
  base::append(out, base::as_bytes(context));
  return out;
}

Secret message_key(const Secret& material, const Ciphertext& text) {
  auto made = base::hmac_sha256(base::as_text(material.bytes()),
                                std::string(message_key_purpose) + std::string(base::as_text(text.salt)));
  const Secret key(made.bytes);
  wipe(made.bytes);
  return key;
}

}  // namespace

Bytes encode(const RootKey& root) {
  Bytes out;
  out.reserve(root_file_bytes);
  append_head(out, root_magic);
  base::append(out, root.id.bytes);
  base::append(out, root.secret.bytes());
  base::append(out, base::sha256(out).bytes);
  return out;
}

Result<RootKey> decode_root(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  KILN_TRY(read_head(reader, root_magic, "root key"));
  KILN_TRY(expect_size(bytes, root_file_bytes, "a root key"));
  RootKey root;
  read_into(reader, root.id.bytes);
  root.secret = Secret(reader.read(Secret::size_bytes));
  const auto wanted = base::sha256(bytes.first(root_file_bytes - 32));
  if (!std::ranges::equal(wanted.bytes, bytes.last(32))) return Error(Fault::corrupt, "the root key is damaged");
  return root;
}

Bytes encode(const KeyFile& file) {
  Bytes out = bound_of(file);
  base::append(out, file.nonce);
  base::append(out, file.sealed);
  return out;
}

Result<KeyFile> decode_key_file(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  KILN_TRY(read_head(reader, key_magic, "key"));
  KILN_TRY(expect_size(bytes, key_file_bytes, "a key"));
  KeyFile file;
  read_into(reader, file.key.bytes);
  read_into(reader, file.root.bytes);
  read_into(reader, file.nonce);
  read_into(reader, file.sealed);
  return file;
}

KeyFile seal_key(const KeyId& key, const Secret& material, const RootKey& root, const Nonce& nonce) {
  KeyFile file{.key = key, .root = root.id, .nonce = nonce};
  const auto sealed = seal(root.secret, nonce, bound_of(file), material.bytes());
  std::copy(sealed.begin(), sealed.end(), file.sealed.begin());
  return file;
}

Result<Secret> open_key(const KeyFile& file, const RootKey& root) {
  if (file.root != root.id) {
    return Error(Fault::failed, "key " + file.key.text() + " is encrypted by the root key " + file.root.text() +
                                    ", found " + root.id.text());
  }
  const auto material = open(root.secret, file.nonce, bound_of(file), file.sealed);
  if (!material) return material.error().in("key " + file.key.text());
  return Secret(material->bytes());
}

Bytes encode(const Ciphertext& text) {
  Bytes out = bound_of(text, {});
  base::append(out, text.nonce);
  base::append(out, text.sealed);
  return out;
}

Result<Ciphertext> decode_ciphertext(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  const auto version = reader.read_int<std::uint8_t>();
  Ciphertext text;
  read_into(reader, text.key.bytes);
  read_into(reader, text.salt);
  read_into(reader, text.nonce);
  const auto sealed = reader.read(reader.remaining());
  if (!reader.ok() || version != key_format || sealed.size() < tag_bytes) {
    return Error(Fault::corrupt, "this is nothing that a key of this store encrypted");
  }
  text.sealed.assign(sealed.begin(), sealed.end());
  return text;
}

Ciphertext encrypt_with(const KeyId& key, const Secret& material, std::span<const std::byte> plain,
                        std::string_view context) {
  Ciphertext text{.key = key, .sealed = {}};
  base::fill_random(text.salt);
  base::fill_random(text.nonce);
  text.sealed = seal(message_key(material, text), text.nonce, bound_of(text, context), plain);
  return text;
}

Result<SecretBytes> decrypt_with(const Secret& material, const Ciphertext& text, std::string_view context) {
  return open(message_key(material, text), text.nonce, bound_of(text, context), text.sealed);
}

}  // namespace kiln::keys
