#pragma once
// A response as XML. Pure; any thread.
//
//   EC2:    <imagesSet><item><imageId>ami-1</imageId></item></imagesSet>
//   query:  <Roles><member><RoleName>admin</RoleName></member></Roles>
//
// An absent optional is left out, an empty list is an empty element. Whatever a string holds, the output is well-formed
// UTF-8: characters that XML 1.0 cannot carry, and bytes that are not UTF-8, become U+FFFD.

#include <string>
#include <string_view>

#include "wire/table.h"

namespace kiln::wire {

enum class XmlNames { lower_items, upper_members };  // EC2's form, and the query protocol's

// Appends the members of a structure, without an element around them.
void encode_xml(XmlNames names, const Type& type, const void* value, std::string& out);

void append_xml_text(std::string_view text, std::string& out);

// <tag>text</tag>
void append_xml_element(std::string_view tag, std::string_view text, std::string& out);

}  // namespace kiln::wire
