#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "services/service.h"

namespace kiln::cli {
namespace {

std::string_view name_of(wire::Kind kind) {
  switch (kind) {
    case wire::Kind::text: return "text";
    case wire::Kind::boolean: return "boolean";
    case wire::Kind::int32:
    case wire::Kind::int64: return "integer";
    case wire::Kind::real: return "real";
    case wire::Kind::timestamp: return "timestamp";
    case wire::Kind::blob: return "blob";
    case wire::Kind::text_map: return "map";
    case wire::Kind::list: return "list";
    case wire::Kind::structure: return "structure";
    case wire::Kind::optional: break;  // stands for what it holds
  }
  return "optional";
}

// Tables as JSON. Their names are identifiers, which need no escapes.
class Shapes {
 public:
  std::string take() { return std::move(out_); }

  void operation(std::string_view service, const services::Operation& served) {
    fmt::format_to(std::back_inserter(out_), R"({{"service":"{}","operation":"{}","request":)", service, served.name);
    shape(served.request());
    out_ += R"(,"response":)";
    shape(served.response());
    out_ += '}';
  }

 private:
  void shape(const wire::Type& type) {
    if (type.kind == wire::Kind::optional) return shape(type.element());
    // A structure within itself is told by its kind alone, or there would be no end.
    const bool again = std::find(open_.begin(), open_.end(), &type) != open_.end();
    fmt::format_to(std::back_inserter(out_), R"({{"kind":"{}")", again ? "recursion" : name_of(type.kind));
    if (!again && type.kind == wire::Kind::list) {
      out_ += R"(,"element":)";
      shape(type.element());
    } else if (!again && type.kind == wire::Kind::structure) {
      open_.push_back(&type);
      members(type);
      open_.pop_back();
    }
    out_ += '}';
  }

  void members(const wire::Type& type) {
    out_ += R"(,"members":[)";
    for (const wire::Member& member : type.members) {
      if (&member != type.members.data()) out_ += ',';
      fmt::format_to(std::back_inserter(out_), R"({{"query":"{}","xml":"{}","shape":)", member.upper, member.lower);
      shape(member.type());
      out_ += '}';
    }
    out_ += ']';
  }

  std::vector<const wire::Type*> open_;
  std::string out_;
};

void print_shapes() {
  std::string_view before = "[";
  for (const services::Service& service : services::all_services()) {
    for (const auto table : service.tables) {
      for (const services::Operation& served : table) {
        Shapes shapes;
        shapes.operation(service.name, served);
        fmt::print("{}{}", before, shapes.take());
        before = ",\n";
      }
    }
  }
  fmt::print("]\n");
}

}  // namespace

int api(bool shapes) {
  if (shapes) {
    print_shapes();
    return 0;
  }
  for (const auto& line : services::served_operations()) fmt::print("{}\n", line);
  return 0;
}

}  // namespace kiln::cli
