// An answer of another region, which may be anything: read, or called unreadable.

#include <cstdint>
#include <cstdlib>

#include "remote/answers.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(remote::ec2_refusal(text));
  static_cast<void>(remote::json_refusal("", text));
  try {
    const auto page = remote::page_of(text);
    if (page.disk_bytes == 0 || page.disk_bytes > blocks::max_disk_bytes) std::abort();
  } catch (const remote::Unreadable&) {
  }
  try {
    if (const auto image = remote::image_of(text, "ami-0123456789abcdef0")) {
      for (const auto& device : image->devices) {
        if (device.device_name.empty() || device.size_gib < 0) std::abort();
      }
    }
  } catch (const remote::Unreadable&) {
  }
  try {
    if (const auto snapshot = remote::snapshot_of(text, "snap-0123456789abcdef0")) {
      if (snapshot->size_gib < 1) std::abort();
    }
  } catch (const remote::Unreadable&) {
  }
  return 0;
}
