#include "services/request_body.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "base/digest.h"
#include "wire/sigv4.h"

namespace kiln::services {
namespace {

class StreamedBody final : public http::BodyReader {
 public:
  // Without a digest the client signed UNSIGNED-PAYLOAD, and nothing is checked.
  StreamedBody(http::BodyReader& source, std::uint64_t length, std::optional<std::string> signed_digest)
      : source_(source), left_(length), signed_digest_(std::move(signed_digest)) {}

  std::size_t read(std::span<std::byte> out) override {
    if (refused_) refuse();
    const std::size_t count = source_.read(out);
    if (!signed_digest_ || count == 0) return count;
    digest_.add(out.first(count));
    left_ -= count;
    refused_ = left_ == 0 && digest_.finish().hex() != *signed_digest_;
    if (refused_) refuse();
    return count;
  }

 private:
  [[noreturn]] static void refuse() {
    throw wire::SignatureError(wire::SignatureError::Why::mismatch,
                               "The body of the request is not the one that X-Amz-Content-Sha256 says was signed.");
  }

  http::BodyReader& source_;
  std::uint64_t left_;  // the server hands out exactly what was announced, or throws
  const std::optional<std::string> signed_digest_;
  base::Sha256 digest_;
  bool refused_ = false;
};

class BufferedBody final : public http::BodyReader {
 public:
  explicit BufferedBody(std::string_view bytes) : rest_(std::as_bytes(std::span(bytes))) {}
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace

std::uint64_t length_of_streamed(const http::Request& request) {
  const auto text = request.header("content-length");
  if (!text && !request.header("transfer-encoding")) return 0;
  std::uint64_t length = 0;
  const bool is_number = text && std::from_chars(text->data(), text->data() + text->size(), length).ec == std::errc();
  if (!is_number) throw base::ApiError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411);
  return length;
}

std::unique_ptr<http::BodyReader> body_of(const http::Request& request, Payload payload,
                                          std::optional<std::string> signed_digest) {
  if (payload == Payload::buffered) return nullptr;
  if (request.stream == nullptr) return std::make_unique<BufferedBody>(request.body);
  return std::make_unique<StreamedBody>(*request.stream, length_of_streamed(request), std::move(signed_digest));
}

}  // namespace kiln::services
