#pragma once
// Calls of another kilnd's public API, signed with a key of its own: what it answers, or in what words it refuses.
//
// Thread-safe; a call waits for its answer. Throws base::ApiError with the source's code and message when it refuses;
// control::SourceFailure when there was no answer, or one of those that ask to come again (5xx, throttling).

#include <string>
#include <string_view>

#include "base/clock.h"
#include "remote/http_client.h"
#include "wire/sigv4.h"

namespace kiln::remote {

struct ServiceCall {
  std::string service;  // signing name: ec2, ebs
  std::string path = "/", query = {};
  std::string form = {};  // not empty: a POST of it
  std::chrono::seconds at_most{60};
};

class SignedCalls {
 public:
  SignedCalls(HttpClient& client, base::Clock& clock, std::string region, wire::Credentials key)
      : client_(client), clock_(clock), region_(std::move(region)), key_(std::move(key)) {}

  const std::string& region() const { return region_; }
  HttpAnswer call(const ServiceCall& what) const;

 private:
  [[noreturn]] void refuse(const ServiceCall& what, const HttpAnswer& answer) const;

  HttpClient& client_;
  base::Clock& clock_;
  const std::string region_;
  const wire::Credentials key_;
};

std::string_view text_of(const HttpAnswer& answer);

}  // namespace kiln::remote
