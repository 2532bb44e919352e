#include "remote/remote_regions.h"

#include <atomic>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "remote/answers.h"
#include "remote/signed_calls.h"

namespace kiln::remote {
namespace {

using base::ApiError;
using control::SourceFailure;

// Requests that wait for one remote region, each on a thread of the daemon's own request pool.
constexpr int most_waiting_requests = 3;
constexpr std::chrono::seconds most_of_a_request{10};
constexpr std::chrono::seconds most_of_a_page{60}, most_of_a_block{120};
// Enough to fill a gigabit over 60 ms: 8 MiB.
constexpr unsigned blocks_in_flight = 16;

class Waiting {
 public:
  Waiting(std::atomic<int>& count, const std::string& region) : count_(count) {
    if (++count_ <= most_waiting_requests) return;
    --count_;
    throw ApiError("RequestLimitExceeded", "Too many requests wait for an answer of region " + region + ".", 503);
  }
  ~Waiting() { --count_; }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::atomic<int>& count_;
};

// What is not understood may be an answer that was cut or spoilt on its way.
template <class Body>
auto understood(const std::string& region, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Unreadable& unreadable) {
    throw SourceFailure("region " + region + ": " + unreadable.what());
  }
}

class HttpRegion final : public control::SourceRegion {
 public:
  HttpRegion(SignedCalls calls, std::atomic<int>& waiting) : calls_(std::move(calls)), waiting_(waiting) {}

  control::SourceImage image(const std::string& image_id) override {
    if (!base::is_id("ami", image_id)) {
      throw ApiError("InvalidAMIID.Malformed", "Invalid id: \"" + image_id + "\" (expecting \"ami-...\")");
    }
    const auto answer = describe("DescribeImages", "ImageId.1", image_id);
    auto found = understood(calls_.region(), [&] { return image_of(text_of(answer), image_id); });
    if (!found) throw ApiError("InvalidAMIID.NotFound", "The image id '[" + image_id + "]' does not exist");
    const auto& architecture = found->image.architecture;
    if (architecture != "x86_64" && architecture != "arm64") {
      throw ApiError("UnsupportedOperation", "Images of architecture " + architecture + " cannot be launched here.");
    }
    return *std::move(found);
  }

  control::SourceSnapshot snapshot(const std::string& snapshot_id) override {
    if (!base::is_id("snap", snapshot_id)) {
      throw ApiError("InvalidParameterValue",
                     "Value (" + snapshot_id + ") for parameter snapshotId is invalid. Expected: 'snap-...'.");
    }
    const auto answer = describe("DescribeSnapshots", "SnapshotId.1", snapshot_id);
    auto found = understood(calls_.region(), [&] { return snapshot_of(text_of(answer), snapshot_id); });
    // Of another account: left out of the answer.
    if (!found) throw ApiError("InvalidSnapshot.NotFound", "The snapshot '" + snapshot_id + "' does not exist.");
    return *std::move(found);
  }

  control::SourcePage blocks(const std::string& snapshot_id, const std::string& page) override {
    const auto answer =
        calls_.call({.service = "ebs",
                     .path = "/snapshots/" + base::percent_encode(snapshot_id) + "/blocks",
                     .query = "maxResults=10000" + (page.empty() ? "" : "&pageToken=" + base::percent_encode(page)),
                     .at_most = most_of_a_page});
    return understood(calls_.region(), [&] { return page_of(text_of(answer)); });
  }

  blocks::ChunkBytes block(const std::string& snapshot_id, const control::SourceBlock& block) override {
    const auto what = "block " + std::to_string(block.index) + " of " + snapshot_id;
    auto answer = calls_.call(
        {.service = "ebs",
         .path = "/snapshots/" + base::percent_encode(snapshot_id) + "/blocks/" + std::to_string(block.index),
         .query = "blockToken=" + base::percent_encode(block.token),
         .at_most = most_of_a_block});
    const auto wanted = block.digest ? block.digest : digest_of(answer.header("x-amz-checksum"));
    if (!wanted) throw SourceFailure(what + " came without a checksum");
    if (base::sha256(answer.body) != *wanted) throw SourceFailure(what + " came with other bytes than its checksum's");
    return std::make_shared<base::Bytes>(std::move(answer.body));
  }

  unsigned most_in_flight() const override { return blocks_in_flight; }

 private:
  HttpAnswer describe(const std::string& action, const std::string& parameter, const std::string& id) {
    const Waiting waiting(waiting_, calls_.region());
    return calls_.call(
        {.service = "ec2",
         .form = "Action=" + action + "&Version=2016-11-15&" + parameter + "=" + base::percent_encode(id),
         .at_most = most_of_a_request});
  }

  const SignedCalls calls_;
  std::atomic<int>& waiting_;
};

}  // namespace

struct HttpRegions::Remote {
  RemoteRegionOptions options;
  base::Clock& clock;
  HttpClient client;
  std::atomic<int> waiting = 0;

  Remote(base::Clock& with, const RemoteRegionOptions& what)
      : options(what), clock(with), client(what.endpoint, what.ca_file) {}
};

HttpRegions::HttpRegions(base::Clock& clock, const std::vector<RemoteRegionOptions>& regions) {
  for (const auto& each : regions) remotes_.push_back(std::make_unique<Remote>(clock, each));
}

HttpRegions::~HttpRegions() = default;

std::vector<control::RemoteRegions::Known> HttpRegions::all() const {
  std::vector<Known> known;
  for (const auto& each : remotes_) known.push_back({.name = each->options.name, .endpoint = each->options.endpoint});
  return known;
}

std::unique_ptr<control::SourceRegion> HttpRegions::open(const std::string& name,
                                                         const control::Principal& caller) const {
  for (const auto& each : remotes_) {
    if (each->options.name != name) continue;
    const auto key = each->options.keys.find(caller.account);
    if (key == each->options.keys.end()) {
      throw ApiError(
          "UnauthorizedOperation",
          "Account " + caller.account + " has no access to region " + name + ": no key is configured for it.", 403);
    }
    return std::make_unique<HttpRegion>(SignedCalls(each->client, each->clock, name, key->second), each->waiting);
  }
  return nullptr;
}

}  // namespace kiln::remote
