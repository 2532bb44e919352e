#include "blocks/key_domain.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "base/ids.h"
#include "base/text.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;

constexpr std::size_t tag_bytes = sealed_overhead_bytes;
constexpr std::size_t half = 16;  // of a digest: one block of AES

const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

Digest hmac(const Digest& key, std::span<const std::byte> text) {
  Digest out;
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), key.bytes.data(), static_cast<int>(key.bytes.size()), raw(text.data()), text.size(),
           raw(out.bytes.data()), &length) == nullptr) {
    throw std::runtime_error("OpenSSL cannot run HMAC-SHA256");
  }
  return out;
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// One context a thread, as a key is used for one record.
EVP_CIPHER_CTX* gcm_context() {
  thread_local const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
  if (!context) throw std::bad_alloc();
  return context.get();
}

const EVP_CIPHER* gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (cipher == nullptr) throw std::runtime_error("OpenSSL cannot run AES-256-GCM");
  return cipher;
}

// Key, nonce and the bytes that are authenticated beside the content.
bool begin(EVP_CIPHER_CTX* context, const Digest& key, const Nonce& nonce, std::span<const std::byte> header,
           int encrypt) {
  int length = 0;
  return EVP_CipherInit_ex2(context, gcm(), raw(key.bytes.data()), raw(nonce.data()), encrypt, nullptr) == 1 &&
         EVP_CipherUpdate(context, nullptr, &length, raw(header.data()), static_cast<int>(header.size())) == 1;
}

}  // namespace

std::string DomainId::hex() const { return base::to_hex(bytes); }

std::optional<DomainId> DomainId::from_hex(std::string_view text) {
  DomainId id;
  const auto raw_bytes = base::from_hex(text);
  if (!raw_bytes || raw_bytes->size() != id.bytes.size()) return {};
  std::memcpy(id.bytes.data(), raw_bytes->data(), id.bytes.size());
  return id;
}

DomainId DomainId::make() {
  DomainId id;
  base::fill_random(id.bytes);
  return id;
}

DomainSecret make_domain_secret() {
  DomainSecret secret;
  base::fill_random(secret);
  return secret;
}

KeyDomain::KeyDomain(const DomainId& id, const DomainSecret& secret)
    : id_(id), secret_(secret), record_key_(derive("record")), nonce_key_(derive("nonce")) {
  auto mask_key = derive("id");
  mask_ = std::make_unique<CipherPool>("AES-256-ECB", mask_key.bytes, CipherPool::Direction::encrypt);
  unmask_ = std::make_unique<CipherPool>("AES-256-ECB", mask_key.bytes, CipherPool::Direction::decrypt);
  slots_ = std::make_unique<UnitCipher>(derive("slot data"), derive("slot tweak"));
  OPENSSL_cleanse(mask_key.bytes.data(), mask_key.bytes.size());
}

KeyDomain::~KeyDomain() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(record_key_.bytes.data(), record_key_.bytes.size());
  OPENSSL_cleanse(nonce_key_.bytes.data(), nonce_key_.bytes.size());
}

// HMAC-SHA256(secret, label, a byte of zero, context).
Digest KeyDomain::derive(std::string_view label, std::span<const std::byte> context) const {
  Bytes text;
  base::append(text, base::as_bytes(label));
  text.push_back(std::byte{});
  base::append(text, context);
  Digest key;
  key.bytes = secret_;
  return hmac(key, text);
}

// Two blocks of AES, the first folded into the second: halves of a SHA-256 are random and do not come twice.
Digest KeyDomain::mask(const Digest& sha256) const {
  Digest out = sha256;
  const std::span<std::byte> bytes = out.bytes;
  mask_->run({}, bytes.first(half), bytes.data());
  for (std::size_t i = 0; i < half; ++i) bytes[half + i] ^= bytes[i];
  mask_->run({}, bytes.subspan(half), bytes.data() + half);
  return out;
}

Digest KeyDomain::unmask(const Digest& chunk_id) const {
  Digest out = chunk_id;
  const std::span<std::byte> bytes = out.bytes;
  unmask_->run({}, bytes.subspan(half), bytes.data() + half);
  for (std::size_t i = 0; i < half; ++i) bytes[half + i] ^= bytes[i];
  unmask_->run({}, bytes.first(half), bytes.data());
  return out;
}

std::uint64_t KeyDomain::mask_feature(std::uint64_t unit_hash) const {
  std::array<std::byte, half> block{};
  std::memcpy(block.data(), &unit_hash, sizeof unit_hash);
  block[half - 1] = std::byte{1};  // no half of a SHA-256 can be expected to end so and be the same
  mask_->run({}, block, block.data());
  std::uint64_t masked = 0;
  std::memcpy(&masked, block.data(), sizeof masked);
  return masked;
}

// Of everything that is authenticated: under one key a nonce never serves two messages. Equal payloads with other bases
// are two.
Nonce KeyDomain::nonce_for(std::span<const std::byte> header, std::span<const std::byte> payload) const {
  Bytes text;
  text.reserve(sizeof(std::uint64_t) + header.size() + payload.size());
  base::append_int(text, static_cast<std::uint64_t>(header.size()));
  base::append(text, header);
  base::append(text, payload);
  const auto sum = hmac(nonce_key_, text);
  Nonce nonce;
  std::copy_n(sum.bytes.begin(), nonce.size(), nonce.begin());
  return nonce;
}

Nonce KeyDomain::seal(const Digest& chunk_id, std::span<const std::byte> header, std::span<const std::byte> payload,
                      Bytes& out) const {
  const auto nonce = nonce_for(header, payload);
  auto* context = gcm_context();
  const auto start = out.size();
  out.resize(start + payload.size() + tag_bytes);
  int length = 0, rest = 0;
  const bool done =
      begin(context, hmac(record_key_, chunk_id.bytes), nonce, header, 1) &&
      EVP_CipherUpdate(context, raw(out.data() + start), &length, raw(payload.data()),
                       static_cast<int>(payload.size())) == 1 &&
      EVP_CipherFinal_ex(context, raw(out.data() + start) + length, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_bytes, out.data() + start + payload.size()) == 1;
  EVP_CIPHER_CTX_reset(context);
  if (!done) throw std::runtime_error("OpenSSL cannot run AES-256-GCM");
  return nonce;
}

Result<Bytes> KeyDomain::open(const Digest& chunk_id, const Nonce& nonce, std::span<const std::byte> header,
                              std::span<const std::byte> sealed) const {
  if (sealed.size() < tag_bytes) return Error(Fault::corrupt, "an encrypted record without its tag");
  Bytes plain(sealed.size() - tag_bytes);
  std::array<std::byte, tag_bytes> tag{};
  std::ranges::copy(sealed.last(tag_bytes), tag.begin());
  auto* context = gcm_context();
  int length = 0, rest = 0;
  const bool done =
      begin(context, hmac(record_key_, chunk_id.bytes), nonce, header, 0) &&
      EVP_CipherUpdate(context, raw(plain.data()), &length, raw(sealed.data()), static_cast<int>(plain.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag.data()) == 1 &&
      EVP_CipherFinal_ex(context, raw(plain.data()) + length, &rest) == 1;
  EVP_CIPHER_CTX_reset(context);
  if (!done) return Error(Fault::corrupt, "an encrypted record does not decrypt");
  return plain;
}

Tweak KeyDomain::slot_tweak(const Digest& chunk_id) {
  Tweak tweak;
  std::copy_n(chunk_id.bytes.begin(), tweak.size(), tweak.begin());
  return tweak;
}

std::shared_ptr<const UnitCipher> KeyDomain::head(std::string_view volume, std::uint64_t generation) const {
  Bytes context;
  base::append(context, base::as_bytes(volume));
  context.push_back(std::byte{});
  base::append_int(context, generation);
  return std::make_shared<const UnitCipher>(derive("head data", context), derive("head tweak", context));
}

}  // namespace kiln::blocks
