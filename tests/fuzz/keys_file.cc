// Root keys, keys and ciphertexts from anywhere: whatever is accepted is written again as the same bytes, and nothing
// that was not made by a key is decrypted by it.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/digest.h"
#include "keys/key_file.h"

using namespace kiln;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void check_root(std::span<const std::byte> input) {
  if (const auto root = keys::decode_root(input)) must(std::ranges::equal(keys::encode(*root), input));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check_root(input);
  if (size == keys::root_file_bytes) {
    base::Bytes mended(input.begin(), input.end() - 32);
    base::append(mended, base::sha256(mended).bytes);
    check_root(mended);
  }
  const keys::RootKey root;
  if (const auto file = keys::decode_key_file(input)) {
    must(std::ranges::equal(keys::encode(*file), input));
    must(!keys::open_key(*file, root));
  }
  if (const auto text = keys::decode_ciphertext(input)) {
    must(std::ranges::equal(keys::encode(*text), input));
    must(!keys::decrypt_with(root.secret, *text, "context"));
  }
  return 0;
}
