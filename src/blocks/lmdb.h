#pragma once
// LMDB behind RAII and Result: what the tables of the chunk index are made with.
//
// A Transaction or Cursor belongs to the call that made it. Cursors end before their transaction does.

#include <lmdb.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace kiln::blocks {

base::Error error_of(std::string_view what, int code);

// LMDB takes pointers to mutable bytes and does not write to them.
inline MDB_val value_of(std::span<const std::byte> bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};
}

inline std::span<const std::byte> bytes_of(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

// Aborted unless it was committed.
class Transaction {
 public:
  static base::Result<std::unique_ptr<Transaction>> begin(MDB_env* environment, unsigned flags) {
    MDB_txn* handle = nullptr;
    if (const int code = mdb_txn_begin(environment, nullptr, flags, &handle)) return error_of("begin", code);
    return std::make_unique<Transaction>(handle);
  }
  explicit Transaction(MDB_txn* handle) : handle_(handle) {}
  ~Transaction() {
    if (handle_ != nullptr) mdb_txn_abort(handle_);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  MDB_txn* handle() { return handle_; }
  base::Status commit() {
    if (const int code = mdb_txn_commit(std::exchange(handle_, nullptr))) return error_of("commit", code);
    return {};
  }

 private:
  MDB_txn* handle_;
};

class Cursor {
 public:
  static base::Result<std::unique_ptr<Cursor>> open(Transaction& txn, unsigned table) {
    MDB_cursor* handle = nullptr;
    if (const int code = mdb_cursor_open(txn.handle(), table, &handle)) return error_of("cursor", code);
    return std::make_unique<Cursor>(handle);
  }
  explicit Cursor(MDB_cursor* handle) : handle_(handle) {}
  ~Cursor() { mdb_cursor_close(handle_); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  // LMDB's codes: 0 or MDB_NOTFOUND, or an error.
  int get(MDB_val& key, MDB_val& value, MDB_cursor_op op) { return mdb_cursor_get(handle_, &key, &value, op); }
  int put(MDB_val key, MDB_val value, unsigned flags) { return mdb_cursor_put(handle_, &key, &value, flags); }
  int erase() { return mdb_cursor_del(handle_, 0); }
  // How many values the key that it stands at has.
  int count(std::size_t& values) { return mdb_cursor_count(handle_, &values); }

 private:
  MDB_cursor* handle_;
};

}  // namespace kiln::blocks
