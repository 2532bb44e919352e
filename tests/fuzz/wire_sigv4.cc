// Authorization headers and presigned query strings from anywhere: nobody who lacks the secret is let in, and what is
// wrong is a SignatureError. The input is the header up to the first line feed, then the query string.

#include <cstdint>
#include <cstdlib>

#include "wire/sigv4.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto line = text.find('\n');
  const std::string_view query = line == std::string_view::npos ? std::string_view() : text.substr(line + 1);
  wire::HeaderList headers{{"Host", "h"}, {"X-Amz-Date", "20150830T123600Z"}};
  if (line > 0) headers.emplace_back("Authorization", text.substr(0, line));
  const wire::SignedParts parts{.method = "GET", .path = query, .query = query, .headers = headers};
  try {
    const auto claim = wire::read_claim(parts);
    if (!claim) return 0;
    wire::verify(parts, *claim,
                 {.secret = "a secret that no input knows", .now = claim->time, .body_digest = std::string(64, '0')});
    std::abort();
  } catch (const wire::SignatureError&) {
  }
  return 0;
}
