#include "services/imds/imds.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "control/iam_identities.h"
#include "control/instances_fixture.h"
#include "control/keys.h"
#include "services/imds/tree.h"

namespace kiln::services::imds {
namespace {

using World = control::InstancesFixture;

control::GuestMetadata some_guest() {
  control::GuestMetadata guest;
  guest.instance.region = "eu-west-1";
  guest.instance.zone = "eu-west-1b";
  guest.instance.id = "i-0123456789abcdef0";
  guest.instance.image_id = "ami-0123456789abcdef0";
  guest.instance.instance_type = "t3.nano";
  guest.instance.private_ip = "10.77.16.4";
  guest.instance.mac = "02:00:00:00:00:01";
  guest.instance.key_name = "my key/2";
  guest.instance.user_data = base::to_base64("#!/bin/sh\necho hi\n");
  guest.architecture = "x86_64";
  guest.groups = {{"sg-1", "default"}, {"sg-2", "web"}};
  guest.devices = {{"ami", "/dev/sda1"}, {"root", "/dev/sda1"}};
  guest.public_key = "ssh-ed25519 AAAA me";
  return guest;
}

TEST(MetadataTree, leaves_and_directories_read_as_in_ec2) {
  const Tree tree = tree_of(some_guest());
  const auto at = [&](std::string_view path) { return look_up(tree, path).value_or("(404)"); };
  EXPECT_EQ(at(""), "dynamic\nmeta-data\nuser-data");
  EXPECT_EQ(at("meta-data/instance-id"), "i-0123456789abcdef0");
  EXPECT_EQ(at("meta-data/placement"), "availability-zone\nregion");
  EXPECT_EQ(at("meta-data/placement/"), "availability-zone\nregion");
  EXPECT_EQ(at("meta-data/placement/region"), "eu-west-1");
  EXPECT_EQ(at("meta-data/local-hostname"), "ip-10-77-16-4.eu-west-1.compute.internal");
  EXPECT_EQ(at("meta-data/security-groups"), "default\nweb");
  EXPECT_EQ(at("meta-data/network/interfaces/macs/"), "02:00:00:00:00:01/");
  EXPECT_EQ(at("meta-data/network/interfaces/macs/02:00:00:00:00:01/security-group-ids"), "sg-1\nsg-2");
  EXPECT_EQ(at("meta-data/block-device-mapping/"), "ami\nroot");
  EXPECT_EQ(at("meta-data/public-keys/"), "0=my key/2");
  EXPECT_EQ(at("meta-data/public-keys/0/"), "openssh-key");
  EXPECT_EQ(at("meta-data/public-keys/0/openssh-key"), "ssh-ed25519 AAAA me");
  EXPECT_EQ(at("meta-data/public-keys/1/openssh-key"), "(404)");
  EXPECT_EQ(at("meta-data/nothing"), "(404)");
  EXPECT_EQ(at("meta-data/instance"), "(404)");
  EXPECT_EQ(at("user-data"), "#!/bin/sh\necho hi\n");
  EXPECT_NE(at("dynamic/instance-identity/document").find("\"instanceId\" : \"i-0123456789abcdef0\""),
            std::string::npos);
  EXPECT_NE(at("meta-data/").find("public-keys/\n"), std::string::npos);
}

TEST(MetadataTree, what_a_guest_does_not_have_is_not_there) {
  auto guest = some_guest();
  guest.public_key.clear();
  guest.instance.user_data.clear();
  const Tree tree = tree_of(guest);
  EXPECT_FALSE(look_up(tree, "user-data"));
  EXPECT_FALSE(look_up(tree, "meta-data/public-keys/"));
  EXPECT_EQ(look_up(tree, "")->find("user-data"), std::string::npos);
}

TEST(Tokens, end_and_belong_to_one_instance) {
  const Tokens tokens;
  const auto token = tokens.make("i-1", 0, 60);
  EXPECT_TRUE(tokens.is_good(token, "i-1", base::seconds(59)));
  EXPECT_FALSE(tokens.is_good(token, "i-1", base::seconds(60)));
  EXPECT_FALSE(tokens.is_good(token, "i-2", 0));
  EXPECT_FALSE(tokens.is_good("", "i-1", 0));
  EXPECT_FALSE(tokens.is_good("AAAA", "i-1", 0));
  EXPECT_FALSE(Tokens().is_good(token, "i-1", 0));
}

// Asks as the guest of one instance.
class MetadataServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    row_ = world_.row(world_.running_instance());
    guest_address_ = row_.private_ip;
  }
  http::Response ask(const std::string& method, const std::string& path, const http::Headers& headers = {}) {
    http::Request request;
    request.method = method;
    request.path = path;
    request.headers = headers;
    request.peer_address = guest_address_;
    return service_.answer(world_.region(), row_.vpc_id, request);
  }
  void change(const control::InstanceChanges& changes) {
    control::change_instance(world_.region(), world_.alice, row_.id, changes);
  }

  // Of a role of the same name, which trusts this service.
  void give_profile(const std::string& name, const std::string& service) {
    const auto& account = world_.alice.account;
    control::create_identity(world_.region(), account,
                             {.kind = control::role_kind,
                              .name = name,
                              .trust_policy = R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":)"
                                              R"({"Service":")" +
                                              service + R"("},"Action":"sts:AssumeRole"}})"});
    control::create_identity(world_.region(), account, {.kind = control::profile_kind, .name = name});
    control::add_member(world_.region(), account, control::profile_kind, name, name);
    control::associate_profile(world_.region(), world_.alice, row_.id, {.name = name, .arn = {}});
  }

  World world_;
  catalog::Instance row_;
  std::string guest_address_;
  MetadataService service_;
};

TEST_F(MetadataServiceTest, version_1_answers_unless_tokens_are_required) {
  EXPECT_EQ(ask("GET", "/latest/meta-data/instance-id").body, row_.id);
  EXPECT_EQ(ask("GET", "/2009-04-04/meta-data/instance-id").body, row_.id);
  EXPECT_NE(ask("GET", "/").body.find("2021-03-23\n"), std::string::npos);
  change({.tokens_required = true});
  EXPECT_EQ(ask("GET", "/latest/meta-data/instance-id").status, 401);
}

TEST_F(MetadataServiceTest, version_2_reads_with_a_token) {
  change({.tokens_required = true});
  const auto given = ask("PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}});
  ASSERT_EQ(given.status, 200);
  EXPECT_EQ(http::find_header(given.headers, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), "21600");
  const http::Headers with_token{{"X-aws-ec2-metadata-token", given.body}};
  EXPECT_EQ(ask("GET", "/latest/meta-data/instance-id", with_token).body, row_.id);
  EXPECT_EQ(ask("GET", "/latest/meta-data/instance-id", {{"X-aws-ec2-metadata-token", "x" + given.body}}).status, 401);
}

TEST_F(MetadataServiceTest, a_bad_token_is_refused_even_where_none_is_required) {
  EXPECT_EQ(ask("GET", "/latest/meta-data/", {{"X-aws-ec2-metadata-token", "nonsense"}}).status, 401);
}

TEST_F(MetadataServiceTest, refuses_bad_token_requests) {
  EXPECT_EQ(ask("PUT", "/latest/api/token").status, 400);
  for (const auto* ttl : {"0", "21601", "-1", "soon", ""}) {
    EXPECT_EQ(ask("PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", ttl}}).status, 400) << ttl;
  }
  EXPECT_EQ(
      ask("PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "60"}, {"X-Forwarded-For", "1.2.3.4"}})
          .status,
      403);
  EXPECT_EQ(ask("GET", "/latest/api/token").status, 405);
  EXPECT_EQ(ask("PUT", "/latest/meta-data/").status, 405);
  EXPECT_EQ(ask("POST", "/latest/meta-data/").status, 405);
}

TEST_F(MetadataServiceTest, unknown_paths_and_strangers_find_nothing) {
  EXPECT_EQ(ask("GET", "/latest/user-data").status, 404);
  EXPECT_EQ(ask("GET", "/1999-01-01/meta-data/").status, 404);
  EXPECT_EQ(ask("GET", "/latest/meta-data/spot/instance-action").status, 404);
  guest_address_ = "10.77.0.200";
  EXPECT_EQ(ask("GET", "/latest/meta-data/").status, 404);
}

constexpr const char* credentials = "/latest/meta-data/iam/security-credentials/";

TEST_F(MetadataServiceTest, credentials_of_the_role_are_real_and_change_each_hour) {
  EXPECT_EQ(ask("GET", "/latest/meta-data/iam/info").status, 404);
  give_profile("server", "ec2.amazonaws.com");
  EXPECT_EQ(ask("GET", "/latest/meta-data/iam/").body, "info\nsecurity-credentials/");
  EXPECT_EQ(ask("GET", credentials).body, "server");
  const auto read = [&] {
    return boost::json::parse(ask("GET", std::string(credentials) + "server").body).as_object();
  };
  const auto word = [](const boost::json::object& from, const char* name) {
    return std::string(from.at(name).as_string());
  };
  const auto info = boost::json::parse(ask("GET", "/latest/meta-data/iam/info").body).as_object();
  EXPECT_EQ(word(info, "InstanceProfileArn"), "arn:aws:iam::" + world_.alice.account + ":instance-profile/server");
  const auto first = read();
  EXPECT_EQ(word(first, "Code"), "Success");
  const auto session =
      control::open_session(world_.region().key_store, word(first, "AccessKeyId"), word(first, "Token"));
  ASSERT_TRUE(session);
  EXPECT_EQ(session->secret, word(first, "SecretAccessKey"));
  EXPECT_EQ(session->principal.arn, "arn:aws:sts::" + world_.alice.account + ":assumed-role/server/" + row_.id);
  EXPECT_NEAR(static_cast<double>(session->expires - world_.clock().now()), 6 * 3600e6, 60e6);
  EXPECT_EQ(first, read()) << "the same for an hour";
  world_.clock().advance(base::seconds(3600));
  EXPECT_NE(word(first, "AccessKeyId"), word(read(), "AccessKeyId"));
  for (const auto* other : {"", "serve", "server2", "server/x"}) {
    EXPECT_EQ(ask("GET", std::string(credentials) + other).body.find("SecretAccessKey"), std::string::npos) << other;
  }
}

TEST_F(MetadataServiceTest, a_role_that_does_not_trust_ec2_gives_no_credentials) {
  give_profile("server", "lambda.amazonaws.com");
  const auto answer = boost::json::parse(ask("GET", std::string(credentials) + "server").body).as_object();
  EXPECT_EQ(std::string(answer.at("Code").as_string()), "AssumeRoleUnauthorizedAccess");
  EXPECT_FALSE(answer.contains("SecretAccessKey"));
}

TEST_F(MetadataServiceTest, a_profile_made_again_under_its_name_is_another_one) {
  give_profile("server", "ec2.amazonaws.com");
  const auto& account = world_.alice.account;
  control::remove_member(world_.region(), account, control::profile_kind, "server", "server");
  EXPECT_EQ(ask("GET", credentials).status, 404);
  control::delete_identity(world_.region(), account, control::profile_kind, "server");
  control::create_identity(world_.region(), account, {.kind = control::profile_kind, .name = "server"});
  control::add_member(world_.region(), account, control::profile_kind, "server", "server");
  EXPECT_EQ(ask("GET", credentials).status, 404);
}

TEST_F(MetadataServiceTest, can_be_turned_off) {
  change({.metadata_enabled = false});
  EXPECT_EQ(ask("GET", "/latest/meta-data/").status, 403);
  EXPECT_EQ(ask("PUT", "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "60"}}).status, 403);
}

}  // namespace
}  // namespace kiln::services::imds
