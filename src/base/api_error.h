#pragma once
// What control and services throw when the caller is to blame: AWS's own error code and wording.
//
// Thrown on a request or job thread and caught once, in services/dispatch, which writes it in the protocol's form.
// Anything else that escapes a handler is our fault and is answered as InternalError. Codes: "Error codes for the
// Amazon EC2 API" in the EC2 API Reference.

#include <stdexcept>
#include <string>
#include <utility>

namespace kiln::base {

class ApiError : public std::runtime_error {
 public:
  // reason: a second, finer code that some services give beside the first (INVALID_BLOCK_TOKEN).
  ApiError(std::string code, const std::string& message, int http_status = 400, std::string reason = {})
      : std::runtime_error(message), code_(std::move(code)), reason_(std::move(reason)), http_status_(http_status) {}

  const std::string& code() const { return code_; }
  const std::string& reason() const { return reason_; }
  int http_status() const { return http_status_; }

 private:
  std::string code_;
  std::string reason_;
  int http_status_;
};

}  // namespace kiln::base
