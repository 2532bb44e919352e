// Parameters from anywhere: they fill a request of every kind of member, or are refused by an ApiError.

#include <cstdint>
#include <cstdlib>

#include "base/api_error.h"
#include "wire/query.h"
#include "wire/xml.h"

namespace kiln::fuzz {

struct Tree {
  std::string name;
  std::vector<Tree> child;
};
struct Everything {
  std::vector<std::string> id;
  std::vector<Tree> tree;
  std::optional<Tree> maybe;
  std::optional<int> count;
  bool flag = false;
  std::int64_t large = 0;
  double real = 0;
  wire::Timestamp at;
  wire::Blob blob;
};

}  // namespace kiln::fuzz

KILN_WIRE(kiln::fuzz::Tree, name, child)
KILN_WIRE(kiln::fuzz::Everything, id, tree, maybe, count, flag, large, real, at, blob)

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const wire::Lists lists : {wire::Lists::flattened, wire::Lists::members}) {
    try {
      const auto params = wire::Params::parse(text);
      fuzz::Everything request;
      wire::decode_query(params, lists, wire::type_of<fuzz::Everything>(), &request);
      if (request.id.size() + request.tree.size() > params.all().size()) std::abort();
      std::string out;
      wire::encode_xml(wire::XmlNames::lower_items, wire::type_of<fuzz::Everything>(), &request, out);
    } catch (const base::ApiError&) {
    }
  }
  return 0;
}
