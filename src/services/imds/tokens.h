#pragma once
// Session tokens of IMDSv2: what proves that a caller could send a PUT and read its answer.
//
// Nothing is kept: a token carries the moment at which it ends, signed for one instance with a secret of this process.
// A token of before a restart is refused, and clients then ask for another one. Thread-safe.

#include <string>
#include <string_view>

#include "base/time.h"

namespace kiln::services::imds {

class Tokens {
 public:
  Tokens();
  std::string make(const std::string& instance_id, base::Micros now, int seconds) const;
  bool is_good(std::string_view token, const std::string& instance_id, base::Micros now) const;

 private:
  const std::string secret_;
};

}  // namespace kiln::services::imds
