#include "blocks/unit_cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "blocks/disk_id.h"

namespace kiln::blocks {
namespace {

constexpr std::size_t block_bytes = 16;

const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

[[noreturn]] void fail(const char* cipher) { throw std::runtime_error(std::string("OpenSSL cannot run ") + cipher); }

}  // namespace

CipherPool::CipherPool(const char* cipher, std::span<const std::byte> key, Direction direction)
    : cipher_(cipher), key_(key.begin(), key.end()), direction_(direction) {
  give_back(take());
}

CipherPool::~CipherPool() {
  base::Lock lock(mutex_);
  for (auto* context : free_) EVP_CIPHER_CTX_free(context);
  OPENSSL_cleanse(key_.data(), key_.size());
}

evp_cipher_ctx_st* CipherPool::take() {
  {
    base::Lock lock(mutex_);
    if (!free_.empty()) {
      auto* context = free_.back();
      free_.pop_back();
      return context;
    }
  }
  auto* context = EVP_CIPHER_CTX_new();
  if (context == nullptr) throw std::bad_alloc();
  auto* cipher = EVP_CIPHER_fetch(nullptr, cipher_, nullptr);
  const bool set = cipher != nullptr && static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher)) == key_.size() &&
                   EVP_CipherInit_ex2(context, cipher, raw(key_.data()), nullptr,
                                      direction_ == Direction::encrypt ? 1 : 0, nullptr) == 1 &&
                   EVP_CIPHER_CTX_set_padding(context, 0) == 1;
  EVP_CIPHER_free(cipher);
  if (set) return context;
  EVP_CIPHER_CTX_free(context);
  fail(cipher_);
}

void CipherPool::give_back(evp_cipher_ctx_st* context) {
  base::Lock lock(mutex_);
  free_.push_back(context);
}

void CipherPool::run(std::span<const std::byte> iv, std::span<const std::byte> in, std::byte* out) {
  auto* context = take();
  int length = 0;
  const bool done = (iv.empty() || EVP_CipherInit_ex2(context, nullptr, nullptr, raw(iv.data()), -1, nullptr) == 1) &&
                    EVP_CipherUpdate(context, raw(out), &length, raw(in.data()), static_cast<int>(in.size())) == 1 &&
                    static_cast<std::size_t>(length) == in.size();
  give_back(context);
  if (!done) fail(cipher_);
}

UnitCipher::UnitCipher(const base::Digest& data_key, const base::Digest& tweak_key) {
  std::array<std::byte, 64> key{};
  std::ranges::copy(data_key.bytes, key.begin());
  std::ranges::copy(tweak_key.bytes, key.begin() + 32);
  encrypt_ = std::make_unique<CipherPool>("AES-256-XTS", key, CipherPool::Direction::encrypt);
  decrypt_ = std::make_unique<CipherPool>("AES-256-XTS", key, CipherPool::Direction::decrypt);
  OPENSSL_cleanse(key.data(), key.size());
}

void UnitCipher::encrypt(const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in,
                         std::byte* out) const {
  run(*encrypt_, tweak, offset, in, out);
}

void UnitCipher::decrypt(const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in,
                         std::byte* out) const {
  run(*decrypt_, tweak, offset, in, out);
}

void UnitCipher::run(CipherPool& pool, const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in,
                     std::byte* out) const {
  assert(offset % block_bytes == 0 && in.size() % block_bytes == 0);
  std::array<std::byte, unit_bytes> whole;
  while (!in.empty()) {
    const auto unit = offset / unit_bytes;
    const auto within = offset % unit_bytes;
    const auto part = in.first(std::min<std::size_t>(in.size(), unit_bytes - within));
    auto iv = tweak;
    std::uint64_t low = 0;
    std::memcpy(&low, iv.data(), sizeof low);
    low ^= unit;
    std::memcpy(iv.data(), &low, sizeof low);
    if (within == 0) {
      pool.run(iv, part, out);
    } else {
      // A unit is worked through from its start; what lies before the part may be anything, as 16 bytes never depend on
      // others.
      std::fill_n(whole.begin(), within, std::byte{});
      std::ranges::copy(part, whole.begin() + static_cast<std::ptrdiff_t>(within));
      pool.run(iv, std::span(whole).first(within + part.size()), whole.data());
      std::memcpy(out, whole.data() + within, part.size());
    }
    offset += part.size();
    out += part.size();
    in = in.subspan(part.size());
  }
}

}  // namespace kiln::blocks
