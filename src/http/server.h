#pragma once
// An HTTP/1.1 server: bytes in, plain requests out to a plain function, and its response back. It knows no AWS.
//
//   one io thread            accepts, reads headers and bodies, writes; waits for nothing but the network
//   a fixed request pool     runs the handler; when its queue is full, the client is answered 503
//
// Owned by the daemon's wiring; listeners come and go while it runs. All calls are thread-safe, but none may come from
// the handler except through its streams. Every read and write has a deadline; a peer that is slower is cut.
// The destructor stops as stop() does.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "http/message.h"
#include "http/socket.h"

namespace kiln::http {

struct Limits {
  std::size_t header_bytes = 64 << 10;  // more is 431
  std::size_t body_bytes = 1 << 20;     // of a buffered body; more is 413
  std::size_t connections = 1000;       // at once; one more is answered 503 and closed
  std::size_t request_threads = 16;
  std::size_t request_queue = 128;                // requests that wait for a thread; one more is answered 503
  std::chrono::milliseconds header_time{30'000};  // to send a header, from the connection or its last response on
  std::chrono::milliseconds body_time{60'000};    // to send a buffered body, or to move one piece of a streamed one
  std::chrono::milliseconds write_time{60'000};   // to take a response, or a piece of a streamed one
};

// What happens to a request's body, decided when its header is there and before a byte of the body is read.
struct Admission {
  bool stream = false;         // the handler reads it from Request::stream, however large
  std::size_t body_bytes = 0;  // most bytes to buffer; 0: Limits::body_bytes
};

using Handler = std::function<Response(Request&)>;
using Admit = std::function<Admission(const Request&)>;  // on the io thread: must be quick and not throw

// What the server answers without the handler: 400, 413, 431, 503. The request is empty when its header was not read.
// On the io thread: must be quick and not throw.
using Refuse = std::function<Response(int status, const Request&)>;

struct Tls {
  std::string certificate_file, key_file;  // PEM; the certificate with its chain
};

struct Options {
  Limits limits = {};
  Handler handler;
  Admit admit = {};
  Refuse refuse = {};  // plain text when there is none
};

class Server {
 public:
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts to serve. Throws std::runtime_error when the address or the certificate cannot be used.
  ListenerId listen(const ListenOn& where, const std::optional<Tls>& tls = {});
  ListenerId adopt(base::Fd listening_socket, const std::optional<Tls>& tls = {});
  int port(ListenerId listener) const;
  // No connection is accepted any more; those that it has end after the request they are at.
  void remove(ListenerId listener);

  std::size_t connections() const;

  // Accepts nothing more, lets requests in progress end within grace, then cuts what is left. Once.
  void stop(std::chrono::milliseconds grace);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace kiln::http
