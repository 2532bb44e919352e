// A line of the control protocol from anywhere, as a call and as an answer: one line comes back and nothing is thrown.

#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "blocks/control_protocol.h"

using namespace kiln;

namespace {

// Refuses everything, with a sentence that JSON cannot hold as it is.
class NoVolumes final : public blocks::VolumeService {
 public:
  base::Result<blocks::Hello> hello() override { return blocks::Hello{.instance = "i-1"}; }
  base::Status open(const blocks::OpenVolume&) override { return no(); }
  base::Status close(const std::string&) override { return no(); }
  base::Result<std::vector<blocks::SealedVolume>> seal(const std::vector<blocks::SealVolume>&) override { return no(); }
  base::Status sealed(const blocks::SealVolume&) override { return no(); }
  base::Status unseal(const blocks::SealVolume&) override { return no(); }
  base::Status rebase(const blocks::RebaseVolume&) override { return no(); }
  base::Status resize(const std::string&, std::uint64_t) override { return no(); }
  base::Result<std::vector<blocks::VolumeStats>> stats() override { return std::vector<blocks::VolumeStats>{}; }
  base::Result<blocks::LaunchTouches> launch_touches(const std::string&) override { return blocks::LaunchTouches{}; }
  base::Status prefetch(const blocks::PrefetchVolume&) override { return {}; }

 private:
  static base::Error no() { return {base::Fault::not_found, "\xff\n\"no\""}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto line = base::as_text(std::as_bytes(std::span(data, size)));
  NoVolumes volumes;
  const auto answer = blocks::control::answer_call(volumes, line);
  if (answer.size() >= blocks::max_control_line_bytes || answer.find('\n') != std::string::npos) std::abort();
  const auto read = blocks::control::read_done(answer);
  if (!read.ok() && read.error().fault() == base::Fault::io) std::abort();  // a fault without a name
  (void)blocks::control::read_hello(line);
  (void)blocks::control::read_sealed(line);
  (void)blocks::control::read_stats(line);
  return 0;
}
