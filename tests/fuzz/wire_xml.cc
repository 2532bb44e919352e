// Text from anywhere: as XML it holds no markup, no character that XML 1.0 cannot carry, and is UTF-8.

#include <cstdint>
#include <cstdlib>

#include "wire/utf8.h"
#include "wire/xml.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string out;
  wire::append_xml_text({reinterpret_cast<const char*>(data), size}, out);
  for (std::string_view rest = out; !rest.empty();) {
    const wire::Utf8 next = wire::next_utf8(rest);
    const bool control = next.code < 0x20 && next.code != '\t' && next.code != '\n';
    if (!next.valid || control || next.code == '<' || next.code == '>' || next.code == '"') std::abort();
    rest.remove_prefix(next.length);
  }
  return 0;
}
