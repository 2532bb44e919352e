#pragma once
// The volumes of a disk server, asked over its control socket.
//
// Owned by whoever talks to the server; thread-safe: every call connects anew, so a restarted server needs nothing
// here.
// Faults: not_found when no server listens there, io when it went away or did not answer within the deadline (the call
// may have been done: ask again, every call is idempotent), else what the server answered.

#include <chrono>
#include <string>
#include <vector>

#include "base/files.h"
#include "blocks/volume_service.h"

namespace kiln::blocks {

class RemoteVolumes final : public VolumeService {
 public:
  explicit RemoteVolumes(base::Path socket, std::chrono::milliseconds deadline = std::chrono::seconds(30))
      : socket_(std::move(socket)), deadline_(deadline) {}

  base::Result<Hello> hello() override;
  base::Status open(const OpenVolume& what) override;
  base::Status close(const std::string& volume) override;
  base::Result<std::vector<SealedVolume>> seal(const std::vector<SealVolume>& what) override;
  base::Status sealed(const SealVolume& what) override;
  base::Status unseal(const SealVolume& what) override;
  base::Status rebase(const RebaseVolume& what) override;
  base::Status resize(const std::string& volume, std::uint64_t size_bytes) override;
  base::Result<std::vector<VolumeStats>> stats() override;
  base::Result<LaunchTouches> launch_touches(const std::string& volume) override;
  base::Status prefetch(const PrefetchVolume& what) override;

 private:
  base::Result<std::string> ask(const std::string& line);

  const base::Path socket_;
  const std::chrono::milliseconds deadline_;
};

}  // namespace kiln::blocks
