#include <fmt/format.h>

#include "cli/commands.h"
#include "services/service.h"

namespace kiln::cli {

int api() {
  for (const auto& line : services::served_operations()) fmt::print("{}\n", line);
  return 0;
}

}  // namespace kiln::cli
