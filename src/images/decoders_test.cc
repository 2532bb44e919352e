// The fuzz targets of tests/fuzz, run over damaged files: the same damage every time, a few seconds of it. A real
// fuzzer goes on from the same targets.

#include <gtest/gtest.h>

#include <random>

#include "images/samples_testing.h"

extern "C" {
int fuzz_images_raw(const std::uint8_t* data, std::size_t size);
int fuzz_images_qcow2(const std::uint8_t* data, std::size_t size);
int fuzz_images_vmdk(const std::uint8_t* data, std::size_t size);
int fuzz_images_vhd(const std::uint8_t* data, std::size_t size);
int fuzz_images_vhdx(const std::uint8_t* data, std::size_t size);
int fuzz_images_ova(const std::uint8_t* data, std::size_t size);
}

namespace kiln::images {
namespace {

using namespace testing;
using Target = int (*)(const std::uint8_t*, std::size_t);

// Flips, small and extreme numbers, cuts and insertions, several at once, most of them where the structures are.
Bytes damaged(const Bytes& good, const std::vector<std::size_t>& structures, std::mt19937_64& random) {
  Bytes bad = good;
  for (auto count = random() % 4; count < 4 && !bad.empty(); ++count) {
    const auto start = structures[random() % structures.size()];
    const auto at = std::min(random() % 8 == 0 ? random() % bad.size() : start + random() % 128, bad.size() - 1);
    const auto place = bad.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 8) {
      case 0: *place ^= static_cast<std::byte>(1 << random() % 8); break;
      case 1: *place = static_cast<std::byte>(random()); break;
      case 2: *place = random() % 2 == 0 ? std::byte{} : std::byte{0xff}; break;
      case 3: std::fill_n(place, std::min<std::size_t>(8, bad.size() - at), std::byte{0xff}); break;
      case 4: std::fill_n(place, std::min<std::size_t>(8, bad.size() - at), std::byte{}); break;
      case 5: bad.erase(place, place + static_cast<std::ptrdiff_t>(random() % (bad.size() - at + 1))); break;
      case 6: bad.insert(place, random() % 40, static_cast<std::byte>(random())); break;
      default: bad.resize(random() % (bad.size() + 1)); break;
    }
  }
  return bad;
}

void run(Target target, const Bytes& good, const std::vector<std::size_t>& structures, int rounds) {
  std::mt19937_64 random(20260101);
  const auto call = [&](const Bytes& bytes) {
    target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  call({});
  call(good);
  for (int i = 0; i < rounds; ++i) call(damaged(good, structures, random));
}

TEST(Decoders, damaged_files_are_judged_by_what_they_are) {
  for (const auto& file : {qcow2(), vmdk(), fixed_vhd(), VhdParts().file(), ova()}) {
    run(fuzz_images_raw, file, {0, file.size() - 512}, 1500);
  }
}

TEST(Decoders, damaged_qcow2_files_are_refused_or_name_no_other_file) {
  run(fuzz_images_qcow2, qcow2(2), {0, 4096, 3 * 4096, 4 * 4096}, 20'000);
  run(fuzz_images_qcow2, qcow2(3), {0, 64, 4096, 3 * 4096, 4 * 4096}, 20'000);
}

TEST(Decoders, damaged_vmdk_files_are_refused_or_name_no_other_file) {
  for (const auto& file : {vmdk(), stream_vmdk()}) {
    run(fuzz_images_vmdk, file, {0, 512, 640, 21 * 512, 22 * 512, file.size() - 1536, file.size() - 1024}, 10'000);
  }
  run(fuzz_images_vmdk, bytes_of(vmdk_descriptor()), {0, 100, 200}, 20'000);
}

TEST(Decoders, damaged_vhd_files_are_refused_or_are_as_large_as_they_say) {
  const auto file = VhdParts().file();
  run(fuzz_images_vhd, file, {0, 512, 1536, file.size() - 512}, 20'000);
  run(fuzz_images_vhd, fixed_vhd(), {8192}, 5'000);
}

TEST(Decoders, damaged_vhdx_files_are_refused_or_are_as_large_as_they_say) {
  const VhdxParts parts;
  Bytes input(parts.header.begin(), parts.header.begin() + 512);
  base::append(input, std::span(parts.regions).first(1024));
  base::append(input, std::span(parts.metadata).first(1024));
  base::append(input, std::span(parts.metadata).subspan(65536, 64));
  base::append(input, parts.blocks);
  run(fuzz_images_vhdx, input, {0, 512, 1536, 2560}, 2000);
}

TEST(Decoders, damaged_archives_are_refused_or_hold_the_disk_that_they_name) {
  run(fuzz_images_ova, ova(), {0, 512, 700, 1024, 1536, 2048}, 10'000);
  run(fuzz_images_ova, bytes_of(ovf()), {0, 100, 200, 300}, 20'000);
}

}  // namespace
}  // namespace kiln::images
