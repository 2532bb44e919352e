#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"

namespace kiln::cli {
namespace {

namespace json = boost::json;

void print_key(const AccountOptions& options, const json::object& made) {
  const auto id = text(made, "id"), access = text(made, "access_key"), secret = text(made, "secret_key");
  if (options.output == "json") {
    json::object item{{"AccountId", id}, {"AccessKeyId", access}, {"SecretAccessKey", secret}};
    if (const auto name = text(made, "name"); !name.empty()) item["Name"] = name;
    fmt::print("{}\n", json::serialize(item));
    return;
  }
  // As a section of a credentials file.
  fmt::print("[{}]\naws_access_key_id = {}\naws_secret_access_key = {}\n", id, access, secret);
}

json::object request(const char* change) { return {{"command", "account"}, {"change", change}}; }

}  // namespace

int create_account(const Common& common, const AccountOptions& options) {
  auto wanted = request("create");
  wanted["name"] = options.name;
  print_key(options, ask({.data_directory = common.data_directory, .request = std::move(wanted)},
                         [](const std::string&, const json::object&) {}));
  return 0;
}

int account_key(const Common& common, const AccountOptions& options) {
  auto wanted = request("key");
  wanted["id"] = options.id;
  print_key(options, ask({.data_directory = common.data_directory, .request = std::move(wanted)},
                         [](const std::string&, const json::object&) {}));
  return 0;
}

int accounts(const Common& common, const AccountOptions& options) {
  json::array all;
  ask({.data_directory = common.data_directory, .request = request("list")},
      [&](const std::string& kind, const json::object& item) {
        if (kind != "account") return;
        if (options.output == "json") {
          all.push_back(json::object{
              {"AccountId", text(item, "id")}, {"Name", text(item, "name")}, {"Created", text(item, "created")}});
        } else {
          fmt::print("{}  {}  {}\n", text(item, "id"), text(item, "created").substr(0, 10), text(item, "name"));
        }
      });
  if (options.output == "json") fmt::print("{}\n", json::serialize(json::object{{"Accounts", std::move(all)}}));
  return 0;
}

}  // namespace kiln::cli
