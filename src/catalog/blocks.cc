#include "catalog/blocks.h"

#include <algorithm>

namespace kiln::catalog {
namespace {

// Ordered here: asked to order by id, SQLite walks the primary key, and with it every pack that was ever deleted.
std::vector<Pack> packs_by_id(Txn& txn, const std::string& where, const std::vector<Value>& values) {
  auto found = select<Pack>(txn, where, values);
  std::ranges::sort(found, {}, &Pack::id);
  return found;
}

}  // namespace

std::vector<Root> roots(Txn& txn, const std::string& region) {
  return select<Root>(txn, "WHERE region = $1 ORDER BY kind, owner, digest", {region});
}

std::vector<Root> roots_of(Txn& txn, const std::string& region, const std::string& owner) {
  return select<Root>(txn, "WHERE region = $1 AND owner = $2 ORDER BY kind, digest", {region, owner});
}

std::int64_t drop_roots(Txn& txn, const std::string& region, const std::string& kind, const std::string& owner) {
  return txn.execute("DELETE FROM root WHERE region = $1 AND kind = $2 AND owner = $3", {region, kind, owner});
}

std::optional<Pack> find_pack(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Pack>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Pack> packs(Txn& txn, const std::string& region) {
  return packs_by_id(txn, "WHERE region = $1 AND state IN ('uploading', 'live', 'condemned', 'deleting')", {region});
}

std::vector<Pack> packs_in_state(Txn& txn, const std::string& region, const std::string& state) {
  return packs_by_id(txn, "WHERE region = $1 AND state = $2", {region, state});
}

std::vector<std::string> reference_packs(Txn& txn, const std::string& region, const std::vector<std::string>& ids) {
  const std::int64_t epoch = current_epoch(txn, region);
  std::vector<std::string> not_live;
  for (const std::string& id : ids) {
    const auto changed = txn.execute(
        "UPDATE pack SET last_ref_epoch = $3 WHERE region = $1 AND id = $2 AND state = 'live'", {region, id, epoch});
    if (changed == 0) not_live.push_back(id);
  }
  return not_live;
}

bool condemn_pack(Txn& txn, const std::string& region, const std::string& id, std::int64_t mark_epoch,
                  base::Micros now) {
  // A commit that ran after the mark began has set last_ref_epoch to the mark's own epoch, so "older" is enough.
  return txn.execute(
             "UPDATE pack SET state = 'condemned', condemned_epoch = $3, condemned = $4, live_bytes = 0 "
             "WHERE region = $1 AND id = $2 AND state = 'live' AND last_ref_epoch < $3 AND NOT EXISTS "
             "(SELECT 1 FROM session WHERE session.region = pack.region AND session.id = pack.session)",
             {region, id, mark_epoch, now}) > 0;
}

bool begin_delete_pack(Txn& txn, const std::string& region, const std::string& id, std::int64_t mark_epoch,
                       base::Micros condemned_by) {
  return txn.execute(
             "UPDATE pack SET state = 'deleting' WHERE region = $1 AND id = $2 AND state = 'condemned' "
             "AND condemned_epoch < $3 AND last_ref_epoch <= condemned_epoch AND condemned <= $4",
             {region, id, mark_epoch, condemned_by}) > 0;
}

bool revive_pack(Txn& txn, const std::string& region, const std::string& id) {
  return txn.execute(
             "UPDATE pack SET state = 'live', condemned_epoch = 0, condemned = NULL, last_ref_epoch = $3 "
             "WHERE region = $1 AND id = $2 AND state = 'condemned'",
             {region, id, current_epoch(txn, region)}) > 0;
}

std::optional<Session> find_session(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Session>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Session> sessions(Txn& txn, const std::string& region) {
  return select<Session>(txn, "WHERE region = $1 ORDER BY id", {region});
}

std::int64_t current_epoch(Txn& txn, const std::string& region) {
  const auto epoch = select_one<Epoch>(txn, "WHERE region = $1", {region});
  return epoch ? epoch->value : 0;
}

std::int64_t next_epoch(Txn& txn, const std::string& region) {
  const Epoch raised{.region = region, .value = current_epoch(txn, region) + 1};
  upsert(txn, raised);
  return raised.value;
}

}  // namespace kiln::catalog
