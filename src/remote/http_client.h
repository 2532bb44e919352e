#pragma once
// HTTP requests to one server, over connections that are kept: what the copies between regions speak with.
//
// Made once for a server and used by any number of threads; each call is one request and its whole answer, waits for
// it, and ends within the deadlines that it gives. An answer longer than most_body_bytes, a connection that moves less
// than a kilobyte a second, and everything else that is no answer is HttpFailure. Redirects are not followed and no
// proxy is used: the server that is named is the server that is asked. Over TLS its certificate is checked.

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"

namespace kiln::remote {

class HttpFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  std::chrono::seconds at_most{60};
};

struct HttpAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  base::Bytes body;

  std::string_view header(std::string_view lower_name) const;  // empty when it is absent
};

class HttpClient {
 public:
  static constexpr std::size_t most_body_bytes = 32 << 20;

  // server: "https://kiln.example:8773". ca_file: who signs its certificate; empty: whom the system trusts.
  HttpClient(std::string server, std::string ca_file);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  const std::string& server() const { return server_; }
  // What the Host header says: "kiln.example:8773", without the port where it is the scheme's own.
  const std::string& host() const { return host_; }
  HttpAnswer send(const HttpRequest& request);

 private:
  class Connection;
  class Lent;

  const std::string server_, host_, ca_file_;
  base::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ KILN_GUARDED_BY(mutex_);
};

// Whether text is "http://" or "https://" with a host, and nothing behind the port.
bool is_server(std::string_view text);

}  // namespace kiln::remote
