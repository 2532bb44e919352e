#include "services/imds/listeners.h"

#include <net/if.h>

#include "base/log.h"

namespace kiln::services::imds {

MetadataListeners::MetadataListeners() {
  http::Options options;
  options.limits.header_bytes = 16 << 10;
  options.limits.body_bytes = 4 << 10;
  options.limits.connections = 500;
  options.limits.request_threads = 4;
  options.handler = [this](http::Request& request) { return answer(request); };
  server_ = std::make_unique<http::Server>(std::move(options));
}

MetadataListeners::~MetadataListeners() { stop(); }

void MetadataListeners::stop() {
  if (server_) server_->stop(std::chrono::seconds(2));
  server_.reset();
}

void MetadataListeners::serve(control::Region& region, const std::string& vpc_id) {
  const Key key{region.name, vpc_id};
  {
    const base::Lock lock(mutex_);
    if (!beginning_.insert(key).second) return;
  }
  std::string failure;
  try {
    listen(region, vpc_id);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  const base::Lock lock(mutex_);
  beginning_.erase(key);
  if (failure == failures_[key]) return;
  failures_[key] = failure;
  if (!failure.empty()) base::log_warning("imds", "{}: no metadata service: {}", vpc_id, failure);
}

void MetadataListeners::listen(control::Region& region, const std::string& vpc_id) {
  const Key key{region.name, vpc_id};
  const std::string bridge = region.host.bridge(vpc_id);
  const unsigned device = ::if_nametoindex(bridge.c_str());
  if (device == 0) throw std::runtime_error("the bridge " + bridge + " is not there");
  std::optional<Place> former;
  {
    const base::Lock lock(mutex_);
    const auto found = places_.find(key);
    if (found != places_.end() && found->second.device == device) return;
    if (found != places_.end()) former = found->second;
  }
  if (former) server_->remove(former->listener);
  {
    // A guest can ask as soon as the kernel listens, so the lock is held until its place is known.
    const base::Lock lock(mutex_);
    const auto listener = server_->listen({.host = "169.254.169.254", .port = 80, .device = bridge, .free_bind = true});
    places_[key] = {.region = &region, .vpc_id = vpc_id, .device = device, .listener = listener};
  }
  base::log_info("imds", "{}: serving metadata at http://169.254.169.254 on {}", vpc_id, bridge);
}

http::Response MetadataListeners::answer(http::Request& request) {
  Place place;
  {
    const base::Lock lock(mutex_);
    for (const auto& [key, candidate] : places_) {
      if (candidate.listener == request.listener) place = candidate;
    }
  }
  if (place.region == nullptr) return {.status = 503, .headers = {}, .body = {}};
  return service_.answer(*place.region, place.vpc_id, request);
}

}  // namespace kiln::services::imds
