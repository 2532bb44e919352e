#pragma once
// One step through UTF-8 text that may not be UTF-8. Pure.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kiln::wire {

struct Utf8 {
  char32_t code = 0;
  std::size_t length = 1;  // bytes to skip, at least 1
  bool valid = false;      // not overlong, not a surrogate, at most U+10FFFF
};

// The first character of text, which is not empty.
Utf8 next_utf8(std::string_view text);

}  // namespace kiln::wire
