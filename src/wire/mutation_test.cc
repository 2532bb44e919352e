// Damaged input of every decoder: refused by its own error or accepted, never anything else. The same inputs each time
// for a seed; KILN_SEED chooses another.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "base/api_error.h"
#include "wire/json.h"
#include "wire/query.h"
#include "wire/sigv4.h"
#include "wire/utf8.h"
#include "wire/xml.h"

namespace kiln::wire::mutation_test {

struct Node {
  std::string name;
  std::vector<std::string> id;
  std::vector<Node> child;
  std::optional<int> count;
  std::optional<bool> flag;
  Timestamp at;
  Blob blob;
};

}  // namespace kiln::wire::mutation_test

KILN_WIRE(kiln::wire::mutation_test::Node, name, id, child, count, flag, at, blob)

namespace kiln::wire::mutation_test {
namespace {

constexpr int rounds = 20'000;

std::uint64_t seed() {
  const char* chosen = std::getenv("KILN_SEED");
  return chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 20'260'102;
}

class Mutator {
 public:
  // A copy of one of the texts with a few bytes changed, dropped, doubled, or spliced with another.
  std::string damaged(const std::vector<std::string>& texts) {
    std::string text = texts[below(texts.size())];
    for (std::size_t times = 1 + below(4); times > 0; --times) change(text, texts);
    return text;
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  void change(std::string& text, const std::vector<std::string>& texts) {
    static constexpr std::string_view telling = "&=%.+,;/{}[]\":0123456789-\n\0\xFF\xC3 ";
    const std::size_t at = below(text.size() + 1);
    const std::size_t count = std::min(text.size() - at, 1 + below(8));
    switch (below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 1: text.insert(at, 1, telling[below(telling.size())]); break;
      case 2: text.erase(at, count); break;
      case 3: text.insert(at, text.substr(at, count)); break;
      default: {
        const std::string& other = texts[below(texts.size())];
        text = text.substr(0, at) + other.substr(std::min(other.size(), below(other.size() + 1)));
      }
    }
  }
  std::mt19937_64 random_{seed()};
};

void try_damaged(const std::vector<std::string>& texts, const std::function<void(const std::string&)>& decode) {
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed()));
  Mutator mutator;
  for (int round = 0; round < rounds; ++round) decode(mutator.damaged(texts));
}

TEST(Mutation, queries_are_decoded_or_refused) {
  try_damaged({"Name=a&Id.1=b&Id.2=c&Child.1.Name=d&Child.2.Child.1.Count=7",
               "Id.member.1=x&Flag=true&At=2026-01-02T03:04:05Z", "Blob=aGVsbG8%3D&Count=-5&Child.10.Id.3=%C3%BC+z"},
              [](const std::string& text) {
                for (const Lists lists : {Lists::flattened, Lists::members}) {
                  try {
                    Node node;
                    decode_query(Params::parse(text), lists, type_of<Node>(), &node);
                  } catch (const base::ApiError& error) {
                    EXPECT_FALSE(error.code().empty());
                  }
                }
              });
}

TEST(Mutation, json_is_decoded_or_refused) {
  try_damaged({R"({"Name":"a","Id":["b","c"],"Child":[{"Name":"d","Count":7}],"Flag":true,"At":1.5,"Blob":"aGk="})",
               R"({"Child":[{"Child":[{"Child":[]}]}],"Name":"\u00fc\ud83d\ude00","At":"2026-01-02T03:04:05Z"})"},
              [](const std::string& text) {
                try {
                  Node node;
                  decode_json(text, JsonNames::upper, type_of<Node>(), &node);
                  std::string out;
                  encode_json(JsonNames::upper, type_of<Node>(), &node, out);
                  Node again;
                  decode_json(out, JsonNames::upper, type_of<Node>(), &again);
                } catch (const base::ApiError& error) {
                  EXPECT_EQ(error.code(), "SerializationException");
                }
              });
}

TEST(Mutation, no_damaged_authorization_lets_anybody_in) {
  const Credentials key{"AKIDEXAMPLE", "secret"};
  const base::Micros now = *base::from_amz_date("20260102T030405Z");
  const ToSign request{.method = "POST", .path = "/", .headers = {{"Host", "h"}}, .body_digest = std::string(64, 'a')};
  const HeaderList signed_headers = sign(request, key, {.region = "us-east-1", .service = "ec2", .time = now});
  const std::string authorization = signed_headers.back().second;
  // The parts that count, not their spelling.
  const auto parts_of = [](const Claim& claim) {
    std::string all = claim.access_key + '/' + claim.date + '/' + claim.region + '/' + claim.service + claim.signature;
    for (const auto& name : claim.signed_headers) all += ';' + name;
    return all;
  };
  const auto verdict = [&](const std::string& text) {
    HeaderList headers = signed_headers;
    headers.back().second = text;
    const SignedParts parts{.method = "POST", .path = "/", .query = "", .headers = headers};
    const auto claim = read_claim(parts);
    if (!claim) return std::string();
    verify(parts, *claim, {.secret = key.secret, .now = now, .body_digest = request.body_digest});
    return parts_of(*claim);
  };
  const std::string original = verdict(authorization);
  ASSERT_FALSE(original.empty());
  try_damaged({authorization}, [&](const std::string& text) {
    try {
      const std::string accepted = verdict(text);
      // The key id is not signed: dispatch finds another secret for another id.
      if (accepted.empty()) return;
      EXPECT_EQ(accepted.substr(accepted.find('/')), original.substr(original.find('/'))) << text;
    } catch (const SignatureError&) {
    }
  });
}

TEST(Mutation, no_damaged_presigned_query_lets_anybody_in) {
  const Credentials key{"AKIDEXAMPLE", "secret"};
  const base::Micros now = *base::from_amz_date("20260102T030405Z");
  const HeaderList headers{{"Host", "h"}};
  const std::string query =
      presign({.method = "GET", .path = "/", .query = "Action=A&Id.1=b", .headers = headers, .body_digest = "d"}, key,
              {.region = "us-east-1", .service = "ec2", .time = now}, 60);
  const std::vector<std::string> names{"host"};
  const auto canonical = [&](const std::string& text) {
    return canonical_request({.method = "GET", .path = "/", .query = text, .headers = headers}, names, "d");
  };
  try_damaged({query}, [&](const std::string& text) {
    const SignedParts parts{.method = "GET", .path = "/", .query = text, .headers = headers};
    try {
      const auto claim = read_claim(parts);
      if (!claim) return;
      verify(parts, *claim, {.secret = key.secret, .now = now, .body_digest = "d"});
      EXPECT_EQ(canonical(text), canonical(query)) << text;
    } catch (const SignatureError&) {
    }
  });
}

TEST(Mutation, xml_text_is_always_text) {
  try_damaged({"a<b>&\"c'", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80 \xEF\xBF\xBE", std::string("\0\x01\r\n\t", 5)},
              [](const std::string& text) {
                std::string out;
                append_xml_text(text, out);
                for (std::string_view rest = out; !rest.empty();) {
                  const Utf8 next = next_utf8(rest);
                  ASSERT_TRUE(next.valid);
                  ASSERT_TRUE(next.code >= 0x20 || next.code == '\t' || next.code == '\n');
                  ASSERT_TRUE(next.code != '<' && next.code != '>' && next.code != '"');
                  rest.remove_prefix(next.length);
                }
              });
}

}  // namespace
}  // namespace kiln::wire::mutation_test
