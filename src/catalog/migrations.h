#pragma once
// The numbered schema files inside the binary, and how a database is brought up to them.
//
// Used by the driver while it opens the database, on one thread. Forward only: each file is applied once, in a
// transaction of its own together with its line in schema_version, so a crash leaves the database at a whole version.
// A file that was applied never changes; a database that was opened by a newer program is refused by name.

#include <span>
#include <string_view>

#include "catalog/sqlite_connection.h"

namespace kiln::catalog {

struct Migration {
  int version = 0;        // 1, 2, 3, ...
  std::string_view name;  // of the file
  std::string_view sql;   // the common subset; CREATE TABLE ends in a line ");"
};

// Those of src/catalog/schema, ascending.
std::span<const Migration> migrations();

// Throws DatabaseError: Kind::newer_schema when the database has a version that known lacks, Kind::changed_migration
// when a file that was applied is not what it was then.
void migrate(SqliteConnection& connection, std::span<const Migration> known, base::Micros now);

}  // namespace kiln::catalog
