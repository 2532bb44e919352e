// A JSON body from anywhere: it fills a structure that is written and read back the same, or is refused.

#include <cstdint>
#include <cstdlib>

#include "base/api_error.h"
#include "wire/json.h"

namespace kiln::fuzz {

struct Tree {
  std::string name;
  std::vector<Tree> child;
  std::optional<std::int64_t> large;
  std::optional<bool> flag;
  std::optional<double> real;
  wire::Blob blob;
};

}  // namespace kiln::fuzz

KILN_WIRE(kiln::fuzz::Tree, name, child, large, flag, real, blob)

using namespace kiln;

namespace {

std::string written(const fuzz::Tree& tree) {
  std::string out;
  wire::encode_json(wire::JsonNames::upper, wire::type_of<fuzz::Tree>(), &tree, out);
  return out;
}

fuzz::Tree read(std::string_view text) {
  fuzz::Tree tree;
  wire::decode_json(text, wire::JsonNames::upper, wire::type_of<fuzz::Tree>(), &tree);
  return tree;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string once = written(read({reinterpret_cast<const char*>(data), size}));
    if (written(read(once)) != once) std::abort();
  } catch (const base::ApiError&) {
  }
  return 0;
}
