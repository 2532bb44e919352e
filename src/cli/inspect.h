#pragma once
// What is in a file of ours, in words: one function for every format of docs/formats that is a file.
//
// The kind follows from the first bytes of the file, or from its name where it has no such bytes. Nothing is changed
// and nothing is locked but a reader's place in the chunk index, so files of a running daemon may be looked at. Throws
// std::runtime_error with the file and what is wrong with it when nothing of it can be told, as of a file of a version
// that this program does not read. Thread-safe.

#include <string>
#include <vector>

#include "base/files.h"

namespace kiln::cli {

struct Description {
  std::string text;                 // lines
  std::vector<std::string> damage;  // each: where, and what is wrong there; empty when the file is sound
};

Description describe_file(const base::Path& path);

}  // namespace kiln::cli
