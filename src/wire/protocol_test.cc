#include "wire/protocol.h"

#include <gtest/gtest.h>

#include "base/api_error.h"
#include "wire/json.h"
#include "wire/xml.h"

namespace kiln::wire::protocol_test {

struct Tag {
  std::string key, value;
};
struct Image {
  std::string image_id;
  std::optional<std::string> description;
  std::vector<Tag> tag_set;
  bool is_public = false;
  Timestamp creation_date;
};
struct Images {
  std::vector<Image> images_set;
  std::optional<std::string> next_token;
};
struct Put {
  std::string parameter_name;
  std::int64_t count = 0;
  double ratio = 0;
  Blob blob;
  std::optional<Timestamp> at;
  std::vector<Tag> tags;
  std::optional<bool> overwrite;
  std::string checksum;
};
struct Seal {
  TextMap context;
  std::optional<TextMap> more;
};

struct None {};

}  // namespace kiln::wire::protocol_test

KILN_WIRE(kiln::wire::protocol_test::Tag, key, value)
KILN_WIRE(kiln::wire::protocol_test::Image, image_id, description, tag_set, is_public, creation_date)
KILN_WIRE(kiln::wire::protocol_test::Images, images_set, next_token)
KILN_WIRE_IN(kiln::wire::protocol_test::Put, checksum, wire::In::header, "x-amz-Checksum")
KILN_WIRE(kiln::wire::protocol_test::Put, parameter_name, count, ratio, blob, at, tags, overwrite, checksum)
KILN_WIRE(kiln::wire::protocol_test::Seal, context, more)
KILN_WIRE_EMPTY(kiln::wire::protocol_test::None)

namespace kiln::wire::protocol_test {
namespace {

constexpr Dialect ec2{.protocol = Protocol::ec2, .xml_namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"};
constexpr Dialect sts{.protocol = Protocol::query, .xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/"};
constexpr Dialect ssm{.protocol = Protocol::json_1_1};
constexpr Dialect imagebuilder{.protocol = Protocol::rest_json, .lower_json = true};
constexpr std::string_view head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

template <class T>
std::string content(const Dialect& dialect, const T& value) {
  return encode_content(dialect, type_of<T>(), &value);
}

std::string escaped(std::string_view text) {
  std::string out;
  append_xml_text(text, out);
  return out;
}

TEST(Xml, ec2_writes_items_and_wraps_them_with_the_request_id) {
  const Images images{.images_set = {{.image_id = "ami-1", .tag_set = {{"a", "b"}}, .is_public = true}}};
  const Reply reply = success(ec2, "DescribeImages", "req-1", content(ec2, images));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/xml;charset=UTF-8");
  EXPECT_EQ(reply.body, std::string(head) +
                            "<DescribeImagesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"
                            "<requestId>req-1</requestId><imagesSet><item><imageId>ami-1</imageId><tagSet><item>"
                            "<key>a</key><value>b</value></item></tagSet><isPublic>true</isPublic>"
                            "<creationDate>1970-01-01T00:00:00.000Z</creationDate></item></imagesSet>"
                            "</DescribeImagesResponse>");
}

TEST(Xml, absent_optionals_are_left_out_and_empty_lists_are_empty_elements) {
  EXPECT_EQ(content(ec2, Images{}), "<imagesSet></imagesSet>");
  EXPECT_EQ(content(ec2, None{}), "");
}

TEST(Xml, query_services_write_a_result_and_its_metadata) {
  const Reply reply = success(sts, "GetThing", "req-1", content(sts, Images{.images_set = {}, .next_token = "t"}));
  EXPECT_EQ(reply.body, std::string(head) +
                            "<GetThingResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetThingResult>"
                            "<ImagesSet></ImagesSet><NextToken>t</NextToken></GetThingResult><ResponseMetadata>"
                            "<RequestId>req-1</RequestId></ResponseMetadata></GetThingResponse>");
}

TEST(Xml, no_text_breaks_the_document) {
  EXPECT_EQ(escaped("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c'");
  EXPECT_EQ(escaped("tab\tline\nreturn\r"), "tab\tline\nreturn&#13;");
  EXPECT_EQ(escaped(std::string_view("\0\x01\x1F", 3)), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(escaped("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"), "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80");
  EXPECT_EQ(escaped("\xFF"), "\xEF\xBF\xBD");
  EXPECT_EQ(escaped("\xC3"), "\xEF\xBF\xBD");                                  // cut short
  EXPECT_EQ(escaped("\xC0\xBC"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // an overlong '<'
  EXPECT_EQ(escaped("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(escaped("\xEF\xBF\xBE"), "\xEF\xBF\xBD");                          // U+FFFE
}

TEST(Failure, is_worded_as_each_protocol_words_it) {
  const Failure what{.code = "InvalidAMIID.NotFound", .message = "The image id '[<a>]' does not exist", .status = 400};
  EXPECT_EQ(failure(ec2, "req-1", what).body,
            std::string(head) +
                "<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>The image id '[&lt;a&gt;]' does "
                "not exist</Message></Error></Errors><RequestID>req-1</RequestID></Response>");
  EXPECT_EQ(failure(sts, "req-1", {.code = "X", .message = "y", .status = 500}).body,
            std::string(head) +
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Receiver</Type>"
                "<Code>X</Code><Message>y</Message></Error><RequestId>req-1</RequestId></ErrorResponse>");
  EXPECT_EQ(failure(ssm, "req-1", {.code = "X", .message = "\"y\"\n"}).body,
            "{\"__type\":\"X\",\"message\":\"\\\"y\\\"\\u000a\"}");
  const Reply rest = failure(imagebuilder, "req-1", {.code = "X", .message = "y", .status = 404});
  EXPECT_EQ(rest.body, "{\"message\":\"y\"}");
  EXPECT_EQ(rest.status, 404);
  EXPECT_EQ(rest.headers.at(0), (std::pair<std::string, std::string>{"x-amzn-ErrorType", "X"}));
}

TEST(Json, reads_back_what_it_writes) {
  const Put put{.parameter_name = "a\"\\\n\x01\xC3\xBC",
                .count = -9'007'199'254'740'993,
                .ratio = 0.1,
                .blob = {std::string("\0\xFF", 2)},
                .at = Timestamp{1'500'000},
                .tags = {{"k", "v"}, {"", ""}},
                .overwrite = false,
                .checksum = "not in the body"};
  for (const JsonNames names : {JsonNames::upper, JsonNames::lower}) {
    std::string text;
    encode_json(names, type_of<Put>(), &put, text);
    Put back;
    decode_json(text, names, type_of<Put>(), &back);
    EXPECT_EQ(back.parameter_name, put.parameter_name);
    EXPECT_EQ(back.count, put.count);
    EXPECT_EQ(back.ratio, put.ratio);
    EXPECT_EQ(back.blob, put.blob);
    EXPECT_EQ(back.at, put.at);
    EXPECT_EQ(back.tags.size(), 2u);
    EXPECT_EQ(back.overwrite, false);
    EXPECT_EQ(back.checksum, "");
  }
}

TEST(Json, writes_names_as_the_service_has_them) {
  EXPECT_EQ(content(ssm, Images{.images_set = {}, .next_token = "x"}), "{\"ImagesSet\":[],\"NextToken\":\"x\"}");
  EXPECT_EQ(content(imagebuilder, Images{}), "{\"imagesSet\":[]}");
}

TEST(Json, a_map_of_texts_is_an_object_and_of_nothing_else) {
  const Seal seal{.context = {{"a\"", "1"}, {"b", ""}}, .more = {}};
  std::string text;
  encode_json(JsonNames::upper, type_of<Seal>(), &seal, text);
  EXPECT_EQ(text, "{\"Context\":{\"a\\\"\":\"1\",\"b\":\"\"}}");
  Seal back;
  decode_json(text, JsonNames::upper, type_of<Seal>(), &back);
  EXPECT_EQ(back.context, seal.context);
  EXPECT_FALSE(back.more);
  for (const char* wrong : {"{\"Context\":[]}", "{\"Context\":{\"a\":1}}", "{\"Context\":\"a\"}"}) {
    EXPECT_THROW(decode_json(wrong, JsonNames::upper, type_of<Seal>(), &back), base::ApiError) << wrong;
  }
}

std::string json_refusal(std::string_view text) {
  try {
    Put put;
    decode_json(text, JsonNames::upper, type_of<Put>(), &put);
    return "accepted";
  } catch (const base::ApiError& error) {
    return error.code() + ": " + error.what();
  }
}

TEST(Json, ignores_what_it_does_not_know_and_names_what_is_wrong) {
  EXPECT_EQ(json_refusal(""), "accepted");
  EXPECT_EQ(json_refusal("{\"New\":{\"a\":[1]},\"Count\":null,\"At\":\"2026-01-02T03:04:05Z\"}"), "accepted");
  EXPECT_EQ(json_refusal("{\"Tags\":[{\"Key\":1}]}"),
            "SerializationException: The value of Tags.Key is of the wrong type.");
  EXPECT_EQ(json_refusal("{\"Tags\":{}}"), "SerializationException: Tags is not a list.");
  for (const char* text : {"[]", "{", "{\"Count\":1.5}", "{\"Count\":1e30}", "{\"Count\":\"1\"}", "{\"At\":1e300}",
                           "{\"Overwrite\":\"true\"}", "{\"Blob\":\"*\"}", "{}x", "{\"ParameterName\":\"\xFF\"}"}) {
    EXPECT_TRUE(json_refusal(text).starts_with("SerializationException")) << text;
  }
  EXPECT_TRUE(json_refusal(std::string(100'000, '[')).starts_with("SerializationException"));
}

}  // namespace
}  // namespace kiln::wire::protocol_test
