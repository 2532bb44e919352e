#pragma once
// What keeps bytes of the block store alive, and what may go: roots, packs, sessions and the epoch of a region.
//
// The commit transaction inserts roots only while every pack they newly reference is live; garbage collection condemns
// only packs that no root reaches and no living session wrote. Correctness never depends on clocks or listings.

#include "catalog/table.h"

namespace kiln::catalog {

struct Root {
  std::string region;
  std::string kind;    // snapshot volume session started
  std::string owner;   // snap-..., vol-..., session id, snap-...
  std::string digest;  // hex of the tree's root; 64 zeros for a disk of zeros
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
  std::string job;  // the job that uploads in it
  base::Micros heartbeat = 0;
};

struct Epoch {
  std::string region;
  std::int64_t value = 0;
};

// Every root of the region, of whatever kind: what garbage collection marks from. It names no kind on purpose, so a
// kind invented later cannot be forgotten here.
std::vector<Root> roots(Txn& txn, const std::string& region);
std::vector<Root> roots_of(Txn& txn, const std::string& region, const std::string& owner);
// Removes all roots that owner holds as kind; returns how many.
std::int64_t drop_roots(Txn& txn, const std::string& region, const std::string& kind, const std::string& owner);

std::optional<Pack> find_pack(Txn& txn, const std::string& region, const std::string& id);
// All but the deleted ones, whose rows are kept and grow in number for ever.
std::vector<Pack> packs(Txn& txn, const std::string& region);
std::vector<Pack> packs_in_state(Txn& txn, const std::string& region, const std::string& state);

// The commit rule. Marks each pack as referenced in the current epoch and returns those that are not live; when there
// are any, the caller throws out of its transaction, looks up or stores again, and retries.
std::vector<std::string> reference_packs(Txn& txn, const std::string& region, const std::vector<std::string>& ids);
// live -> condemned, if nothing referenced the pack since the mark's epoch and no session that still exists wrote it.
bool condemn_pack(Txn& txn, const std::string& region, const std::string& id, std::int64_t mark_epoch,
                  base::Micros now);
// condemned -> deleting, if an earlier mark condemned it, at or before condemned_by, and nothing referenced it since.
bool begin_delete_pack(Txn& txn, const std::string& region, const std::string& id, std::int64_t mark_epoch,
                       base::Micros condemned_by);
// condemned -> live: a later mark found it in use.
bool revive_pack(Txn& txn, const std::string& region, const std::string& id);

std::optional<Session> find_session(Txn& txn, const std::string& region, const std::string& id);
std::vector<Session> sessions(Txn& txn, const std::string& region);

std::int64_t current_epoch(Txn& txn, const std::string& region);  // 0 before the first mark
std::int64_t next_epoch(Txn& txn, const std::string& region);     // raises it and returns the raised one

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Root, "root", 4, region, kind, owner, digest, size_bytes)
KILN_ROW(kiln::catalog::Pack, "pack", 2, region, id, kind, state, session, bytes, live_bytes, last_ref_epoch,
         condemned_epoch, condemned)
KILN_ROW(kiln::catalog::Session, "session", 2, region, id, fence, job, heartbeat)
KILN_ROW(kiln::catalog::Epoch, "epoch", 1, region, value)
