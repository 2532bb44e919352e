// The AWS CLI, as installed, against a server with our dispatch: the signer that real clients use.
#include <gtest/gtest.h>

#include "base/process.h"
#include "catalog/accounts.h"
#include "control/region_fixture.h"
#include "services/dispatch.h"
#include "services/sts/sts.h"

namespace kiln::services {
namespace {

using namespace std::chrono_literals;

class AwsCli : public ::testing::Test {
 protected:
  AwsCli() {
    world_.region().catalog.run_in_txn([](catalog::Txn& txn) {
      catalog::insert(txn, catalog::Account{.id = "123456789012", .name = "one"});
      catalog::insert(txn, catalog::AccessKey{.id = "AKIDEXAMPLE",
                                              .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                              .account = "123456789012",
                                              .principal = "arn:aws:iam::123456789012:root"});
    });
    const auto listener = server_.listen({});
    url_ = "http://127.0.0.1:" + std::to_string(server_.port(listener));
  }
  void SetUp() override {
    const auto version = base::run({.arguments = {"aws", "--version"}}, 60s);
    if (version.exit_code != 0) GTEST_SKIP() << "aws: not installed";
  }
  base::Finished aws(const std::string& secret) {
    return base::run({.arguments = {"aws", "--endpoint-url", url_, "--region", "us-east-1", "sts",
                                    "get-caller-identity", "--output", "json"},
                      .environment = {{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
                                      {"AWS_SECRET_ACCESS_KEY", secret},
                                      {"AWS_SESSION_TOKEN", ""},
                                      {"AWS_CONFIG_FILE", "/nonexistent"},
                                      {"AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"},
                                      {"AWS_EC2_METADATA_DISABLED", "true"},
                                      {"AWS_MAX_ATTEMPTS", "1"},
                                      {"AWS_PAGER", ""},
                                      {"no_proxy", "127.0.0.1"}}},
                     60s);
  }

  control::RegionFixture world_;
  base::SystemClock clock_;
  const std::vector<Service> services_{sts::service()};
  const Dispatch dispatch_{world_.regions(), world_.region().catalog, clock_, services_};
  http::Server server_{
      {.handler = [this](http::Request& request) { return dispatch_.answer(request); }, .refuse = Dispatch::refuse}};
  std::string url_;
};

TEST_F(AwsCli, learns_who_it_is) {
  const auto got = aws("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  EXPECT_EQ(got.exit_code, 0) << got.output;
  EXPECT_NE(got.output.find("\"Account\": \"123456789012\""), std::string::npos) << got.output;
  EXPECT_NE(got.output.find("\"Arn\": \"arn:aws:iam::123456789012:root\""), std::string::npos) << got.output;
}

TEST_F(AwsCli, understands_a_refusal) {
  const auto got = aws("wrong");
  EXPECT_NE(got.exit_code, 0);
  EXPECT_NE(got.output.find("An error occurred (SignatureDoesNotMatch)"), std::string::npos) << got.output;
}

}  // namespace
}  // namespace kiln::services
