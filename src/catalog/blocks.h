#pragma once
// What keeps bytes of the block store alive, and what may go: roots, packs, sessions and the epoch of a region.
//
// The commit transaction inserts roots only while every pack they newly reference is live; garbage collection condemns
// only packs that no root reaches and no living session wrote. Correctness never depends on clocks or listings.

#include "catalog/table.h"

namespace kiln::catalog {

struct Root {
  std::string region;
  std::string kind;     // snapshot volume session
  std::string owner;    // snap-..., vol-..., session id
  std::string digest;   // hex of the tree's root; 64 zeros for a disk of zeros
  std::int64_t size_bytes = 0;
};

struct Pack {
  std::string region, id;
  std::string kind;     // data node
  std::string state;    // uploading live condemned deleting deleted
  std::string session;  // that wrote it
  std::int64_t bytes = 0;
  std::int64_t live_bytes = 0;
  std::int64_t last_ref_epoch = 0;
  std::int64_t condemned_epoch = 0;
  std::optional<base::Micros> condemned;
};

struct Session {
  std::string region, id;
  std::int64_t fence = 0;
  std::string job;      // the job that uploads in it
  base::Micros heartbeat = 0;
};

struct Epoch {
  std::string region;
  std::int64_t value = 0;
};

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Root, "root", 4, region, kind, owner, digest, size_bytes)
KILN_ROW(kiln::catalog::Pack, "pack", 2, region, id, kind, state, session, bytes, live_bytes, last_ref_epoch,
         condemned_epoch, condemned)
KILN_ROW(kiln::catalog::Session, "session", 2, region, id, fence, job, heartbeat)
KILN_ROW(kiln::catalog::Epoch, "epoch", 1, region, value)
