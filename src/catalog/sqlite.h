#pragma once
// The SQLite driver with a list of migrations of the caller's choice: for tests of the migrations themselves.

#include "catalog/migrations.h"

namespace kiln::catalog {

std::unique_ptr<Database> open_sqlite_with(const std::filesystem::path& file, base::Clock& clock,
                                           std::span<const Migration> known);

}  // namespace kiln::catalog
