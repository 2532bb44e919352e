#include "control/region.h"

#include <stdexcept>

namespace kiln::control {

Region& Regions::at(const std::string& name) const {
  Region* const region = find(name);
  if (region == nullptr) throw std::runtime_error("region " + name + " is not served: add it to the configuration");
  return *region;
}

}  // namespace kiln::control
