#include "base/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <xxhash.h>

#include <cstring>
#include <new>

#include "base/text.h"

namespace kiln::base {
namespace {

// Fetched once: OpenSSL 3.0 looks an algorithm up by name at each use otherwise, which costs more than a small hash.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

EVP_MD_CTX* context(void* held) { return static_cast<EVP_MD_CTX*>(held); }

}  // namespace

std::string Digest::hex() const { return to_hex(bytes); }

std::optional<Digest> Digest::from_hex(std::string_view text) {
  const auto raw = base::from_hex(text);
  if (!raw || raw->size() != 32) return {};
  Digest digest;
  std::memcpy(digest.bytes.data(), raw->data(), 32);
  return digest;
}

Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex2(context(context_), sha256_algorithm(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}

Sha256::~Sha256() { EVP_MD_CTX_free(context(context_)); }

void Sha256::add(std::span<const std::byte> bytes) { EVP_DigestUpdate(context(context_), bytes.data(), bytes.size()); }

Digest Sha256::finish() {
  Digest digest;
  unsigned size = 32;
  EVP_DigestFinal_ex(context(context_), reinterpret_cast<unsigned char*>(digest.bytes.data()), &size);
  return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view text) {
  Digest digest;
  unsigned size = 32;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), reinterpret_cast<unsigned char*>(digest.bytes.data()), &size);
  return digest;
}

std::uint64_t xxh3_64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace kiln::base
