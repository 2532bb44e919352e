#include "blocks/key_domain.h"

#include <gtest/gtest.h>

#include <set>

#include "base/text.h"
#include "blocks/keyring.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Fault;
using namespace testing;

DomainSecret secret_of(std::uint8_t n) {
  DomainSecret secret;
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::byte>(n + i);
  return secret;
}

DomainPtr domain_of(std::uint8_t n) {
  DomainId id;
  id.bytes.fill(std::byte{n});
  return std::make_shared<const KeyDomain>(id, secret_of(n));
}

TEST(KeyDomain, a_chunks_id_in_a_domain_says_nothing_without_the_key_and_all_with_it) {
  const auto one = domain_of(1), two = domain_of(2);
  std::set<Digest> seen;
  for (int n = 0; n < 1000; ++n) {
    const auto plain = base::sha256("chunk " + std::to_string(n));
    const auto id = one->mask(plain);
    EXPECT_EQ(one->unmask(id), plain);
    EXPECT_EQ(id, one->mask(plain));
    EXPECT_NE(two->unmask(id), plain);
    EXPECT_TRUE(seen.insert(plain).second && seen.insert(id).second && seen.insert(two->mask(plain)).second);
  }
}

// Another implementation of docs/formats/encryption.md made these (Python's cryptography module); a change of any of
// them makes stored chunks unreadable.
TEST(KeyDomain, what_is_derived_from_a_secret_never_changes) {
  const auto domain = domain_of(1);
  const auto plain = base::sha256("a chunk");
  EXPECT_EQ(domain->mask(plain).hex(), "4e917da4af7ae0f127b8e98e58a93e762203e6269257c7af4b01717074dcb8b9");
  EXPECT_EQ(domain->mask_feature(0x0123456789abcdef), 16126326839642974435u);
  Bytes sealed;
  const auto nonce = domain->seal(domain->mask(plain), base::as_bytes("header"), base::as_bytes("payload"), sealed);
  EXPECT_EQ(base::to_hex(nonce), "121f97b9e254b0b9bc8cbbfd");
  EXPECT_EQ(base::to_hex(sealed), "55453cce4cb71f26f2fc62bbd448fce75ca2e0008b25bb");
  Bytes unit(2 * unit_bytes);
  domain->slots().encrypt(KeyDomain::slot_tweak(domain->mask(plain)), 5 * unit_bytes, unit, unit.data());
  EXPECT_EQ(base::sha256(unit).hex(), "7125a668da7d2cacc513438d711b1f0768df0f63aa44e9668c588c32652080ea");
  Bytes head(2 * unit_bytes);
  domain->head("vol-0123456789abcdef0", 3)->encrypt({}, 7 * unit_bytes, head, head.data());
  EXPECT_EQ(base::sha256(head).hex(), "fe9b72df679a551191bc76e69c3cbb75de8f6ca403c09e97fb1613166d80d13a");
}

TEST(KeyDomain, what_was_sealed_opens_with_the_same_id_header_and_nonce_only) {
  const auto domain = domain_of(1);
  const auto id = base::sha256("id");
  const auto payload = content(7);
  Bytes sealed;
  const auto nonce = domain->seal(id, base::as_bytes("header"), payload, sealed);
  EXPECT_EQ(sealed.size(), payload.size() + sealed_overhead_bytes);
  const auto opened = domain->open(id, nonce, base::as_bytes("header"), sealed);
  ASSERT_TRUE(opened) << why(opened);
  EXPECT_EQ(*opened, payload);
  EXPECT_EQ(domain->open(base::sha256("other"), nonce, base::as_bytes("header"), sealed).error().fault(),
            Fault::corrupt);
  EXPECT_EQ(domain->open(id, Nonce{}, base::as_bytes("header"), sealed).error().fault(), Fault::corrupt);
  EXPECT_EQ(domain->open(id, nonce, base::as_bytes("Header"), sealed).error().fault(), Fault::corrupt);
  EXPECT_EQ(domain_of(2)->open(id, nonce, base::as_bytes("header"), sealed).error().fault(), Fault::corrupt);
  for (std::size_t bit = 0; bit < sealed.size() * 8; bit += 99'991) {
    auto flipped = sealed;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_EQ(domain->open(id, nonce, base::as_bytes("header"), flipped).error().fault(), Fault::corrupt) << bit;
  }
  for (std::size_t length = 0; length < sealed_overhead_bytes + 2; ++length) {
    EXPECT_FALSE(domain->open(id, nonce, base::as_bytes("header"), std::span(sealed).first(length)));
  }
}

TEST(KeyDomain, another_payload_of_the_same_chunk_has_another_nonce) {
  const auto domain = domain_of(1);
  Bytes first, again, other;
  const auto id = base::sha256("id");
  const auto nonce = domain->seal(id, {}, base::as_bytes("one"), first);
  EXPECT_EQ(domain->seal(id, {}, base::as_bytes("one"), again), nonce);
  EXPECT_EQ(first, again);
  EXPECT_NE(domain->seal(id, {}, base::as_bytes("two"), other), nonce);
  EXPECT_NE(domain->seal(id, base::as_bytes("other bases"), base::as_bytes("one"), other), nonce);
}

TEST(UnitCipher, any_part_of_a_unit_is_read_and_written_by_itself) {
  const auto cipher = domain_of(1)->head("vol-1", 1);
  const auto plain = content(3);
  Bytes whole(plain.size());
  cipher->encrypt({}, 0, plain, whole.data());
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 300; ++i) {
    const auto from = random() % (plain.size() / 16) * 16;
    const auto length = std::min<std::size_t>((random() % 600 + 1) * 16, plain.size() - from);
    Bytes part(length);
    cipher->encrypt({}, from, std::span(plain).subspan(from, length), part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(from))) << from;
    cipher->decrypt({}, from, part, part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.end(), plain.begin() + static_cast<std::ptrdiff_t>(from))) << from;
  }
}

TEST(UnitCipher, equal_units_are_stored_differently) {
  const auto domain = domain_of(1);
  const Bytes zeros(3 * unit_bytes);
  std::set<std::string> seen;
  for (const auto& cipher :
       {domain->head("vol-1", 1), domain->head("vol-1", 2), domain->head("vol-2", 1), domain_of(2)->head("vol-1", 1)}) {
    Bytes out(zeros.size());
    cipher->encrypt({}, 0, zeros, out.data());
    for (std::size_t at = 0; at < out.size(); at += 16) {
      EXPECT_TRUE(seen.insert(std::string(base::as_text(std::span(out).subspan(at, 16)))).second);
    }
  }
}

TEST(Keyring, tells_which_domain_it_lacks) {
  Keyring keys;
  const auto domain = domain_of(1);
  EXPECT_EQ(keys.find(domain->id()).error().message(),
            "the key of domain 01010101010101010101010101010101 is not available");
  EXPECT_EQ(keys.find(domain->id()).error().fault(), Fault::no_key);
  keys.add(domain);
  EXPECT_EQ(*keys.find(domain->id()), domain);
  keys.remove(domain->id());
  EXPECT_FALSE(keys.find(domain->id()));
}

TEST(Keyring, domains_are_told_as_text) {
  const auto told = parse_domains(domains_text({domain_of(1), domain_of(2)}));
  ASSERT_TRUE(told) << why(told);
  ASSERT_EQ(told->size(), 2u);
  EXPECT_EQ((*told)[1]->id(), domain_of(2)->id());
  EXPECT_EQ((*told)[1]->secret(), secret_of(2));
  EXPECT_TRUE(parse_domains("")->empty());
  const auto good = domains_text({domain_of(1)});
  for (const auto& bad :
       {std::string("x"), good + ",", good.substr(1), good + " ", std::string(32, '0') + good.substr(32)}) {
    EXPECT_EQ(parse_domains(bad).error().fault(), Fault::invalid) << bad;
  }
}

}  // namespace
}  // namespace kiln::blocks
