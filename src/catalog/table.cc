#include "catalog/table.h"

namespace kiln::catalog {
namespace {

// "a, b, c"
std::string names(std::span<const Column> columns) {
  std::string text;
  for (const Column& column : columns) {
    if (!text.empty()) text += ", ";
    text += column.name;
  }
  return text;
}

// "a = $1 AND b = $2", or with another word between.
std::string equations(std::span<const Column> columns, std::string_view between, std::size_t first_parameter) {
  std::string text;
  for (const Column& column : columns) {
    if (!text.empty()) text += between;
    text.append(column.name).append(" = $").append(std::to_string(first_parameter++));
  }
  return text;
}

std::vector<Value> values(std::span<const Column> columns, const void* row) {
  std::vector<Value> found;
  found.reserve(columns.size());
  for (const Column& column : columns) found.push_back(column.get(row));
  return found;
}

std::string insertion(std::string_view table, std::span<const Column> columns) {
  std::string sql = "INSERT INTO ";
  sql.append(table).append(" (").append(names(columns)).append(") VALUES (");
  for (std::size_t i = 1; i <= columns.size(); ++i) sql.append(i == 1 ? "$" : ", $").append(std::to_string(i));
  return sql + ")";
}

}  // namespace

void insert_row(Txn& txn, std::string_view table, std::span<const Column> columns, const void* row) {
  txn.execute(insertion(table, columns), values(columns, row));
}

bool update_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row) {
  // A table of keys alone has nothing to set but still says whether the row is there.
  const auto set = columns.size() > keys ? columns.subspan(keys) : columns.first(1);
  const std::size_t set_from = columns.size() > keys ? keys + 1 : 1;
  std::string sql = "UPDATE ";
  sql.append(table).append(" SET ").append(equations(set, ", ", set_from));
  sql.append(" WHERE ").append(equations(columns.first(keys), " AND ", 1));
  return txn.execute(sql, values(columns, row)) > 0;
}

void upsert_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row) {
  std::string sql = insertion(table, columns);
  sql.append(" ON CONFLICT (").append(names(columns.first(keys))).append(") DO ");
  if (columns.size() == keys) {
    sql += "NOTHING";
  } else {
    sql += "UPDATE SET ";
    for (std::size_t i = keys; i < columns.size(); ++i) {
      if (i > keys) sql += ", ";
      sql.append(columns[i].name).append(" = excluded.").append(columns[i].name);
    }
  }
  txn.execute(sql, values(columns, row));
}

bool remove_row(Txn& txn, std::string_view table, std::span<const Column> columns, std::size_t keys, const void* row) {
  std::string sql = "DELETE FROM ";
  sql.append(table).append(" WHERE ").append(equations(columns.first(keys), " AND ", 1));
  return txn.execute(sql, values(columns.first(keys), row)) > 0;
}

std::vector<Row> select_rows(Txn& txn, std::string_view table, std::span<const Column> columns, std::string_view rest,
                             const std::vector<Value>& parameters) {
  // Named with the table, so that a rest that joins others does not make them ambiguous.
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) sql += ", ";
    sql.append(table).append(".").append(columns[i].name);
  }
  sql.append(" FROM ").append(table).append(" ").append(rest);
  return txn.query(sql, parameters);
}

}  // namespace kiln::catalog
