#pragma once
// The answers of another region's EC2 and EBS direct APIs, read. Pure functions of bytes from outside: whatever they
// are, the outcome is a value or Unreadable.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "control/source_region.h"

namespace kiln::remote {

class Unreadable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Refused {
  std::string code, message;  // empty where the answer says nothing that is understood
};
Refused ec2_refusal(std::string_view xml);
Refused json_refusal(std::string_view error_type_header, std::string_view json);

// DescribeImages and DescribeSnapshots of one id; nothing when it is not among them.
std::optional<control::SourceImage> image_of(std::string_view xml, const std::string& image_id);
std::optional<control::SourceSnapshot> snapshot_of(std::string_view xml, const std::string& snapshot_id);

// ListSnapshotBlocks. From a Kiln it has the digest of each block, the size of the disk in bytes and the digest of its
// tree, which the API's model does not have.
control::SourcePage page_of(std::string_view json);

// A SHA-256 in base64.
std::optional<base::Digest> digest_of(std::string_view base64);

}  // namespace kiln::remote
