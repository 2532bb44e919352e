#pragma once
// The one text form of each scalar, shared by queries, XML and headers. Pure functions.
//
// Reading is generous (True, times with or without fractions, white space in base64), writing is exact.

#include <string>
#include <string_view>

#include "wire/table.h"

namespace kiln::wire {

bool is_scalar(Kind kind);

// False when text is not such a value; then value may have been changed.
bool parse_scalar(Kind kind, std::string_view text, void* value);

void print_scalar(Kind kind, const void* value, std::string& out);

}  // namespace kiln::wire
