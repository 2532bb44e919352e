#pragma once
// The operation tables of the service, each at the foot of its family's file, and what the families share.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "base/text.h"
#include "control/parameter_names.h"
#include "control/parameter_reading.h"
#include "services/service.h"

namespace kiln::services::ssm {

std::span<const Operation> parameter_operations();
std::span<const Operation> parameter_list_operations();
std::span<const Operation> parameter_version_operations();
std::vector<control::Asked> asked(const AtDoor& request);

struct Tag {
  std::string key, value;
};

// A version and its value, as GetParameter and the like answer.
struct Parameter {
  std::string name, type, value;
  std::int64_t version = 0;
  std::optional<std::string> selector;
  wire::Timestamp last_modified_date;
  std::string arn, data_type;
};

// Decrypted when it is asked for; else a SecureString stays as it lies.
Parameter to_shape(Call& call, const control::ReadParameter& read, bool decrypt);

inline std::optional<std::string> if_any(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

// How many a page has at most.
inline std::size_t page_size(std::optional<int> asked, int most) {
  const int size = asked.value_or(most);
  if (size < 1 || size > most) {
    control::refuse_member(std::to_string(size), "maxResults", "a number from 1 to " + std::to_string(most));
  }
  return static_cast<std::size_t>(size);
}

// A token is the name of the last one shown.
inline std::string read_token(const std::string& token) {
  const auto name = base::from_base64(token);
  if (!name || (name->empty() && !token.empty())) {
    throw base::ApiError("InvalidNextToken", "The specified token isn't valid.");
  }
  return *name;
}
inline std::optional<std::string> next_token(bool more, const std::string& last) {
  return more ? std::optional(base::to_base64(last)) : std::nullopt;
}

}  // namespace kiln::services::ssm

KILN_WIRE(kiln::services::ssm::Tag, key, value)
KILN_WIRE_NAME(kiln::services::ssm::Parameter, arn, "ARN")
KILN_WIRE(kiln::services::ssm::Parameter, name, type, value, version, selector, last_modified_date, arn, data_type)
