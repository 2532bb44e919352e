// kilnd: reads its configuration, starts, says so, waits for a signal, stops.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "http/socket.h"

namespace {

using kiln::daemon::Config;

void set_log_level(const std::string& name) {
  using kiln::base::Level;
  const auto level = name == "debug"     ? Level::debug
                     : name == "warning" ? Level::warning
                     : name == "error"   ? Level::error
                                         : Level::info;
  kiln::base::set_log_level(level);
}

int serve(const Config& config) {
  // Blocked before any thread starts, so that all of them leave these signals to sigwait below.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  kiln::daemon::Daemon daemon(config, kiln::http::inherited_sockets());
  std::cout << "kiln is ready at " << daemon.url() << std::endl;
  int signal = 0;
  ::sigwait(&ending, &signal);
  kiln::base::log_info("daemon", "stopping; guests go on");
  daemon.stop();
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app("kilnd: the control plane of one or more regions");
  app.footer(
      "Examples:\n  kilnd --data /var/lib/kiln\n  kilnd --data ./data --port 0 --hypervisor fake\n"
      "  kilnd --config /etc/kiln/kiln.toml\n");
  std::string file, data, listen, hypervisor, libvirt;
  int port = -1;
  app.add_option("--config", file, "configuration file (TOML)");
  app.add_option("--data", data, "data directory");
  app.add_option("--listen", listen, "ADDRESS:PORT to serve the APIs on");
  app.add_option("--port", port, "port to serve the APIs on; 0 takes a free one")->check(CLI::Range(0, 65535));
  app.add_option("--hypervisor", hypervisor, "libvirt, or fake: nothing boots");
  app.add_option("--libvirt", libvirt, "libvirt's URI");
  CLI11_PARSE(app, count, arguments);
  try {
    Config config;
    if (!file.empty()) kiln::daemon::read_config(file, config);
    if (!data.empty()) config.data = data;
    if (!hypervisor.empty()) config.hypervisor = hypervisor;
    if (!libvirt.empty()) config.libvirt_uri = libvirt;
    if (!listen.empty()) kiln::daemon::set_listen(listen, config);
    if (port >= 0) config.port = static_cast<std::uint16_t>(port);
    config.data = std::filesystem::absolute(config.data);
    kiln::daemon::check(config);
    set_log_level(config.log_level);
    return serve(config);
  } catch (const std::exception& failure) {
    std::cerr << "kilnd: " << failure.what() << "\n";
    return 1;
  }
}
