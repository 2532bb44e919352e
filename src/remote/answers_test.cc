#include "remote/answers.h"

#include <gtest/gtest.h>

#include <random>

extern "C" int fuzz_remote_answers(const std::uint8_t* data, std::size_t size);

namespace kiln::remote {
namespace {

constexpr std::string_view images = R"(<?xml version="1.0" encoding="UTF-8"?>
<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><imagesSet><item>
<imageId>ami-0123456789abcdef0</imageId><imageState>available</imageState><imageOwnerId>123456789012</imageOwnerId>
<architecture>x86_64</architecture><name>a &amp; b</name><rootDeviceName>/dev/xvda</rootDeviceName>
<enaSupport>true</enaSupport><bootMode>uefi</bootMode><virtualizationType>hvm</virtualizationType>
<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-0123456789abcdef0</snapshotId>
<volumeSize>8</volumeSize><deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><iops>3000</iops>
</ebs></item><item><deviceName>/dev/xvdb</deviceName><virtualName>ephemeral0</virtualName></item></blockDeviceMapping>
<tagSet><item><key>k</key><value>v</value></item></tagSet></item></imagesSet></DescribeImagesResponse>)";

constexpr std::string_view snapshots = R"(<DescribeSnapshotsResponse><snapshotSet><item>
<snapshotId>snap-0123456789abcdef0</snapshotId><status>completed</status><volumeSize>8</volumeSize>
<encrypted>false</encrypted></item></snapshotSet></DescribeSnapshotsResponse>)";

constexpr std::string_view blocks = R"({"Blocks":[
{"BlockIndex":3,"BlockToken":"abc=","Checksum":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
{"BlockIndex":7,"BlockToken":"def="}],"ExpiryTime":1767225600,"VolumeSize":2,"BlockSize":524288,"NextToken":"next",
"DiskSizeInBytes":1073741824,"TreeChecksum":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="})";

std::string with(std::string_view text, std::string_view from, std::string_view to) {
  std::string changed(text);
  changed.replace(changed.find(from), from.size(), to);
  return changed;
}

TEST(Answers, an_image_is_read_with_its_devices_and_tags) {
  const auto found = image_of(images, "ami-0123456789abcdef0");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->image.name, "a & b");
  EXPECT_EQ(found->image.boot_mode, "uefi");
  EXPECT_TRUE(found->image.ena_support);
  ASSERT_EQ(found->devices.size(), 2U);
  EXPECT_EQ(found->devices[0].snapshot_id, "snap-0123456789abcdef0");
  EXPECT_EQ(found->devices[0].size_gib, 8);
  EXPECT_EQ(found->devices[0].iops, 3000);
  EXPECT_EQ(found->devices[1].virtual_name, "ephemeral0");
  EXPECT_EQ(found->tags.at("k"), "v");
  EXPECT_FALSE(image_of(images, "ami-00000000000000000"));
}

TEST(Answers, a_snapshot_is_read) {
  const auto found = snapshot_of(snapshots, "snap-0123456789abcdef0");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, "completed");
  EXPECT_EQ(found->size_gib, 8);
  EXPECT_FALSE(snapshot_of(snapshots, "snap-00000000000000000"));
}

TEST(Answers, a_page_of_a_kiln_has_digests_and_one_of_another_server_has_none) {
  const auto page = page_of(blocks);
  ASSERT_EQ(page.blocks.size(), 2U);
  EXPECT_EQ(page.blocks[0].index, 3U);
  EXPECT_EQ(page.blocks[0].digest, base::sha256(std::string_view()));
  EXPECT_FALSE(page.blocks[1].digest);
  EXPECT_EQ(page.next_page, "next");
  EXPECT_EQ(page.disk_bytes, std::uint64_t{1} << 30);
  EXPECT_TRUE(page.root);
  const auto plain = page_of(R"({"Blocks":[],"VolumeSize":2,"BlockSize":524288})");
  EXPECT_EQ(plain.disk_bytes, std::uint64_t{2} << 30);
  EXPECT_FALSE(plain.root);
  EXPECT_TRUE(plain.next_page.empty());
}

TEST(Answers, what_makes_no_sense_is_unreadable) {
  EXPECT_THROW(page_of(with(blocks, "524288", "4096")), Unreadable);
  EXPECT_THROW(page_of(with(blocks, R"("VolumeSize":2)", R"("VolumeSize":0)")), Unreadable);
  EXPECT_THROW(page_of(with(blocks, R"("BlockIndex":3)", R"("BlockIndex":-3)")), Unreadable);
  EXPECT_THROW(page_of(with(blocks, "1073741824", "4294967296")), Unreadable);
  EXPECT_THROW(page_of("<html>"), Unreadable);
  EXPECT_THROW(image_of("not xml", "ami-0123456789abcdef0"), Unreadable);
  EXPECT_THROW(image_of(with(images, "<volumeSize>8", "<volumeSize>x"), "ami-0123456789abcdef0"), Unreadable);
  EXPECT_THROW(image_of(with(images, "/dev/xvda</deviceName>", "</deviceName>"), "ami-0123456789abcdef0"), Unreadable);
  EXPECT_THROW(snapshot_of(with(snapshots, "<volumeSize>8", "<volumeSize>-1"), "snap-0123456789abcdef0"), Unreadable);
}

TEST(Answers, refusals_of_both_services_are_understood) {
  const auto ec2 = ec2_refusal(
      "<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>no "
      "such</Message></Error></Errors></Response>");
  EXPECT_EQ(ec2.code, "InvalidAMIID.NotFound");
  EXPECT_EQ(ec2.message, "no such");
  EXPECT_EQ(ec2_refusal("502 Bad Gateway").code, "");
  const auto ebs = json_refusal("ValidationException:http://internal.amazon.com/", R"({"message":"bad token"})");
  EXPECT_EQ(ebs.code, "ValidationException");
  EXPECT_EQ(ebs.message, "bad token");
  EXPECT_EQ(json_refusal("", R"({"Message":"upper"})").message, "upper");
  EXPECT_EQ(json_refusal("X", "<html>").message, "");
}

TEST(Answers, damaged_answers_are_judged_by_what_they_are) {
  std::mt19937_64 random(20260101);
  for (const auto good : {images, snapshots, blocks}) {
    for (int i = 0; i < 3000; ++i) {
      std::string bad(good);
      for (auto count = random() % 4; count < 4 && !bad.empty(); ++count) {
        const auto at = random() % bad.size();
        switch (random() % 4) {
          case 0: bad[at] = static_cast<char>(random()); break;
          case 1: bad.erase(at, random() % 20); break;
          case 2: bad.insert(at, std::string(random() % 12, "9<>\"-{"[random() % 6])); break;
          default: bad.resize(at); break;
        }
      }
      fuzz_remote_answers(reinterpret_cast<const std::uint8_t*>(bad.data()), bad.size());
    }
  }
}

}  // namespace
}  // namespace kiln::remote
