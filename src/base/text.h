#pragma once
// Bytes as text and back: hex, base64, percent-encoding, splitting. Pure functions.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::base {

std::string to_hex(std::span<const std::byte> bytes);
std::optional<std::string> from_hex(std::string_view text);  // nothing when text is not pairs of hex digits

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);  // RFC 4648; white space is skipped

// Percent-encoding of RFC 3986 as SigV4 wants it: everything but A-Z a-z 0-9 - . _ ~ is written %XX.
std::string percent_encode(std::string_view bytes);
// Nothing when a % is not followed by two hex digits. plus_is_space for form bodies and query strings.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);

// "*" matches any run, "?" any one character, "\" quotes the next: the wildcards of EC2 filters. Case-sensitive.
bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace kiln::base
