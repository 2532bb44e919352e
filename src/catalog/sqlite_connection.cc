#include "catalog/sqlite_connection.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cctype>
#include <cerrno>
#include <system_error>

#include "base/fd.h"

namespace kiln::catalog {
namespace {

constexpr int busy_timeout_ms = 5000;         // another process may look at the file with the sqlite3 shell
constexpr std::size_t statements_kept = 300;  // lists of ids make statements without end

DatabaseError::Kind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT: return DatabaseError::Kind::constraint;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return DatabaseError::Kind::busy;
    default: return DatabaseError::Kind::other;
  }
}

// Access keys are in the file, so it is made before SQLite would make it with the mode of any other file. SQLite gives
// the WAL the mode of its database.
void create_private(const std::filesystem::path& file) {
  const base::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) {
    throw DatabaseError(DatabaseError::Kind::other,
                        "open " + file.string() + ": " + std::generic_category().message(errno));
  }
}

// What a statement holds is given back however its use ends.
struct Reset {
  sqlite3_stmt* statement;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

int bind(sqlite3_stmt* statement, int index, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return sqlite3_bind_int64(statement, index, *number);
  if (const auto* text = std::get_if<std::string>(&value)) {
    // The parameters outlive the statement's run (Reset), so SQLite need not copy them.
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}

Value column(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_NULL: return {};
    case SQLITE_INTEGER: return static_cast<std::int64_t>(sqlite3_column_int64(statement, index));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
      return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement, index)));
    }
    default:
      throw DatabaseError(DatabaseError::Kind::other, std::string("column ") + sqlite3_column_name(statement, index) +
                                                          " is neither NULL, BIGINT nor TEXT");
  }
}

}  // namespace

std::string number_parameters(std::string_view sql) {
  std::string text(sql);
  bool quoted = false;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (!quoted && text[i] == '$' && std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0) text[i] = '?';
  }
  return text;
}

void SqliteConnection::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }
void SqliteConnection::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

SqliteConnection::SqliteConnection(const std::filesystem::path& file, Access access) : name_(file.string()) {
  const bool writes = access == Access::read_write;
  if (writes) create_private(file);
  // One thread at a time uses a connection, so SQLite need not lock it.
  const int flags = (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(name_.c_str(), &opened, flags, nullptr);
  database_.reset(opened);
  if (code != SQLITE_OK) throw error("open");
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, busy_timeout_ms);
}

SqliteConnection::~SqliteConnection() = default;

DatabaseError SqliteConnection::error(std::string_view doing) const {
  sqlite3* database = database_.get();
  const int code = database == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(database);
  const char* message = database == nullptr ? "out of memory" : sqlite3_errmsg(database);
  return {kind_of(code), name_ + ": " + message + " (" + std::to_string(code) + ") in: " + std::string(doing)};
}

sqlite3_stmt* SqliteConnection::prepared(std::string_view sql) {
  std::string key(sql);
  if (const auto found = statements_.find(key); found != statements_.end()) return found->second.get();
  if (statements_.size() >= statements_kept) statements_.clear();
  const std::string numbered = number_parameters(sql);
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  if (sqlite3_prepare_v3(database_.get(), numbered.c_str(), static_cast<int>(numbered.size() + 1),
                         SQLITE_PREPARE_PERSISTENT, &statement, &rest) != SQLITE_OK) {
    throw error(sql);
  }
  std::unique_ptr<sqlite3_stmt, Finalize> owned(statement);
  if (statement == nullptr || std::string_view(rest).find_first_not_of(" \n;") != std::string_view::npos) {
    throw DatabaseError(DatabaseError::Kind::other, name_ + ": wanted one statement in: " + std::string(sql));
  }
  return statements_.emplace(std::move(key), std::move(owned)).first->second.get();
}

std::vector<Row> SqliteConnection::query(std::string_view sql, const std::vector<Value>& parameters) {
  sqlite3_stmt* statement = prepared(sql);
  const Reset reset{statement};
  const auto wanted = static_cast<std::size_t>(sqlite3_bind_parameter_count(statement));
  if (wanted != parameters.size()) {
    throw DatabaseError(DatabaseError::Kind::other, name_ + ": wanted " + std::to_string(wanted) +
                                                        " parameters, found " + std::to_string(parameters.size()) +
                                                        " in: " + std::string(sql));
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (bind(statement, static_cast<int>(i) + 1, parameters[i]) != SQLITE_OK) throw error(sql);
  }
  std::vector<Row> rows;
  int code = sqlite3_step(statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(statement)) {
    const int count = sqlite3_column_count(statement);
    Row& row = rows.emplace_back();
    row.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) row.push_back(column(statement, i));
  }
  if (code != SQLITE_DONE) throw error(sql);
  return rows;
}

std::int64_t SqliteConnection::execute(std::string_view sql, const std::vector<Value>& parameters) {
  query(sql, parameters);
  return sqlite3_changes64(database_.get());
}

void SqliteConnection::run_script(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) throw error(sql);
}

void SqliteConnection::roll_back() noexcept {
  if (in_transaction()) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

bool SqliteConnection::in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }

}  // namespace kiln::catalog
