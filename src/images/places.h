#pragma once
// Where the clusters, grains or blocks of an image lie in its file: each inside it, and no two at one place.
//
// No writer stores two parts of one disk at one place, as nothing could be written there again; but a table of a
// million entries that name one compressed cluster is how a small file becomes days of work. 8 bytes per part.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "images/window.h"

namespace kiln::images {

class Places {
 public:
  Places(const Window& file, std::string_view part) : file_(file), part_(part) {}

  // A part at offset of which at least length bytes must be in the file.
  base::Status add(std::uint64_t offset, std::uint64_t length) {
    if (!file_.holds(offset, length)) {
      return malformed("a " + std::string(part_) + " lies beyond the end of the file: it was cut short, or lies");
    }
    offsets_.push_back(offset);
    return {};
  }
  base::Status check_distinct() {
    std::ranges::sort(offsets_);
    if (std::ranges::adjacent_find(offsets_) == offsets_.end()) return {};
    return malformed("two entries of its tables name the same " + std::string(part_));
  }

 private:
  const Window& file_;
  std::string_view part_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace kiln::images
