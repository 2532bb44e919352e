#include "control/ssh_keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <vector>

#include "base/api_error.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/text.h"

namespace kiln::control {
namespace {

using base::ApiError;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

constexpr std::string_view rsa_name = "ssh-rsa";
constexpr std::string_view ed25519_name = "ssh-ed25519";

[[noreturn]] void refuse() { throw ApiError("InvalidKey.Format", "Key is not in valid OpenSSH public key format"); }

// A string of RFC 4251: its length in four bytes, big-endian, then its bytes.
std::string ssh_string(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string out;
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(size >> shift & 255);
  return out += text;
}

std::string ssh_number(const BIGNUM* number) {
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  if (!bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 128) != 0) bytes.insert(0, 1, '\0');
  return ssh_string(bytes);
}

// Takes the next string off blob; refuses what is too short.
std::string take_string(std::string_view& blob) {
  if (blob.size() < 4) refuse();
  std::uint32_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(blob[static_cast<std::size_t>(i)]);
  blob.remove_prefix(4);
  if (size > blob.size()) refuse();
  std::string taken(blob.substr(0, size));
  blob.remove_prefix(size);
  return taken;
}

std::string colons(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    if (i > 0) out += ':';
    out += hex.substr(i, 2);
  }
  return out;
}

std::string hex_digest(const EVP_MD* algorithm, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &size, algorithm, nullptr);
  return colons(base::to_hex(std::as_bytes(std::span(out, size))));
}

std::string content(BIO* memory) {
  char* start = nullptr;
  const auto size = BIO_get_mem_data(memory, &start);
  return {start, static_cast<std::size_t>(size)};
}

Number number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  if (number == nullptr) refuse();
  return {number, BN_free};
}

std::string rsa_blob(EVP_PKEY* key) {
  const Number e = number_of(key, OSSL_PKEY_PARAM_RSA_E);
  const Number n = number_of(key, OSSL_PKEY_PARAM_RSA_N);
  return ssh_string(rsa_name) + ssh_number(e.get()) + ssh_number(n.get());
}

std::string public_der(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) refuse();
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

std::string ed25519_fingerprint(std::string_view blob) {
  const auto digest = base::sha256(blob);
  std::string text = base::to_base64(base::as_text(digest.bytes));
  while (text.ends_with('=')) text.pop_back();
  return text;
}

// The RSA key that an ssh blob describes, rebuilt so that its DER can be hashed.
Key rsa_from_blob(std::string_view blob) {
  const std::string e_bytes = take_string(blob);
  const std::string n_bytes = take_string(blob);
  if (!blob.empty() || n_bytes.size() < 128 || n_bytes.size() > 2049 || e_bytes.size() > 16) refuse();
  const auto number = [](const std::string& bytes) {
    return Number(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr),
        BN_free);
  };
  const Number e = number(e_bytes);
  const Number n = number(n_bytes);
  std::vector<unsigned char> e_native(static_cast<std::size_t>(BN_num_bytes(e.get())));
  std::vector<unsigned char> n_native(static_cast<std::size_t>(BN_num_bytes(n.get())));
  BN_bn2nativepad(e.get(), e_native.data(), static_cast<int>(e_native.size()));
  BN_bn2nativepad(n.get(), n_native.data(), static_cast<int>(n_native.size()));
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e_native.data(), e_native.size()),
                             OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n_native.data(), n_native.size()),
                             OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
    refuse();
  }
  return {key, EVP_PKEY_free};
}

SshKey from_blob(const std::string& blob) {
  std::string_view rest = blob;
  const std::string name = take_string(rest);
  const std::string line = name + " " + base::to_base64(blob);
  if (name == rsa_name) {
    const Key key = rsa_from_blob(rest);
    return {.type = "rsa",
            .public_line = line,
            .fingerprint = hex_digest(EVP_md5(), public_der(key.get())),
            .private_key = {}};
  }
  if (name == ed25519_name) {
    if (take_string(rest).size() != 32 || !rest.empty()) refuse();
    return {.type = "ed25519", .public_line = line, .fingerprint = ed25519_fingerprint(blob), .private_key = {}};
  }
  refuse();
}

// PROTOCOL.key: no cipher, no key derivation, one key.
std::string openssh_private_key(const std::string& public_blob, const std::string& public_bytes,
                                const std::string& seed) {
  const std::string check(4, '\x5a');  // two equal words, by which a reader knows that it deciphered rightly
  std::string secret = check + check + ssh_string(ed25519_name) + ssh_string(public_bytes) +
                       ssh_string(seed + public_bytes) + ssh_string("");
  for (char pad = 1; secret.size() % 8 != 0; ++pad) secret += pad;
  std::string body("openssh-key-v1\0", 15);
  body += ssh_string("none") + ssh_string("none") + ssh_string("") + std::string("\0\0\0\1", 4) +
          ssh_string(public_blob) + ssh_string(secret);
  const std::string text = base::to_base64(body);
  std::string pem = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  for (std::size_t at = 0; at < text.size(); at += 70) pem += text.substr(at, 70) + "\n";
  return pem + "-----END OPENSSH PRIVATE KEY-----\n";
}

}  // namespace

SshKey make_rsa_key() {
  const Key key(EVP_RSA_gen(2048), EVP_PKEY_free);
  const Memory pem(BIO_new(BIO_s_mem()), BIO_free);
  const Memory der(BIO_new(BIO_s_mem()), BIO_free);
  if (!key || PEM_write_bio_PrivateKey_traditional(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      i2d_PKCS8PrivateKey_bio(der.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    throw std::runtime_error("OpenSSL could not make an RSA key");
  }
  const std::string blob = rsa_blob(key.get());
  return {.type = "rsa",
          .public_line = std::string(rsa_name) + " " + base::to_base64(blob),
          .fingerprint = hex_digest(EVP_sha1(), content(der.get())),
          .private_key = content(pem.get())};
}

SshKey make_ed25519_key() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  std::string public_bytes(32, '\0');
  std::string seed(32, '\0');
  std::size_t size = 32;
  if (!key ||
      EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(public_bytes.data()), &size) != 1 ||
      EVP_PKEY_get_raw_private_key(key.get(), reinterpret_cast<unsigned char*>(seed.data()), &size) != 1) {
    throw std::runtime_error("OpenSSL could not make an ED25519 key");
  }
  const std::string blob = ssh_string(ed25519_name) + ssh_string(public_bytes);
  return {.type = "ed25519",
          .public_line = std::string(ed25519_name) + " " + base::to_base64(blob),
          .fingerprint = ed25519_fingerprint(blob),
          .private_key = openssh_private_key(blob, public_bytes, seed)};
}

SshKey read_public_key(const std::string& text) {
  if (text.size() > 16384) refuse();
  if (text.find("-----BEGIN PUBLIC KEY-----") != std::string::npos) {
    const Memory memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
    const Key key(PEM_read_bio_PUBKEY(memory.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) refuse();
    return from_blob(rsa_blob(key.get()));
  }
  for (const auto word : base::split(base::trim(text), ' ')) {
    if (!word.starts_with("AAAA")) continue;
    const auto blob = base::from_base64(word);
    if (blob) return from_blob(*blob);
  }
  refuse();
}

}  // namespace kiln::control
