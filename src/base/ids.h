#pragma once
// Resource ids: a prefix, a dash and 17 hex digits, as AWS has written them since 2016 ("ami-0123456789abcdef0").
//
// Made by the program before the transaction that stores them, from the kernel's random numbers, so they are unique
// across regions and hosts. Thread-safe; nothing is kept.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace kiln::base {

// new_id("ami") is "ami-" and 17 random hex digits.
std::string new_id(std::string_view prefix);

// Whether text is prefix, '-' and 8 or 17 lower-case hex digits: the two forms that AWS has used.
bool is_id(std::string_view prefix, std::string_view text);

// 32 random hex digits in UUID form (version 4).
std::string new_uuid();

// From the kernel; a process that cannot have them ends.
void fill_random(std::span<std::byte> out);
// count random bytes as 2 * count hex digits.
std::string random_hex(std::size_t count);

}  // namespace kiln::base
