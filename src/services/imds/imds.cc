#include "services/imds/imds.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "control/metadata.h"
#include "services/imds/tree.h"

namespace kiln::services::imds {
namespace {

constexpr std::string_view token_path = "/latest/api/token";
constexpr std::string_view token_header = "X-aws-ec2-metadata-token";
constexpr std::string_view ttl_header = "X-aws-ec2-metadata-token-ttl-seconds";
constexpr int longest_ttl = 21600;

// Those that EC2 lists: programs look for the one they were written for.
constexpr std::string_view versions[] = {
    "1.0",        "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19",
    "2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03",
    "2021-03-23", "2021-07-15", "2022-07-09", "2022-09-24", "2024-04-11", "latest"};

http::Response refuse(int status, std::string_view reason) {
  const std::string title = std::to_string(status) + " - " + std::string(reason);
  return {.status = status,
          .headers = {{"Content-Type", "text/html"}, {"Server", "EC2ws"}},
          .body = "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html><head><title>" + title +
                  "</title></head><body><h1>" + title + "</h1></body></html>\n"};
}

http::Response text(std::string body, std::string_view type = "text/plain") {
  return {
      .status = 200, .headers = {{"Content-Type", std::string(type)}, {"Server", "EC2ws"}}, .body = std::move(body)};
}

std::optional<int> ttl_of(const http::Request& request) {
  const auto header = request.header(ttl_header);
  if (!header) return {};
  const auto digits = base::trim(*header);
  int seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc{} || end != digits.data() + digits.size() || seconds < 1 || seconds > longest_ttl) return {};
  return seconds;
}

http::Response not_allowed(std::string_view allowed) {
  auto response = refuse(405, "Method Not Allowed");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace

http::Response MetadataService::read(control::Region& region, const control::GuestMetadata& guest,
                                     std::string_view path) {
  std::string list;
  for (const auto version : versions) list += (list.empty() ? "" : "\n") + std::string(version);
  path.remove_prefix(1);
  if (path.empty()) return text(list);
  const auto slash = path.find('/');
  if (std::ranges::find(versions, path.substr(0, slash)) == std::end(versions)) return refuse(404, "Not Found");
  const auto rest = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  if (guest.profile && !guest.profile->role_name.empty() && rest == credentials_path(*guest.profile)) {
    return text(credentials_.of(region, guest));
  }
  auto found = look_up(tree_of(guest), rest);
  if (!found) return refuse(404, "Not Found");
  return text(std::move(*found), rest == "user-data" ? "application/octet-stream" : "text/plain");
}

http::Response MetadataService::answer(control::Region& region, const std::string& vpc_id,
                                       const http::Request& request) {
  const auto guest = control::metadata_of(region, vpc_id, request.peer_address);
  if (!guest) return refuse(404, "Not Found");
  if (!guest->instance.metadata_enabled) return refuse(403, "Forbidden");
  const base::Micros now = region.clock.now();
  if (request.path == token_path) {
    if (request.method != "PUT") return not_allowed("OPTIONS, PUT");
    // A proxy in the guest that forwards what strangers send must not hand out tokens to them.
    if (request.header("X-Forwarded-For")) return refuse(403, "Forbidden");
    const auto ttl = ttl_of(request);
    if (!ttl) return refuse(400, "Bad Request");
    auto response = text(tokens_.make(guest->instance.id, now, *ttl));
    response.headers.emplace_back(ttl_header, std::to_string(*ttl));
    return response;
  }
  if (request.method != "GET" && request.method != "HEAD") return not_allowed("OPTIONS, GET, HEAD");
  if (const auto token = request.header(token_header)) {
    if (!tokens_.is_good(base::trim(*token), guest->instance.id, now)) return refuse(401, "Unauthorized");
  } else if (guest->instance.tokens_required) {
    return refuse(401, "Unauthorized");
  }
  const std::string path = base::percent_decode(request.path, false).value_or("");
  if (path.empty() || path.front() != '/') return refuse(400, "Bad Request");
  return read(region, *guest, path);
}

}  // namespace kiln::services::imds
