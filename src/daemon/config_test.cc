#include "daemon/config.h"

#include <gmock/gmock.h>

#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace kiln::daemon {
namespace {

class ConfigFile : public testing::Test {
 protected:
  ConfigFile() {
    char name[] = "/tmp/kiln-config-XXXXXX";
    const int fd = ::mkstemp(name);
    if (fd < 0) throw std::runtime_error("no temporary file");
    ::close(fd);
    path_ = name;
  }
  ~ConfigFile() override { std::filesystem::remove(path_); }

  Config read(const std::string& text) {
    std::ofstream(path_) << text;
    Config config;
    read_config(path_, config);
    check(config);
    return config;
  }
  std::string refusal_of(const std::string& text) {
    try {
      read(text);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "none";
  }

  std::filesystem::path path_;
};

TEST_F(ConfigFile, says_what_the_daemon_runs_with) {
  const auto config = read(R"(
    data = "/srv/kiln"
    port = 0
    metadata_service = false
    [[region]]
    name = "lab-1"
    [[region]]
    name = "lab-2"
    zones = ["lab-2x"]
    [[remote_region]]
    name = "site-1"
    endpoint = "https://site.example:8773/"
    [[remote_region.key]]
    account = "123456789012"
    access_key = "A"
    secret_key = "S"
    [[account]]
    id = "210987654321"
    name = "second")");
  EXPECT_EQ(config.data, "/srv/kiln");
  EXPECT_EQ(config.port, 0);
  EXPECT_FALSE(config.metadata_service);
  ASSERT_EQ(config.regions.size(), 2U);
  EXPECT_THAT(config.regions[0].zones, testing::ElementsAre("lab-1a", "lab-1b", "lab-1c"));
  EXPECT_THAT(config.regions[1].zones, testing::ElementsAre("lab-2x"));
  ASSERT_EQ(config.remote_regions.size(), 1U);
  EXPECT_EQ(config.remote_regions[0].endpoint, "https://site.example:8773");
  EXPECT_EQ(config.remote_regions[0].keys.at(0).access_key, "A");
  EXPECT_EQ(config.accounts.size(), 2U) << "the first account stays";
  EXPECT_EQ(read("").regions.size(), 2U) << "an empty file changes nothing";
}

TEST_F(ConfigFile, says_what_is_wrong_with_it_and_where) {
  const std::string remote = "[[remote_region]]\nname = \"site-1\"\nendpoint = \"http://site.example\"\n";
  const std::pair<std::string, std::string> rows[] = {
      {"data = ", "line 1: "},
      {"prot = 1", ": the key 'prot' is not known"},
      {"port = \"80\"", ": port is not a whole number"},
      {"port = 65536", ": port is 65536, wanted 0 to 65535"},
      {"port = -1", ": port is -1, wanted 0 to 65535"},
      {"metadata_service = 1", ": metadata_service is not true or false"},
      {"hypervisor = \"xen\"", "the hypervisor 'xen' is not known: libvirt and fake are"},
      {"tls_key = \"/k\"", "tls_certificate and tls_key go together"},
      {"region = \"lab-1\"", ": region is not a list of tables, [[region]]"},
      {"[region]\nname = \"lab-1\"", ": region is not a list of tables, [[region]]"},
      {"[[region]]\nname = \"Lab 1\"", "the region name 'Lab 1' is not of lower-case letters, digits and dashes"},
      {"[[region]]\nname = \"a\"\nzones = \"b\"", " [[region]]: zones is not a list of strings"},
      {"[[region]]\nname = \"a\"\nzones = [1]", " [[region]]: zones is not a list of strings"},
      {"[[region]]\nname = \"a\"\n[[region]]\nname = \"a\"", "the region a is configured twice"},
      {"[[remote_region]]\nname = \"us-east-1\"\nendpoint = \"http://x\"", "the region us-east-1 is configured twice"},
      {"[[remote_region]]\nname = \"a\"\nendpoint = \"ftp://x\"", "the endpoint 'ftp://x' of region a is not http://"},
      {remote + "ca_file = \"/nowhere/ca.pem\"", "the ca_file '/nowhere/ca.pem' of region site-1 cannot be read"},
      {remote + "[[remote_region.key]]\naccount = \"1\"", "the account '1' of a key of region site-1 is not 12 digits"},
      {remote + "[[remote_region.key]]\naccount = \"123456789012\"", "lacks its access_key or secret_key"},
      {remote + "colour = \"red\"", " [[remote_region]]: the key 'colour' is not known"},
      {"[[account]]\nid = \"12\"", "the account id '12' is not 12 digits"},
      {"copy_attempts = 0", "copy_attempts is 0"},
      {"audit_file_bytes = 5", "audit_file_bytes is less than 1 MiB"},
  };
  for (const auto& [text, why] : rows) EXPECT_THAT(refusal_of(text), testing::HasSubstr(why)) << text;
}

}  // namespace
}  // namespace kiln::daemon
