#pragma once
// Gives the NBD connections of this process send buffers that hold a large answer.
//
// Called by the plugin whenever a connection is opened; thread-safe, idempotent, and never an error: without it
// answers are only slower.

namespace kiln::nbd {

// A Unix socket takes 208 KiB by default, so the thread that answers a read of 1 MiB would sleep and be woken five
// times, once for each time the client has emptied it. nbdkit 1.32 has no option for this and tells a plugin no
// descriptor, so every connected Unix socket of the process is given the size; those of the control protocol do not
// mind. More than net.core.wmem_max needs CAP_NET_ADMIN; without it that limit is what they get.
void widen_socket_buffers();

}  // namespace kiln::nbd
