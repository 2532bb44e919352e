#pragma once
// The bytes before a response's body. Pure.

#include <string>

#include "http/message.h"

namespace kiln::http {

enum class Framing { length, chunks, until_close, none };

// Status line and headers. Values that our own code took from elsewhere cannot break out of their line.
std::string response_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive);

}  // namespace kiln::http
