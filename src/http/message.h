#pragma once
// HTTP messages as our handlers see them: plain structs, with bodies in memory or as streams.
//
// The server owns a request until its handler returns. A stream is used on the handler's own thread, which waits for
// the network within the server's deadlines.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first header of that name in any case; nothing when there is none.
std::optional<std::string_view> find_header(const Headers& headers, std::string_view name);

// The peer went away, or took longer than the server waits. A handler lets it pass: nobody is there to be answered.
class ConnectionLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // Fills out; fewer bytes only at the end of the body, 0 after it. Throws ConnectionLost.
  virtual std::size_t read(std::span<std::byte> out) = 0;
};

class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // Returns when the bytes are the kernel's. Throws ConnectionLost.
  virtual void write(std::span<const std::byte> bytes) = 0;
};

using ListenerId = int;

struct Request {
  std::string method;
  std::string path;   // as it was sent, percent-encoded
  std::string query;  // as it was sent, without the '?'
  Headers headers;    // in the order they came, names as they were spelled
  std::string body;   // empty when it is streamed
  BodyReader* stream = nullptr;

  std::string peer_address, local_address;  // numeric, without ports; IPv4 as such also when it came to a v6 socket
  int peer_port = 0, local_port = 0;
  ListenerId listener = 0;  // which of the server's listeners it came to
  bool secure = false;      // over TLS

  std::optional<std::string_view> header(std::string_view name) const { return find_header(headers, name); }
};

struct Response {
  int status = 200;
  Headers headers = {};
  std::string body = {};
  // Set for a streamed body: called on a request thread after the header has gone. With length the body must have
  // exactly that many bytes; without, it is sent in chunks. When it throws, the connection is cut, which tells the
  // client that the body is not whole.
  std::function<void(BodyWriter&)> stream = {};
  std::optional<std::uint64_t> stream_length = {};
};

}  // namespace kiln::http
