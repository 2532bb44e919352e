#include "hypervisor/libvirt/connection.h"

#include <libvirt/virterror.h>

#include <cstdlib>

#include "hypervisor/host.h"

namespace kiln::hypervisor {
namespace {

// Without a handler libvirt prints every error, even those that are an answer, such as "no domain".
void keep_quiet(void*, virErrorPtr) {}

ConnectPtr connect(const std::string& uri) {
  static const int initialized = [] {
    virSetErrorFunc(nullptr, keep_quiet);
    return virInitialize();
  }();
  if (initialized != 0) throw_libvirt_error("libvirt");
  virConnectPtr opened = virConnectOpen(uri.c_str());
  if (opened == nullptr) throw_libvirt_error("connect to libvirt at " + uri);
  return ConnectPtr(opened, virConnectClose);
}

}  // namespace

void throw_libvirt_error(const std::string& what) {
  const char* message = virGetLastErrorMessage();
  throw HostError(what + ": " + (message != nullptr ? message : "unknown error"));
}

void check(int result, const std::string& what) {
  if (result < 0) throw_libvirt_error(what);
}

bool last_error_is(int code) {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->code == code;
}

std::string take_text(char* text, const std::string& what) {
  if (text == nullptr) throw_libvirt_error(what);
  std::string copy(text);
  std::free(text);
  return copy;
}

ConnectPtr Connection::get() {
  const base::Lock lock(mutex_);
  if (!open_ || virConnectIsAlive(open_.get()) != 1) open_ = connect(uri_);
  return open_;
}

}  // namespace kiln::hypervisor
