#pragma once
// Listening sockets: made here, or inherited. Plain POSIX; throws std::runtime_error that says what was wanted.

#include <string>
#include <vector>

#include "base/fd.h"

namespace kiln::http {

struct ListenOn {
  std::string host = "127.0.0.1";  // a numeric address, IPv4 or IPv6
  int port = 0;                    // 0: the kernel picks one
  std::string device = {};         // only what arrives on this interface (SO_BINDTODEVICE); empty: any
  bool free_bind = false;          // the address need not be there yet (IP_FREEBIND)
};

base::Fd listen_on(const ListenOn& where);

// The sockets that our parent handed over (LISTEN_PID, LISTEN_FDS), as systemd does: descriptors 3 and up. The
// variables are removed, so that children do not take them for theirs; empty when there are none. Call once, at start.
std::vector<base::Fd> inherited_sockets();

}  // namespace kiln::http
