#pragma once
// Pieces of SQL text that several queries of this folder are made of.

#include <string>
#include <vector>

#include "catalog/database.h"

namespace kiln::catalog {

// SQLite's limit is 32,766 parameters a statement; longer lists are asked for in slices of this size.
constexpr std::size_t ids_per_query = 500;

// "IN ($3, $4)" for two values whose first parameter is 3; the caller appends the values to its parameters.
inline std::string in_list(std::size_t first_parameter, std::size_t count) {
  std::string text = "IN (";
  for (std::size_t i = 0; i < count; ++i) {
    text.append(i == 0 ? "$" : ", $").append(std::to_string(first_parameter + i));
  }
  return text + ")";
}

inline std::vector<std::string> first_column(const std::vector<Row>& rows) {
  std::vector<std::string> found;
  for (const Row& row : rows) found.push_back(std::get<std::string>(row.at(0)));
  return found;
}

}  // namespace kiln::catalog
