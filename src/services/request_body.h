#pragma once
// The body of a request to a streamed operation, as its handler reads it: piece by piece from the network, and checked
// against what the client signed before the last piece is handed out; or from memory when the server has it already.
//
// Made by dispatch on the stack of one request thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/message.h"
#include "services/operation.h"

namespace kiln::services {

// How long a streamed body is. Throws ApiError MissingContentLength when only its end would say so: then a handler
// could take all of a body and make something of it before the digest is known to be wrong.
std::uint64_t length_of_streamed(const http::Request& request);

// Null for an operation that takes its whole body in its request. signed_digest is what authenticate() said of a body
// that is yet to be read. Lends from request. The last read throws wire::SignatureError when the body is not what was
// signed.
std::unique_ptr<http::BodyReader> body_of(const http::Request& request, Payload payload,
                                          std::optional<std::string> signed_digest);

}  // namespace kiln::services
