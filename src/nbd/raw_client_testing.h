#pragma once
// For tests: an NBD client that sends whatever it is told to, as no library lets one do.
//
// The oldest form of the protocol with which an export can be named: NBD_OPT_GO, simple replies, big-endian numbers.
// A call waits for the server for at most 20 s.

#include <endian.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/fd.h"

namespace kiln::nbd {

// Commands, their flags and the errors of the NBD protocol.
enum NbdCommand : std::uint16_t {
  cmd_read = 0,
  cmd_write = 1,
  cmd_disconnect = 2,
  cmd_flush = 3,
  cmd_trim = 4,
  cmd_cache = 5,
  cmd_write_zeroes = 6,
  cmd_block_status = 7,
};
enum NbdCommandFlag : std::uint16_t { flag_fua = 1, flag_no_hole = 2, flag_fast_zero = 16 };
enum NbdError : std::uint32_t {
  nbd_ok = 0,
  nbd_eio = 5,
  nbd_enomem = 12,
  nbd_einval = 22,
  nbd_enospc = 28,
  nbd_gone = ~std::uint32_t{0},  // not of the protocol: the server hung up
};

struct NbdRequest {
  std::uint16_t command = cmd_read;
  std::uint16_t flags = 0;
  std::uint64_t offset = 0;
  std::uint32_t count = 0;
  std::uint32_t magic = 0x25609513;
};

class RawClient {
 public:
  bool connect(const std::string& socket_path, const std::string& volume) {
    fd_ = base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) return false;
    std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    return choose(volume);
  }

  bool send(const NbdRequest& request, std::span<const std::byte> payload = {}) {
    base::Bytes out;
    put(out, request.magic);
    put(out, request.flags);
    put(out, request.command);
    put(out, ++handle_);
    put(out, request.offset);
    put(out, request.count);
    return send_bytes(out) && send_bytes(payload);
  }
  bool send_bytes(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Sends one request and waits for its answer. What a read gives is in content.
  std::uint32_t ask(const NbdRequest& request, std::span<const std::byte> payload = {}) {
    content.clear();
    if (!send(request, payload)) return nbd_gone;
    base::Bytes head(16);
    if (!receive(head) || number<std::uint32_t>(head, 0) != 0x67446698 || number<std::uint64_t>(head, 8) != handle_) {
      return nbd_gone;
    }
    const auto error = number<std::uint32_t>(head, 4);
    if (error != nbd_ok || request.command != cmd_read) return error;
    content.resize(request.count);
    return receive(content) ? error : std::uint32_t{nbd_gone};
  }

  void hang_up() { fd_ = base::Fd(); }

  base::Bytes content;

 private:
  static std::uint16_t to_big(std::uint16_t value) { return htobe16(value); }
  static std::uint32_t to_big(std::uint32_t value) { return htobe32(value); }
  static std::uint64_t to_big(std::uint64_t value) { return htobe64(value); }

  template <class Number>
  static void put(base::Bytes& out, Number value) {
    value = to_big(value);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
  }
  template <class Number>
  static Number number(const base::Bytes& bytes, std::size_t at) {
    Number value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return to_big(value);
  }
  bool receive(std::span<std::byte> out) {
    while (!out.empty()) {
      const auto got = ::recv(fd_.get(), out.data(), out.size(), 0);
      if (got <= 0) return false;
      out = out.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }

  // The handshake: NBD_OPT_GO, whose answers are read up to the acknowledgement.
  bool choose(const std::string& volume) {
    constexpr std::uint64_t have_option = 0x49484156454F5054;
    constexpr std::uint32_t go = 7, acknowledged = 1, is_error = 1U << 31;
    base::Bytes greeting(18);
    if (!receive(greeting) || number<std::uint64_t>(greeting, 8) != have_option) return false;
    base::Bytes out;
    put(out, std::uint32_t{3});  // a fixed newstyle client that wants no padding
    put(out, have_option);
    put(out, go);
    put(out, static_cast<std::uint32_t>(4 + volume.size() + 2));
    put(out, static_cast<std::uint32_t>(volume.size()));
    base::append(out, base::as_bytes(volume));
    put(out, std::uint16_t{0});
    if (!send_bytes(out)) return false;
    for (;;) {
      base::Bytes head(20);
      if (!receive(head)) return false;
      const auto type = number<std::uint32_t>(head, 12);
      base::Bytes rest(number<std::uint32_t>(head, 16));
      if (!receive(rest) || (type & is_error) != 0) return false;
      if (type == acknowledged) return true;
    }
  }

  base::Fd fd_;
  std::uint64_t handle_ = 0;
};

}  // namespace kiln::nbd
