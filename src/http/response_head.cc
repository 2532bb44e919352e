#include "http/response_head.h"

#include <boost/beast/http/status.hpp>
#include <ctime>

namespace kiln::http {
namespace {

void append_header(std::string& out, std::string_view name, std::string_view value) {
  (out += name) += ": ";
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  out += "\r\n";
}

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

std::string response_head(const Response& response, Framing framing, std::uint64_t length, bool keep_alive) {
  namespace beast = boost::beast::http;
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + ' ';
  const auto reason = beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(response.status)));
  (out += std::string_view(reason.data(), reason.size())) += "\r\n";
  append_header(out, "Date", http_date());  // clients correct their clock's skew by it before they sign again
  append_header(out, "Server", "Kiln");
  for (const auto& [name, value] : response.headers) append_header(out, name, value);
  if (framing == Framing::length) append_header(out, "Content-Length", std::to_string(length));
  if (framing == Framing::chunks) append_header(out, "Transfer-Encoding", "chunked");
  append_header(out, "Connection", keep_alive ? "keep-alive" : "close");
  return out += "\r\n";
}

}  // namespace kiln::http
