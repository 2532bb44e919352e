#include "blocks/lmdb.h"

#include <cerrno>
#include <string>

namespace kiln::blocks {

base::Error error_of(std::string_view what, int code) {
  using base::Fault;
  Fault fault = Fault::io;
  switch (code) {
    case MDB_MAP_FULL:
    case ENOSPC: fault = Fault::no_space; break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_NOTFOUND: fault = Fault::corrupt; break;
    case MDB_READERS_FULL: fault = Fault::busy; break;
    case ENOENT: fault = Fault::not_found; break;
    default: break;
  }
  return {fault, "chunk index: " + std::string(what) + ": " + mdb_strerror(code)};
}

}  // namespace kiln::blocks
