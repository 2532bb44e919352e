#pragma once
// Time as the catalog and the wire know it: microseconds since 1970 UTC in a 64-bit integer.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::base {

using Micros = std::int64_t;

constexpr Micros seconds(std::int64_t count) { return count * 1'000'000; }

// 2026-01-02T03:04:05.678Z, the form of EC2's timestamps.
std::string to_iso8601(Micros time);
// Accepts with and without fractions; only the Z zone, as AWS does. Nothing when it is not such a time.
std::optional<Micros> from_iso8601(std::string_view text);

// 20260102T030405Z, the form of SigV4's x-amz-date. Nothing when it is not such a time.
std::optional<Micros> from_amz_date(std::string_view text);
std::string to_amz_date(Micros time);

}  // namespace kiln::base
