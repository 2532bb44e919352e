#pragma once
// What kilnd is told: built-in defaults, then kiln.toml, then the command line. docs/operating/configuration.md
//
// A plain value, read once at start. Throws std::runtime_error that names the file, the key and what was wanted.

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::daemon {

struct RegionConfig {
  std::string name;
  std::vector<std::string> zones;
};

struct AccountConfig {
  std::string id;  // 12 digits
  std::string name;
  std::string access_key, secret_key;  // empty: made at first start
  std::vector<std::string> member_of;  // ARNs of organisations and units
};

// A region that another daemon serves: images and snapshots can be copied from there.
struct RemoteKeyConfig {
  std::string account;  // ours, whose calls it signs
  std::string access_key, secret_key;
};
struct RemoteRegionConfig {
  std::string name;
  std::string endpoint;  // https://kiln.example:8773
  std::string ca_file;   // PEM; empty: whom the system trusts
  std::vector<RemoteKeyConfig> keys;
};

struct Config {
  std::filesystem::path data = "/var/lib/kiln";
  std::string address = "127.0.0.1";
  std::uint16_t port = 8773;
  std::string tls_certificate, tls_key;  // PEM files; both or neither
  std::string hypervisor = "libvirt";    // libvirt or fake
  std::string libvirt_uri = "qemu:///system";
  std::string qemu = "/usr/bin/qemu-system-x86_64";
  std::string socket_group;  // the group that QEMU runs as; empty: libvirt says
  std::string plugin;        // nbdkit-kiln-plugin.so; empty: beside the program, or where packages put it
  std::string vpc_cidr = "10.77.0.0/16";
  std::string root_key;  // the file that all keys are encrypted by; empty: <data>/keys/root
  bool metadata_service = true;
  std::uint64_t guest_memory_limit_mib = 0;                 // guests get no more, whatever their type says; 0: no limit
  std::uint64_t cache_bytes = 64 << 20;                     // of decoded chunks, per region
  std::uint64_t slot_cache_bytes = std::uint64_t{4} << 30;  // the same on disk, shared with the guests; 0: none
  std::string log_level = "info";
  bool audit_log = true;
  std::uint64_t audit_file_bytes = 64 << 20;  // a file of the audit log that holds more makes place for another
  int audit_files = 16;                       // of those that made place are kept
  std::vector<RegionConfig> regions = {{"us-east-1", {"us-east-1a", "us-east-1b", "us-east-1c"}},
                                       {"eu-west-1", {"eu-west-1a", "eu-west-1b", "eu-west-1c"}}};
  std::vector<RemoteRegionConfig> remote_regions;
  int copy_attempts = 10;  // how often in a row a copy is tried without a block arriving
  std::vector<AccountConfig> accounts = {{"123456789012", "default", "", "", {}}};
};

// Reads file over config.
void read_config(const std::filesystem::path& file, Config& config);
// "127.0.0.1:8773" over config.
void set_listen(const std::string& text, Config& config);
// Checks what cannot be checked member by member.
void check(const Config& config);

}  // namespace kiln::daemon
