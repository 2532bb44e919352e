#pragma once
// A key domain: whose keys stored chunks are encrypted with. docs/formats/encryption.md, docs/decisions/encryption.md
//
// Everything is derived from one secret of 32 random bytes. Whoever has it reads and writes the domain; when the last
// copy of it is gone nobody ever does again. Chunks of one domain deduplicate among themselves and with nothing else:
// their ids, and the hashes by which similar chunks are found, go through a keyed permutation, so that what is stored
// says neither what a chunk holds nor whether two domains, or the plain one, hold the same.
//
// Immutable and thread-safe; keeps cipher contexts of its own. The secret and what is derived from it are wiped when it
// is destroyed. Sources: NIST SP 800-38D (GCM), 38E (XTS), 800-108 (derivation); synthetic nonces as in RFC 8452.

#include <array>
#include <compare>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/error.h"
#include "blocks/unit_cipher.h"

namespace kiln::blocks {

struct DomainId {
  std::array<std::byte, 16> bytes{};  // zeros: the plain domain of a store, which has no keys

  auto operator<=>(const DomainId&) const = default;
  bool is_plain() const { return *this == DomainId{}; }
  std::string hex() const;
  static std::optional<DomainId> from_hex(std::string_view text);
  static DomainId make();  // of random bytes
};

using DomainSecret = std::array<std::byte, 32>;
DomainSecret make_domain_secret();

using Nonce = std::array<std::byte, 12>;
constexpr std::size_t sealed_overhead_bytes = 16;

class KeyDomain {
 public:
  KeyDomain(const DomainId& id, const DomainSecret& secret);
  ~KeyDomain();
  KeyDomain(const KeyDomain&) = delete;
  KeyDomain& operator=(const KeyDomain&) = delete;

  const DomainId& id() const { return id_; }
  // For whoever passes the domain on to a disk server.
  const DomainSecret& secret() const { return secret_; }

  // From the SHA-256 of a chunk to its id in this domain, and back.
  base::Digest mask(const base::Digest& sha256) const;
  base::Digest unmask(const base::Digest& chunk_id) const;
  std::uint64_t mask_feature(std::uint64_t unit_hash) const;

  // Appends ciphertext and tag of what is stored for a chunk. The nonce is made of header and payload: the same record
  // comes out again, and another encoding of the same chunk has another nonce; the key is the chunk's own.
  Nonce seal(const base::Digest& chunk_id, std::span<const std::byte> header, std::span<const std::byte> payload,
             base::Bytes& out) const;
  // Fault::corrupt when it is not what seal() made with the same id, header and nonce.
  base::Result<base::Bytes> open(const base::Digest& chunk_id, const Nonce& nonce, std::span<const std::byte> header,
                                 std::span<const std::byte> sealed) const;

  // For the units of chunks that are kept decoded on disk; slot_tweak() tells one chunk's from another's.
  const UnitCipher& slots() const { return *slots_; }
  static Tweak slot_tweak(const base::Digest& chunk_id);
  // For what is written to one generation of a volume.
  std::shared_ptr<const UnitCipher> head(std::string_view volume, std::uint64_t generation) const;

 private:
  Nonce nonce_for(std::span<const std::byte> header, std::span<const std::byte> payload) const;
  base::Digest derive(std::string_view label, std::span<const std::byte> context = {}) const;

  const DomainId id_;
  DomainSecret secret_;
  base::Digest record_key_, nonce_key_;
  std::unique_ptr<CipherPool> mask_, unmask_;
  std::unique_ptr<UnitCipher> slots_;
};

}  // namespace kiln::blocks
