#pragma once
// AES-256-XTS over 4 KiB units, and the contexts of OpenSSL that ciphers are run with.
//
// XTS keeps lengths and lets 16 bytes be read or written by themselves: a write that a power cut tears leaves each 16
// bytes old or new, as on a plain disk. It hides content and detects no change; that a unit is what was written is
// checked elsewhere (slots) or not at all (heads), as by every disk encryption. NIST SP 800-38E; data units of 4 KiB.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/mutex.h"

struct evp_cipher_ctx_st;

namespace kiln::blocks {

// Contexts that are set up with one key in one direction. Thread-safe: making one costs more than encrypting a unit, so
// they are kept, as many as were in use at once.
class CipherPool {
 public:
  enum class Direction { encrypt, decrypt };
  // cipher is a name that OpenSSL knows. Throws std::runtime_error when it does not.
  CipherPool(const char* cipher, std::span<const std::byte> key, Direction direction);
  ~CipherPool();  // wipes the key
  CipherPool(const CipherPool&) = delete;
  CipherPool& operator=(const CipherPool&) = delete;

  // One run; in and out may be the same bytes. iv is empty or as long as the cipher's.
  void run(std::span<const std::byte> iv, std::span<const std::byte> in, std::byte* out);

 private:
  friend class CipherLease;
  evp_cipher_ctx_st* take();
  void give_back(evp_cipher_ctx_st* context);

  const char* const cipher_;
  std::vector<std::byte> key_;
  const Direction direction_;
  base::Mutex mutex_;
  std::vector<evp_cipher_ctx_st*> free_ KILN_GUARDED_BY(mutex_);
};

// What is added to the number of a unit; units with the same number and another tweak have nothing in common.
using Tweak = std::array<std::byte, 16>;

class UnitCipher {
 public:
  UnitCipher(const base::Digest& data_key, const base::Digest& tweak_key);

  // Bytes from offset on of what the units are counted in; offset and length are multiples of 16. in and out may be the
  // same.
  void encrypt(const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in, std::byte* out) const;
  void decrypt(const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in, std::byte* out) const;

 private:
  void run(CipherPool& pool, const Tweak& tweak, std::uint64_t offset, std::span<const std::byte> in,
           std::byte* out) const;

  std::unique_ptr<CipherPool> encrypt_, decrypt_;
};

}  // namespace kiln::blocks
