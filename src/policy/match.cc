#include "policy/match.h"

#include <algorithm>

#include "base/text.h"

namespace kiln::policy {
namespace {

using Kind = Pattern::Kind;
using Step = Pattern::Step;

constexpr std::size_t arn_fields = 6;

// One variable at the start of a text: ${name} or ${name, 'default'}.
struct Variable {
  std::string_view name;
  std::optional<std::string_view> fallback;
  std::size_t length = 0;  // of all of it
};

std::optional<Variable> read_variable(std::string_view text) {
  // A default is quoted, so that it may have a brace.
  const auto quoted = text.find('\'');
  auto end = text.find('}');
  if (quoted < end) {
    const auto closing = text.find('\'', quoted + 1);
    if (closing == std::string_view::npos) return {};
    end = text.find('}', closing);
  }
  if (end == std::string_view::npos) return {};
  const auto inside = text.substr(2, end - 2);
  const auto comma = inside.find(',');
  Variable read{.name = base::trim(inside.substr(0, comma)), .fallback = {}, .length = end + 1};
  if (comma != std::string_view::npos) {
    const auto fallback = base::trim(inside.substr(comma + 1));
    if (fallback.size() < 2 || !fallback.starts_with('\'') || !fallback.ends_with('\'')) return {};
    read.fallback = fallback.substr(1, fallback.size() - 2);
  }
  return read.name.empty() ? std::nullopt : std::optional(read);
}

std::optional<std::string_view> value_of(const Variable& variable, const Context& context) {
  if (variable.name == "*" || variable.name == "?" || variable.name == "$") return variable.name;
  const auto* values = context.find(variable.name);
  if (values != nullptr && values->size() == 1) return values->front();
  return variable.fallback;
}

void append_literal(std::vector<Step>& steps, std::string_view text) {
  for (const char c : text) steps.push_back({Kind::literal, c});
}

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The places of a pattern that the text read so far leads to. may_pass says whether the * at a step takes a colon.
template <class MayPass>
bool follow(std::span<const Step> steps, std::string_view text, MayPass may_pass) {
  std::vector<char> here(steps.size() + 1), next(steps.size() + 1);
  const auto settle = [&](std::vector<char>& places) {  // a * may also match nothing
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (places[i] != 0 && steps[i].kind == Kind::any) places[i + 1] = 1;
    }
  };
  here[0] = 1;
  settle(here);
  for (std::size_t at = 0; at < text.size();) {
    std::size_t character = 1;
    while (at + character < text.size() && continues_character(text[at + character])) ++character;
    // Literals are compared byte by byte and wildcards by character; a character of the text is taken in one go.
    std::ranges::fill(next, 0);
    bool alive = false;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (here[i] == 0) continue;
      std::size_t to = i;
      if (steps[i].kind == Kind::any) {
        if (text[at] == ':' && !may_pass(i)) continue;
      } else if (steps[i].kind == Kind::one) {
        to = i + 1;
      } else {
        std::size_t same = 0;
        while (same < character && i + same < steps.size() && steps[i + same].kind == Kind::literal &&
               steps[i + same].c == text[at + same]) {
          ++same;
        }
        if (same < character) continue;
        to = i + same;
      }
      next[to] = 1;
      alive = true;
    }
    if (!alive) return false;
    settle(next);
    here.swap(next);
    at += character;
  }
  return here[steps.size()] != 0;
}

constexpr auto always = [](std::size_t) { return true; };

bool is_colon(const Step& step) { return step.kind == Kind::literal && step.c == ':'; }

}  // namespace

void Context::set(std::string_view key, std::string value) { values_[base::lower(key)] = {std::move(value)}; }

void Context::add(std::string_view key, std::string value) { values_[base::lower(key)].push_back(std::move(value)); }

const std::vector<std::string>* Context::find(std::string_view key) const {
  const auto found = values_.find(base::lower(key));
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<Pattern> expand(std::string_view text, const Context& context, Variables variables, Wildcards wildcards) {
  Pattern pattern;
  pattern.steps.reserve(text.size());
  while (!text.empty()) {
    if (variables == Variables::yes && text.starts_with("${")) {
      const auto variable = read_variable(text);
      const auto value = variable ? value_of(*variable, context) : std::nullopt;
      if (!value) return {};
      append_literal(pattern.steps, *value);
      text.remove_prefix(variable->length);
      continue;
    }
    const char c = text.front();
    const bool wild = wildcards == Wildcards::yes && (c == '*' || c == '?');
    pattern.steps.push_back({!wild ? Kind::literal : c == '*' ? Kind::any : Kind::one, c});
    text.remove_prefix(1);
  }
  return pattern;
}

base::Status check_variables(std::string_view text) {
  for (auto at = text.find("${"); at != std::string_view::npos; at = text.find("${")) {
    const auto variable = read_variable(text.substr(at));
    if (!variable) {
      return base::Error(base::Fault::invalid,
                         "'" + std::string(text.substr(at)) + "' is no variable: wanted ${name} or ${name, 'default'}");
    }
    text.remove_prefix(at + variable->length);
  }
  return {};
}

bool matches(const Pattern& pattern, std::string_view text) { return follow(pattern.steps, text, always); }

bool matches_resource(const Pattern& pattern, std::string_view arn) {
  const auto& steps = pattern.steps;
  std::vector<char> passes(steps.size());
  std::size_t colons = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    colons += is_colon(steps[i]) ? 1 : 0;
    passes[i] = colons + 1 >= arn_fields || i + 1 == steps.size() || is_colon(steps[i + 1]);
  }
  return follow(steps, arn, [&](std::size_t i) { return passes[i] != 0; });
}

bool matches_arn(const Pattern& pattern, std::string_view arn) {
  std::span<const Step> steps = pattern.steps;
  for (std::size_t field = 1; field < arn_fields; ++field) {
    const auto colon = std::ranges::find_if(steps, is_colon);
    const auto end = arn.find(':');
    if (colon == steps.end() || end == std::string_view::npos) return false;
    const auto length = static_cast<std::size_t>(colon - steps.begin());
    if (!follow(steps.first(length), arn.substr(0, end), always)) return false;
    steps = steps.subspan(length + 1);
    arn.remove_prefix(end + 1);
  }
  return follow(steps, arn, always);
}

bool matches_action(std::string_view pattern, std::string_view action) {
  return matches(*expand(base::lower(pattern), {}, Variables::no, Wildcards::yes), base::lower(action));
}

}  // namespace kiln::policy
