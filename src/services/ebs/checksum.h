#pragma once
// Checksums as the EBS direct APIs write them: SHA-256, which is also the name of a block in the store, in base64.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/text.h"

namespace kiln::services::ebs {

inline constexpr const char* sha256 = "SHA256";  // the only algorithm

inline std::string checksum_of(const base::Digest& digest) { return base::to_base64(base::as_text(digest.bytes)); }

// Nothing for what is no digest in base64.
inline std::optional<base::Digest> digest_of(std::string_view checksum) {
  const auto bytes = base::from_base64(checksum);
  base::Digest digest;
  if (!bytes || bytes->size() != digest.bytes.size()) return {};
  std::ranges::copy(base::as_bytes(*bytes), digest.bytes.begin());
  return digest;
}

}  // namespace kiln::services::ebs
