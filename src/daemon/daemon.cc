#include "daemon/daemon.h"

#include <unistd.h>

#include <stdexcept>

#include "base/ids.h"
#include "base/log.h"
#include "base/rotating_log.h"
#include "base/text.h"
#include "control/fast_restores.h"
#include "control/images.h"
#include "control/instance_jobs.h"
#include "control/kms_keys.h"
#include "control/reconcile.h"
#include "control/region.h"
#include "control/scrub.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_recoding.h"
#include "control/snapshot_tiers.h"
#include "control/snapshot_writes.h"
#include "control/snapshots.h"
#include "control/upload_session.h"
#include "control/volumes.h"
#include "daemon/accounts.h"
#include "daemon/region_parts.h"
#include "http/server.h"
#include "hypervisor/fake/fake_host.h"
#include "hypervisor/libvirt/libvirt_host.h"
#include "keys/local_key_store.h"
#include "remote/remote_regions.h"
#include "services/audit.h"
#include "services/dispatch.h"
#include "services/imds/listeners.h"
#include "services/operator/server.h"

namespace kiln::daemon {
namespace {

constexpr int job_workers = 8;

std::unique_ptr<base::File> lock_data(base::Files& files, const Config& config) {
  const auto made = files.make_directories(config.data);
  if (!made) throw std::runtime_error(made.error().message());
  auto lock = files.open(config.data / "LOCK", base::Open::create_or_open);
  if (!lock) throw std::runtime_error(lock.error().message());
  const auto locked = (*lock)->lock();
  if (!locked) throw std::runtime_error("another kilnd uses " + config.data.string() + ": " + locked.error().message());
  return std::move(*lock);
}

// Names this data directory for good, so that of several on one host each finds its own domains.
std::string data_id(base::Files& files, const Config& config) {
  const auto path = config.data / "id";
  if (const auto present = files.read_all(path)) return std::string(base::trim(*present));
  const auto made = base::new_uuid();
  const auto written = files.replace(path, base::as_bytes(made + "\n"));
  if (!written) throw std::runtime_error(written.error().message());
  return made;
}

std::unique_ptr<keys::KeyStore> open_keys(base::Files& files, const Config& config) {
  auto store =
      keys::LocalKeyStore::open({.files = files, .directory = config.data / "keys", .root_file = config.root_key});
  if (!store) throw std::runtime_error(store.error().message());
  return std::move(*store);
}

std::string plugin_path(const Config& config) {
  if (!config.plugin.empty()) return config.plugin;
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const auto beside = program.parent_path().parent_path() / "lib" / "nbdkit-kiln-plugin.so";
  return std::filesystem::exists(beside) ? beside.string() : "kiln";
}

std::unique_ptr<hypervisor::Host> make_host(const Config& config, base::Files& files) {
  if (config.hypervisor == "fake") return std::make_unique<hypervisor::FakeHost>();
  return std::make_unique<hypervisor::LibvirtHost>(
      hypervisor::LibvirtOptions{.uri = config.libvirt_uri,
                                 .directory = config.data / "host",
                                 .owner = data_id(files, config),
                                 .qemu = config.qemu,
                                 .disk_servers = {.plugin = plugin_path(config), .socket_group = config.socket_group}});
}

control::Principal operator_of(const Config& config) {
  const auto& account = config.accounts.front().id;
  return {.account = account, .arn = "arn:aws:iam::" + account + ":root", .user_id = account, .access_key = {}};
}

}  // namespace

std::vector<remote::RemoteRegionOptions> remotes_of(const Config& config) {
  std::vector<remote::RemoteRegionOptions> remotes;
  for (const auto& each : config.remote_regions) {
    auto& remote = remotes.emplace_back();
    remote.name = each.name;
    remote.endpoint = each.endpoint;
    remote.ca_file = each.ca_file;
    for (const auto& key : each.keys) remote.keys[key.account] = {key.access_key, key.secret_key};
  }
  return remotes;
}

// Members stand in the order in which they start: each uses only those above it, and is destroyed before them.
struct Daemon::Parts {
  explicit Parts(const Config& c)
      : config(c),
        lock(lock_data(files, config)),
        catalog(catalog::open_sqlite(config.data / "catalog.db", clock)),
        host(make_host(config, files)),
        key_store(open_keys(files, config)),
        runner(*catalog, clock, {.owner = base::new_uuid(), .workers = job_workers, .sole_owner = true}),
        shared{clock, files, *catalog, *host, runner, *key_store},
        remotes(clock, remotes_of(config)) {}

  const Config config;
  base::SystemClock clock;
  base::Files& files = base::posix_files();
  std::unique_ptr<base::File> lock;
  std::unique_ptr<catalog::Database> catalog;
  std::unique_ptr<hypervisor::Host> host;
  std::unique_ptr<keys::KeyStore> key_store;
  jobs::Runner runner;
  Shared shared;
  remote::HttpRegions remotes;
  std::vector<std::unique_ptr<RegionParts>> region_parts;
  control::Regions regions;
  std::unique_ptr<services::imds::MetadataListeners> metadata;
  std::unique_ptr<control::Reconciler> reconciler;
  std::unique_ptr<control::Scrubber> scrubber;
  std::unique_ptr<base::RotatingLog> audit_log;
  std::unique_ptr<services::Dispatch> dispatch;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<services::operators::Server> operators;
  std::string url;

  std::function<void(control::Region&, const std::string&)> network_ready() {
    if (!metadata) return {};
    return [this](control::Region& region, const std::string& vpc_id) { metadata->serve(region, vpc_id); };
  }

  void start_regions() {
    regions.set_remotes(&remotes);
    for (const auto& region : config.regions) {
      region_parts.push_back(std::make_unique<RegionParts>(config, region, shared));
      regions.add(region_parts.back()->region(regions));
      control::abandon_dead_sessions(*regions.all().back());
      control::finish_key_work(*regions.all().back());
    }
    if (config.metadata_service && config.hypervisor != "fake") {
      metadata = std::make_unique<services::imds::MetadataListeners>();
    }
    control::add_volume_jobs(runner, regions);
    control::add_snapshot_jobs(runner, regions);
    control::add_snapshot_write_jobs(runner, regions);
    control::add_copy_jobs(runner, regions, {.most_failures = config.copy_attempts});
    control::add_recoding_jobs(runner, regions);
    control::add_tier_jobs(runner, regions);
    control::add_fast_restore_jobs(runner, regions);
    for (const auto& region : regions.all()) control::resume_fast_restores(*region);
    control::add_image_jobs(runner, regions);
    control::add_instance_jobs(runner, regions, {.network_ready = network_ready()});
    runner.run();
    reconciler =
        std::make_unique<control::Reconciler>(regions, control::Reconciler::Options{.network_ready = network_ready()});
    reconciler->start();
    scrubber = std::make_unique<control::Scrubber>(regions, control::Scrubber::Options{});
    scrubber->start();
  }

  void start_server(std::vector<base::Fd> inherited) {
    if (config.audit_log) {
      audit_log = std::make_unique<base::RotatingLog>(
          files, clock,
          base::RotatingLog::Options{
              .directory = config.data / "audit",
              .file_bytes = config.audit_file_bytes,
              .files = config.audit_files,
              .gap = [this](std::uint64_t dropped) { return services::audit_gap_line(clock.now(), dropped); }});
    }
    dispatch =
        std::make_unique<services::Dispatch>(regions, *catalog, clock, services::all_services(), audit_log.get());
    server = std::make_unique<http::Server>(
        http::Options{.handler = [this](http::Request& request) { return dispatch->answer(request); },
                      .admit = [this](const http::Request& request) { return dispatch->admit(request); },
                      .refuse = services::Dispatch::refuse});
    const auto tls = config.tls_certificate.empty() ? std::nullopt
                                                    : std::optional(http::Tls{config.tls_certificate, config.tls_key});
    std::vector<http::ListenerId> listeners;
    for (auto& socket : inherited) listeners.push_back(server->adopt(std::move(socket), tls));
    if (listeners.empty()) listeners.push_back(server->listen({.host = config.address, .port = config.port}, tls));
    url = std::string(tls ? "https" : "http") + "://" + config.address + ":" +
          std::to_string(server->port(listeners.front()));
  }
};

Daemon::Daemon(const Config& config, std::vector<base::Fd> inherited) : parts_(std::make_unique<Parts>(config)) {
  ensure_accounts(*parts_->catalog, parts_->clock, *parts_->key_store, config);
  write_credentials(*parts_->catalog, parts_->files, *parts_->key_store, config);
  parts_->start_regions();
  parts_->operators =
      std::make_unique<services::operators::Server>(parts_->regions, operator_of(config), config.data / "kilnd.sock");
  parts_->operators->start();
  parts_->start_server(std::move(inherited));
}

Daemon::~Daemon() { stop(); }

const std::string& Daemon::url() const { return parts_->url; }

void Daemon::stop() {
  if (parts_->server) parts_->server->stop(std::chrono::seconds(5));
  if (parts_->operators) parts_->operators->stop();
  if (parts_->scrubber) parts_->scrubber->stop();
  if (parts_->reconciler) parts_->reconciler->stop();
  parts_->runner.stop();
  if (parts_->metadata) parts_->metadata->stop();
}

}  // namespace kiln::daemon
