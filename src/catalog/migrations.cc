#include "catalog/migrations.h"

#include <fmt/format.h>

#include "base/digest.h"

namespace kiln::catalog {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The common subset in SQLite's words: INTEGER is its 64-bit type, STRICT makes it refuse values of another, and
// WITHOUT ROWID keeps a table's rows in the order of its key.
std::string to_sqlite(std::string_view sql) {
  std::string text(sql);
  replace_all(text, "BIGINT", "INTEGER");
  replace_all(text, "\n);", "\n) STRICT;");
  replace_all(text, "\n) /* in key order */;", "\n) STRICT, WITHOUT ROWID;");
  return text;
}

// Throws unless every version that the database has is one that we know, unchanged. Returns how many there are.
std::size_t check_applied(SqliteConnection& connection, std::span<const Migration> known) {
  const auto applied = connection.query("SELECT version, name, sha256 FROM schema_version ORDER BY version", {});
  if (applied.size() > known.size()) {
    const Row& newest = applied.back();
    throw DatabaseError(
        DatabaseError::Kind::newer_schema,
        fmt::format("{}: its schema is version {} ({}), written by a newer program; this one knows up to "
                    "{}",
                    connection.name(), std::get<std::int64_t>(newest[0]), std::get<std::string>(newest[1]),
                    known.size()));
  }
  for (std::size_t i = 0; i < applied.size(); ++i) {
    const auto& name = std::get<std::string>(applied[i][1]);
    const auto& was = std::get<std::string>(applied[i][2]);
    const auto is = base::sha256(known[i].sql).hex();
    if (name != known[i].name || was != is) {
      throw DatabaseError(DatabaseError::Kind::changed_migration,
                          fmt::format("{}: schema version {} was made by {} with SHA-256 {}, this program has {} with "
                                      "{}",
                                      connection.name(), i + 1, name, was, known[i].name, is));
    }
  }
  return applied.size();
}

}  // namespace

void migrate(SqliteConnection& connection, std::span<const Migration> known, base::Micros now) {
  connection.run_script(
      "CREATE TABLE IF NOT EXISTS schema_version (\n"
      "  version INTEGER NOT NULL PRIMARY KEY,\n  name TEXT NOT NULL,\n  sha256 TEXT NOT NULL,\n"
      "  applied_at INTEGER NOT NULL\n) STRICT;");
  for (bool more = true; more;) {
    connection.run_script("BEGIN IMMEDIATE");
    try {
      const std::size_t have = check_applied(connection, known);
      more = have < known.size();
      if (more) {
        const Migration& next = known[have];
        connection.run_script(to_sqlite(next.sql));
        connection.execute("INSERT INTO schema_version (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
                           {std::int64_t{next.version}, std::string(next.name), base::sha256(next.sql).hex(), now});
      }
      connection.run_script("COMMIT");
    } catch (...) {
      connection.roll_back();
      throw;
    }
  }
}

}  // namespace kiln::catalog
