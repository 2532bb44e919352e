#include "daemon/config.h"

#include <unistd.h>

#include <toml++/toml.h>

#include <charconv>
#include <set>
#include <stdexcept>

#include "remote/http_client.h"

namespace kiln::daemon {
namespace {

// One table of the file; every key that is asked for is known, and any other is refused, so that a typing error does
// not silently mean the default.
class Table {
 public:
  Table(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

  void text(std::string_view key, std::string& into) { read(key, into, "a string"); }
  void boolean(std::string_view key, bool& into) { read(key, into, "true or false"); }
  template <class Integer>
  void number(std::string_view key, Integer& into, std::int64_t most) {
    std::int64_t value = static_cast<std::int64_t>(into);
    read(key, value, "a whole number");
    if (value < 0 || value > most) {
      throw std::runtime_error(where_ + ": " + std::string(key) + " is " + std::to_string(value) + ", wanted 0 to " +
                               std::to_string(most));
    }
    into = static_cast<Integer>(value);
  }
  void texts(std::string_view key, std::vector<std::string>& into) {
    known_.emplace(key);
    if (!table_[key]) return;
    const auto items = list(key, "a list of strings");
    into.clear();
    for (const auto& item : *items) {
      const auto text = item.value_exact<std::string>();
      if (!text) throw not_what_is_wanted(key, "a list of strings");
      into.push_back(*text);
    }
  }
  std::vector<const toml::table*> tables(std::string_view key) {
    known_.emplace(key);
    std::vector<const toml::table*> found;
    if (!table_[key]) return found;
    const auto wanted = "a list of tables, [[" + std::string(key) + "]]";
    for (const auto& item : *list(key, wanted)) {
      if (!item.is_table()) throw not_what_is_wanted(key, wanted);
      found.push_back(item.as_table());
    }
    return found;
  }
  void refuse_unknown() const {
    for (const auto& [key, value] : table_) {
      if (!known_.contains(std::string(key.str()))) {
        throw std::runtime_error(where_ + ": the key '" + std::string(key.str()) + "' is not known");
      }
    }
  }

 private:
  template <class T>
  void read(std::string_view key, T& into, const char* wanted) {
    known_.emplace(key);
    const auto node = table_[key];
    if (!node) return;
    const auto value = node.template value_exact<T>();
    if (!value) throw not_what_is_wanted(key, wanted);
    into = *value;
  }
  const toml::array* list(std::string_view key, std::string_view wanted) const {
    const auto* items = table_[key].as_array();
    if (items == nullptr) throw not_what_is_wanted(key, wanted);
    return items;
  }
  std::runtime_error not_what_is_wanted(std::string_view key, std::string_view wanted) const {
    return std::runtime_error(where_ + ": " + std::string(key) + " is not " + std::string(wanted));
  }

  const toml::table& table_;
  const std::string where_;
  std::set<std::string> known_;
};

void read_regions(Table& root, const std::string& where, Config& config) {
  const auto tables = root.tables("region");
  if (tables.empty()) return;
  config.regions.clear();
  for (const toml::table* each : tables) {
    Table table(*each, where + " [[region]]");
    RegionConfig region;
    table.text("name", region.name);
    table.texts("zones", region.zones);
    table.refuse_unknown();
    if (region.zones.empty()) region.zones = {region.name + "a", region.name + "b", region.name + "c"};
    config.regions.push_back(std::move(region));
  }
}

void read_remote_regions(Table& root, const std::string& where, Config& config) {
  for (const toml::table* each : root.tables("remote_region")) {
    Table table(*each, where + " [[remote_region]]");
    RemoteRegionConfig remote;
    table.text("name", remote.name);
    table.text("endpoint", remote.endpoint);
    table.text("ca_file", remote.ca_file);
    for (const toml::table* one : table.tables("key")) {
      Table key(*one, where + " [[remote_region.key]]");
      RemoteKeyConfig read;
      key.text("account", read.account);
      key.text("access_key", read.access_key);
      key.text("secret_key", read.secret_key);
      key.refuse_unknown();
      remote.keys.push_back(std::move(read));
    }
    table.refuse_unknown();
    while (remote.endpoint.ends_with('/')) remote.endpoint.pop_back();
    config.remote_regions.push_back(std::move(remote));
  }
}

// The first account stays; the file adds others, or says the first one's keys.
void read_accounts(Table& root, const std::string& where, Config& config) {
  for (const toml::table* each : root.tables("account")) {
    Table table(*each, where + " [[account]]");
    AccountConfig account;
    table.text("id", account.id);
    table.text("name", account.name);
    table.text("access_key", account.access_key);
    table.text("secret_key", account.secret_key);
    table.texts("member_of", account.member_of);
    table.refuse_unknown();
    bool present = false;
    for (auto& other : config.accounts) {
      if (other.id == account.id) {
        other = account;
        present = true;
      }
    }
    if (!present) config.accounts.push_back(std::move(account));
  }
}

bool is_account(const std::string& id) {
  return id.size() == 12 && id.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

void read_config(const std::filesystem::path& file, Config& config) {
  toml::table parsed;
  try {
    parsed = toml::parse_file(file.string());
  } catch (const toml::parse_error& failure) {
    throw std::runtime_error(file.string() + ", line " + std::to_string(failure.source().begin.line) + ": " +
                             std::string(failure.description()));
  }
  Table root(parsed, file.string());
  std::string data = config.data.string();
  root.text("data", data);
  config.data = data;
  root.text("address", config.address);
  root.number("port", config.port, 65535);
  root.text("tls_certificate", config.tls_certificate);
  root.text("tls_key", config.tls_key);
  root.text("hypervisor", config.hypervisor);
  root.text("libvirt_uri", config.libvirt_uri);
  root.text("qemu", config.qemu);
  root.text("socket_group", config.socket_group);
  root.text("plugin", config.plugin);
  root.text("vpc_cidr", config.vpc_cidr);
  root.text("root_key", config.root_key);
  root.boolean("metadata_service", config.metadata_service);
  root.number("guest_memory_limit_mib", config.guest_memory_limit_mib, 1 << 30);
  root.number("cache_bytes", config.cache_bytes, std::int64_t{1} << 40);
  root.number("slot_cache_bytes", config.slot_cache_bytes, std::int64_t{1} << 50);
  root.text("log_level", config.log_level);
  root.boolean("audit_log", config.audit_log);
  root.number("audit_file_bytes", config.audit_file_bytes, std::int64_t{1} << 40);
  root.number("audit_files", config.audit_files, 1'000'000);
  root.number("copy_attempts", config.copy_attempts, 1000);
  read_regions(root, file.string(), config);
  read_remote_regions(root, file.string(), config);
  read_accounts(root, file.string(), config);
  root.refuse_unknown();
}

void set_listen(const std::string& text, Config& config) {
  const auto colon = text.rfind(':');
  unsigned port = 65536;
  if (colon != std::string::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (port > 65535) throw std::runtime_error("'" + text + "' is no place to listen: wanted ADDRESS:PORT");
  config.address = text.substr(0, colon);
  config.port = static_cast<std::uint16_t>(port);
}

void check(const Config& config) {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
  };
  require(config.hypervisor == "libvirt" || config.hypervisor == "fake",
          "the hypervisor '" + config.hypervisor + "' is not known: libvirt and fake are");
  require(config.tls_certificate.empty() == config.tls_key.empty(), "tls_certificate and tls_key go together");
  require(!config.regions.empty(), "no region is configured");
  std::set<std::string> names;
  const auto check_name = [&](const std::string& name) {
    require(!name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos,
            "the region name '" + name + "' is not of lower-case letters, digits and dashes");
    require(names.insert(name).second, "the region " + name + " is configured twice");
  };
  for (const auto& region : config.regions) check_name(region.name);
  for (const auto& remote : config.remote_regions) {
    check_name(remote.name);
    require(remote::is_server(remote.endpoint), "the endpoint '" + remote.endpoint + "' of region " + remote.name +
                                                    " is not http:// or https:// and a host");
    require(remote.ca_file.empty() || ::access(remote.ca_file.c_str(), R_OK) == 0,
            "the ca_file '" + remote.ca_file + "' of region " + remote.name + " cannot be read");
    for (const auto& key : remote.keys) {
      require(is_account(key.account),
              "the account '" + key.account + "' of a key of region " + remote.name + " is not 12 digits");
      require(!key.access_key.empty() && !key.secret_key.empty(),
              "a key of region " + remote.name + " lacks its access_key or secret_key");
    }
  }
  require(config.copy_attempts > 0, "copy_attempts is 0");
  require(config.audit_file_bytes >= 1 << 20, "audit_file_bytes is less than 1 MiB, wanted 1048576 or more");
  for (const auto& account : config.accounts) {
    require(is_account(account.id), "the account id '" + account.id + "' is not 12 digits");
    require(account.access_key.empty() == account.secret_key.empty(),
            "account " + account.id + " has an access key without a secret, or the other way round");
  }
}

}  // namespace kiln::daemon
