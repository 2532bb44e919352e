#pragma once
// One upload session in the catalog: its row, its packs, and the transaction that commits what it stored.
//
// Owned by a job step or an import, used by its thread; usable() and before_pack() also by the threads of Ingest. As
// long as the session's row exists the collector leaves its packs and its parent's disk alone. commit() and abandon()
// end it; a session whose daemon died is ended by the next run of its job, or by abandon_dead_sessions() at the next
// start, and its packs are then garbage. Unless that next run resumes it: then the packs that it made durable belong
// to the new session, which finds their chunks, and makes those packs live that its tree refers to.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "blocks/ingest.h"
#include "catalog/database.h"
#include "control/region.h"

namespace kiln::control {

// Of store(): what an earlier session left cannot be read back. It is left out from here on, so a session that resumes
// this one stores its chunks again.
class BadResumedPack : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class UploadSession {
 public:
  struct Options {
    std::string job = {};    // id of the job whose step this is; empty for an import
    std::int64_t fence = 0;  // of that job
    std::optional<blocks::DiskId> parent = {};
    blocks::DomainPtr domain = nullptr;  // whose keys the chunks are stored with, the parent's too; null: none
    unsigned threads = blocks::ingest_threads();
    bool resume = false;  // what earlier sessions of the same job stored is this one's
  };
  // Writes the session's row and a root row for the parent. Earlier sessions of the same job end.
  UploadSession(Region& region, Options options);
  ~UploadSession();  // abandons what was not committed
  UploadSession(const UploadSession&) = delete;
  UploadSession& operator=(const UploadSession&) = delete;

  const std::string& id() const { return id_; }
  blocks::Ingest& ingest() { return *ingest_; }
  void heartbeat();  // as often as one likes; written down every few seconds

  // Finishes the tree and reads back every pack that was written. still_at_it is called after each: a job keeps its
  // lease by it. Throws BadResumedPack, std::runtime_error, and what still_at_it throws.
  blocks::DiskId store(std::uint64_t size_bytes, const std::function<void()>& still_at_it = {});
  // After store(): every pack the tree refers to is live, and body's rows are there, in one transaction, which ends the
  // session. Packs condemned meanwhile are stored again. in_txn says whose transaction it is: a job's, which holds only
  // while its lease does, or the catalog's. Throws what body throws, and std::runtime_error.
  using InTxn = std::function<void(const std::function<void(catalog::Txn&)>&)>;
  void commit(const InTxn& in_txn, const std::function<void(catalog::Txn&)>& body);
  void abandon();
  // Ends the work and not the session: what was put is durable, and waits for a session of the same job that resumes
  // it. In place of abandon().
  void suspend();

 private:
  void begin(catalog::Txn& txn, const Options& options);
  void take_over(catalog::Txn& txn, const std::string& earlier);
  bool usable(const blocks::PackId& pack);
  base::Status before_pack(const blocks::PackId& pack, blocks::PackKind kind);
  void verify_written(const std::function<void()>& still_at_it);
  void verify(const blocks::PackId& pack);
  [[noreturn]] void refuse_pack(const blocks::PackId& pack, const std::string& why);
  void make_live(catalog::Txn& txn, const blocks::PackId& pack, blocks::PackKind kind, std::uint64_t bytes);
  void make_resumed_live(catalog::Txn& txn);
  void commit_rows(catalog::Txn& txn);

  Region& region_;
  std::string id_;
  std::uint64_t epoch_ = 0;
  bool open_ = true;
  base::Micros last_heartbeat_ = 0;
  std::unique_ptr<blocks::Ingest> ingest_;
  blocks::Ingested ingested_;
  std::set<blocks::PackId> verified_;
  std::set<blocks::PackId> resumed_;  // packs of earlier sessions, which may or may not have become durable
};

// The epoch in which a session began, which its id starts with. What was condemned in that epoch or later may still
// have been found by it, so the collector keeps such packs readable until the session has ended.
std::int64_t session_epoch(const std::string& session_id);
// In a transaction: the session and its root are gone, what it wrote is garbage.
void end_session(catalog::Txn& txn, const Region& region, const std::string& session_id);
// At start, before jobs run: imports of an earlier daemon are dead, and so are sessions of jobs that have ended.
void abandon_dead_sessions(Region& region);

}  // namespace kiln::control
