#pragma once
// The regions of other daemons, as sources of copies: asked by their public API, as any client asks them.
//
//   DescribeImages, DescribeSnapshots   on a request thread, so with a short deadline, and few at a time
//   ListSnapshotBlocks, GetSnapshotBlock   on the threads of a copy, most_in_flight at a time for each copy
//
// Made by the wiring from the configuration, immutable, thread-safe. The keys are of accounts there, one for each local
// account that may copy from there: what that key may see is what the local account may copy.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/source_region.h"
#include "remote/http_client.h"
#include "wire/sigv4.h"

namespace kiln::remote {

struct RemoteRegionOptions {
  std::string name;
  std::string endpoint;                           // https://kiln.example:8773
  std::string ca_file;                            // PEM; empty: whom the system trusts
  std::map<std::string, wire::Credentials> keys;  // by local account
};

class HttpRegions final : public control::RemoteRegions {
 public:
  HttpRegions(base::Clock& clock, const std::vector<RemoteRegionOptions>& regions);
  ~HttpRegions() override;

  std::vector<Known> all() const override;
  std::unique_ptr<control::SourceRegion> open(const std::string& name, const control::Principal& caller) const override;

 private:
  struct Remote;
  std::vector<std::unique_ptr<Remote>> remotes_;
};

}  // namespace kiln::remote
