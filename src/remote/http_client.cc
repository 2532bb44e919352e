#include "remote/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "base/text.h"

namespace kiln::remote {
namespace {

constexpr long connect_seconds = 5;
constexpr long slow_bytes_a_second = 1024, slow_seconds = 20;
constexpr std::size_t most_headers = 200;

void prepare_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error("libcurl does not start");
  });
}

std::string host_of(std::string_view server) {
  const bool tls = server.starts_with("https://");
  auto host = server.substr(server.find("//") + 2);
  const std::string_view own_port = tls ? ":443" : ":80";
  if (host.ends_with(own_port)) host.remove_suffix(own_port.size());
  return std::string(host);
}

// What libcurl hands us of an answer. Nothing may be thrown through it: running out of memory ends the transfer.
struct Arriving {
  HttpAnswer answer;
  bool too_long = false;
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* into) noexcept {
  auto& arriving = *static_cast<Arriving*>(into);
  const auto bytes = size * count;
  if (arriving.answer.body.size() + bytes > HttpClient::most_body_bytes) {
    arriving.too_long = true;
    return 0;
  }
  try {
    base::append(arriving.answer.body, base::as_bytes(std::string_view(data, bytes)));
  } catch (...) {
    return 0;
  }
  return bytes;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* into) noexcept {
  auto& arriving = *static_cast<Arriving*>(into);
  const std::string_view line(data, size * count);
  try {
    // A line "HTTP/1.1 200 OK" begins an answer; there may be one before it that said 100.
    if (line.starts_with("HTTP/")) arriving.answer.headers.clear();
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && arriving.answer.headers.size() < most_headers) {
      auto& [name, value] = arriving.answer.headers.emplace_back(base::lower(line.substr(0, colon)),
                                                                 std::string(base::trim(line.substr(colon + 1))));
      std::size_t length = 0;
      if (name == "content-length") std::from_chars(value.data(), value.data() + value.size(), length);
      // A block in one piece of memory from the start, and no more for a length that is a lie.
      arriving.answer.body.reserve(std::min<std::size_t>(length, 1 << 20));
    }
  } catch (...) {
    return 0;
  }
  return line.size();
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderLines = std::unique_ptr<curl_slist, FreeList>;

HeaderLines header_lines(const HttpRequest& request) {
  HeaderLines lines;
  const auto add = [&](const std::string& line) {
    auto* const longer = curl_slist_append(lines.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(lines.release());
    lines.reset(longer);
  };
  for (const auto& [name, value] : request.headers) add(std::string(name).append(": ").append(value));
  add("Expect:");  // the body is short: no round trip before it
  return lines;
}

}  // namespace

// One easy handle, which keeps its connection between requests.
class HttpClient::Connection {
 public:
  explicit Connection(const HttpClient& client) : client_(client), handle_(curl_easy_init()) {
    if (handle_ == nullptr) throw std::bad_alloc();
  }
  ~Connection() { curl_easy_cleanup(handle_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  HttpAnswer send(const HttpRequest& request) {
    Arriving arriving;
    const auto lines = header_lines(request);
    const auto url = client_.server_ + request.target;
    curl_easy_reset(handle_);
    char why[CURL_ERROR_SIZE] = "";
    set(CURLOPT_ERRORBUFFER, why);
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_HTTPHEADER, lines.get());
    set_method(request);
    set_limits(request);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, &arriving);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &arriving);
    const auto done = curl_easy_perform(handle_);
    curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, nullptr);
    if (done != CURLE_OK) {
      const std::string reason = arriving.too_long ? "the answer is too long"
                                 : why[0] != '\0'  ? std::string(why)
                                                   : std::string(curl_easy_strerror(done));
      throw HttpFailure(client_.server_ + ": " + reason);
    }
    long status = 0;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    arriving.answer.status = static_cast<int>(status);
    return std::move(arriving.answer);
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    const auto done = curl_easy_setopt(handle_, option, value);
    if (done != CURLE_OK) throw std::runtime_error(std::string("libcurl: ") + curl_easy_strerror(done));
  }
  void set_method(const HttpRequest& request) {
    if (request.method == "GET") return set(CURLOPT_HTTPGET, 1L);
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  void set_limits(const HttpRequest& request) {
    set(CURLOPT_NOSIGNAL, 1L);  // time-outs of name look-ups without SIGALRM: there are other threads
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_BUFFERSIZE, 256L << 10);
    set(CURLOPT_CONNECTTIMEOUT, connect_seconds);
    set(CURLOPT_TIMEOUT, static_cast<long>(request.at_most.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, slow_bytes_a_second);
    set(CURLOPT_LOW_SPEED_TIME, slow_seconds);
    if (!client_.ca_file_.empty()) set(CURLOPT_CAINFO, client_.ca_file_.c_str());
  }

  const HttpClient& client_;
  CURL* handle_;
};

// A connection for one request; it goes back when the answer has come whole.
class HttpClient::Lent {
 public:
  explicit Lent(HttpClient& client) : client_(client) {
    const base::Lock lock(client.mutex_);
    if (client.idle_.empty()) return;
    connection_ = std::move(client.idle_.back());
    client.idle_.pop_back();
  }
  Connection& get() {
    if (!connection_) connection_ = std::make_unique<Connection>(client_);
    return *connection_;
  }
  void give_back() {
    const base::Lock lock(client_.mutex_);
    client_.idle_.push_back(std::move(connection_));
  }

 private:
  HttpClient& client_;
  std::unique_ptr<Connection> connection_;
};

std::string_view HttpAnswer::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_name) return value;
  }
  return {};
}

HttpClient::HttpClient(std::string server, std::string ca_file)
    : server_(std::move(server)), host_(host_of(server_)), ca_file_(std::move(ca_file)) {
  prepare_curl();
}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::send(const HttpRequest& request) {
  Lent connection(*this);
  auto answer = connection.get().send(request);
  connection.give_back();
  return answer;
}

bool is_server(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const auto host = text.substr(scheme.size());
    return !host.empty() && host.find_first_of("/?#@ \t") == std::string_view::npos;
  }
  return false;
}

}  // namespace kiln::remote
