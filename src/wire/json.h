#pragma once
// Requests and responses as JSON (the json 1.0, json 1.1 and rest-json protocols). Pure; any thread.
//
// Members are named as AWS's model names them: ImageId in most services, imageId in those that say JsonNames::lower.
// A timestamp is a number of seconds, a blob base64. Unknown members and nulls are ignored; members bound to a header,
// the path or the query string are not part of the body.

#include <string>
#include <string_view>

#include "wire/table.h"

namespace kiln::wire {

enum class JsonNames { upper, lower };

// Fills a structure; throws ApiError (SerializationException) that names the member. An empty text is an empty object.
void decode_json(std::string_view text, JsonNames names, const Type& type, void* value);

// Appends an object.
void encode_json(JsonNames names, const Type& type, const void* value, std::string& out);

// Appends text in quotes; bytes that are not UTF-8 become U+FFFD.
void append_json_text(std::string_view text, std::string& out);

}  // namespace kiln::wire
