#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace kiln::base {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::invalid: return "invalid";
    case Fault::not_found: return "not_found";
    case Fault::exists: return "exists";
    case Fault::corrupt: return "corrupt";
    case Fault::unsupported: return "unsupported";
    case Fault::busy: return "busy";
    case Fault::fenced: return "fenced";
    case Fault::no_space: return "no_space";
    case Fault::io: return "io";
    case Fault::failed: return "failed";
    case Fault::no_key: return "no_key";
  }
  return "unknown";
}

namespace {

Fault fault_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return Fault::not_found;
    case EEXIST: return Fault::exists;
    case ENOSPC:
    case EDQUOT: return Fault::no_space;
    case EINVAL:
    case EISDIR: return Fault::invalid;
    case EWOULDBLOCK:
    case EBUSY: return Fault::busy;
    case EOPNOTSUPP: return Fault::unsupported;
    default: return Fault::io;
  }
}

}  // namespace

Error Error::from_errno(std::string_view what, int number) {
  return {fault_of(number), std::string(what) + ": " + std::strerror(number)};
}

Error Error::from_errno(std::string_view what) { return from_errno(what, errno); }

}  // namespace kiln::base
