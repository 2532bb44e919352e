#pragma once
// The daemon: everything wired together, in the order in which it starts; it stops in the opposite one.
//
// Owned by main. The constructor returns when requests can be served; stop() ends what runs here and leaves guests and
// their disk servers alone. Throws std::runtime_error with a sentence for the operator.

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "daemon/config.h"

namespace kiln::daemon {

class Daemon {
 public:
  // inherited: listening sockets that our parent opened; they are served instead of the configured address.
  Daemon(const Config& config, std::vector<base::Fd> inherited);
  ~Daemon();

  // What the ready line says: http://127.0.0.1:8773
  const std::string& url() const;
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kiln::daemon
