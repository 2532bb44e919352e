// Our keys against OpenSSH's own ssh-keygen.
#include "control/ssh_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/api_error.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/process.h"

namespace kiln::control {
namespace {

class SshKeys : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string write(const std::string& text) {
    const auto path = dir_ / "key";
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }
  std::string keygen(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ssh-keygen");
    const auto done = base::run({.arguments = arguments}, std::chrono::seconds(20));
    EXPECT_EQ(done.exit_code, 0) << done.output;
    return done.output;
  }
  const base::Path dir_ = std::filesystem::temp_directory_path() / ("kiln-keys-" + base::random_hex(8));
};

TEST_F(SshKeys, a_private_key_yields_its_public_line_in_ssh_keygen) {
  for (const SshKey& key : {make_rsa_key(), make_ed25519_key()}) {
    const auto line = keygen({"-y", "-f", write(key.private_key)});
    EXPECT_TRUE(line.starts_with(key.public_line)) << line;
  }
}

TEST_F(SshKeys, the_fingerprint_of_an_ed25519_key_is_ssh_keygens) {
  const auto key = make_ed25519_key();
  EXPECT_NE(keygen({"-lf", write(key.public_line + "\n")}).find("SHA256:" + key.fingerprint), std::string::npos);
}

TEST_F(SshKeys, an_imported_line_keeps_its_key_and_loses_its_comment) {
  for (const SshKey& key : {make_rsa_key(), make_ed25519_key()}) {
    const auto read = read_public_key(key.public_line + " somebody@example.com\n");
    EXPECT_EQ(read.public_line, key.public_line);
    EXPECT_EQ(read.type, key.type);
    EXPECT_FALSE(read.fingerprint.empty());
  }
}

TEST_F(SshKeys, what_is_no_key_is_refused) {
  for (const std::string text :
       {"", "ssh-rsa", "ssh-rsa AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA", "AAAAC3NzaC1lZDI1NTE5AAAA////",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}) {
    EXPECT_THROW(read_public_key(text), base::ApiError) << text;
  }
}

}  // namespace
}  // namespace kiln::control
