#include "wire/xml.h"

#include "wire/scalar.h"
#include "wire/utf8.h"

namespace kiln::wire {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

// What stands for an ASCII character; empty when it stands for itself.
std::string_view escape_of(unsigned char c) {
  switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case '\r': return "&#13;";  // a parser turns a bare one into a line feed
    case '\t':
    case '\n': return {};
    default: return c < 0x20 ? replacement : std::string_view();
  }
}

void open(std::string_view tag, std::string& out) { ((out += '<') += tag) += '>'; }
void close(std::string_view tag, std::string& out) { ((out += "</") += tag) += '>'; }

void encode_element(XmlNames names, std::string_view tag, const Type& type, const void* value, std::string& out) {
  if (type.kind == Kind::optional) {
    if (type.size(value) > 0) encode_element(names, tag, type.element(), type.get(value, 0), out);
    return;
  }
  open(tag, out);
  if (type.kind == Kind::list) {
    const std::size_t count = type.size(value);
    const std::string_view item = names == XmlNames::lower_items ? "item" : "member";
    for (std::size_t i = 0; i < count; ++i) encode_element(names, item, type.element(), type.get(value, i), out);
  } else if (type.kind == Kind::structure) {
    encode_xml(names, type, value, out);
  } else if (type.kind == Kind::text) {
    append_xml_text(*static_cast<const std::string*>(value), out);
  } else {
    print_scalar(type.kind, value, out);  // digits, letters and base64: nothing to escape
  }
  close(tag, out);
}

}  // namespace

void append_xml_text(std::string_view text, std::string& out) {
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    std::string_view instead;
    if (c < 0x80) {
      instead = escape_of(c);
    } else {
      const Utf8 next = next_utf8(text.substr(i));
      length = next.length;
      if (!next.valid || next.code == 0xFFFE || next.code == 0xFFFF) instead = replacement;
    }
    if (!instead.empty()) {
      out.append(text, copied, i - copied);
      out += instead;
      copied = i + length;
    }
    i += length;
  }
  out.append(text, copied);
}

void append_xml_element(std::string_view tag, std::string_view text, std::string& out) {
  open(tag, out);
  append_xml_text(text, out);
  close(tag, out);
}

void encode_xml(XmlNames names, const Type& type, const void* value, std::string& out) {
  for (const Member& member : type.members) {
    if (member.in != In::body) continue;
    encode_element(names, names == XmlNames::lower_items ? member.lower : member.upper, member.type(),
                   member.at_const(value), out);
  }
}

}  // namespace kiln::wire
