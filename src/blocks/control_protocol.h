#pragma once
// The control protocol between kilnd and a disk server: one JSON object a line over a Unix stream socket.
// docs/formats/control-protocol.md
//
// A codec without I/O. encode() of a call and answer_call() of the served side are each other's inverse; the served
// side never throws and never trusts the line: a version or a call it does not know is answered Fault::unsupported, and
// what breaks the form Fault::invalid. Pure functions, thread-safe.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "blocks/volume_service.h"

namespace kiln::blocks {

constexpr std::uint32_t control_protocol_version = 1;
constexpr std::size_t max_control_line_bytes = 64 << 10;  // with its line feed

namespace control {

// The request lines, without line feed.
std::string hello();
std::string open(const OpenVolume& what);
std::string close(const std::string& volume);
std::string seal(const std::vector<SealVolume>& what);
std::string sealed(const SealVolume& what);
std::string unseal(const SealVolume& what);
std::string rebase(const RebaseVolume& what);
std::string resize(const std::string& volume, std::uint64_t size_bytes);
std::string stats();
std::string launch_touches(const std::string& volume);
std::string prefetch(const PrefetchVolume& what);

// Reads an answer line: the error that the server sent, or what it answered.
base::Status read_done(std::string_view line);
base::Result<Hello> read_hello(std::string_view line);
base::Result<std::vector<SealedVolume>> read_sealed(std::string_view line);
base::Result<std::vector<VolumeStats>> read_stats(std::string_view line);
base::Result<LaunchTouches> read_launch_touches(std::string_view line);

// Does what a request line asks of service and returns the answer line, without line feed.
std::string answer_call(VolumeService& service, std::string_view line);

}  // namespace control
}  // namespace kiln::blocks
