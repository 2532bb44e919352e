#pragma once
// The operator's channel: one JSON object a line over <data>/kilnd.sock, with a file descriptor beside a line.
//
// Both ends: the CLI sends one request (and the file that it is about), the daemon answers with lines until "done" or
// "error". A line is at most 64 KiB. Only the daemon's own user and root may connect. Used by one thread at a time;
// waits for the peer; throws std::runtime_error when the channel breaks.

#include <optional>
#include <string>

#include "base/fd.h"

namespace kiln::services::operators {

constexpr std::size_t most_line_bytes = 64 << 10;

class Channel {
 public:
  explicit Channel(base::Fd socket) : socket_(std::move(socket)) {}
  // Connects to the daemon of a data directory; the error says what to do when there is none.
  static Channel connect(const std::string& socket_path);

  void send(const std::string& line, int descriptor = -1);
  // The next line without its end; nothing when the peer has closed. A descriptor that came along is in passed().
  std::optional<std::string> receive();
  base::Fd take_passed() { return std::move(passed_); }
  // Whether the peer has gone: asked between pieces of long work.
  bool closed_by_peer() const;
  // The peer's user, from the kernel.
  unsigned peer_uid() const;

 private:
  base::Fd socket_;
  base::Fd passed_;
  std::string pending_;
};

}  // namespace kiln::services::operators
