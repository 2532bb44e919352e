// A policy from anywhere: it is refused with a reason, or read into a document that any request can be judged by.

#include <cstdint>
#include <cstdlib>

#include "policy/evaluate.h"

using namespace kiln;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

policy::Request request() {
  policy::Request asked{
      .caller = {.account = "123456789012", .arn = "arn:aws:iam::123456789012:user/ann", .role_arn = {}, .service = {}},
      .action = "ec2:RunInstances",
      .resource = "arn:aws:ec2:us-east-1::image/ami-1",
      .context = {}};
  asked.context.set("aws:username", "ann");
  asked.context.set("aws:SourceIp", "10.0.0.1");
  asked.context.set("aws:CurrentTime", "2026-01-02T03:04:05Z");
  asked.context.add("aws:TagKeys", "a");
  asked.context.add("aws:TagKeys", "b");
  return asked;
}

void judge(std::string_view text, const policy::Grammar& grammar) {
  const auto document = policy::parse(text, grammar);
  if (!document) {
    must(!document.error().message().empty());
    return;
  }
  must(!document->statement.empty());
  const policy::NamedPolicy policy{.name = "it", .document = &*document};
  const bool is_identity = grammar.principal == policy::Grammar::Element::forbidden;
  const policy::Request asked = request();
  const auto decision =
      is_identity
          ? policy::evaluate(
                asked, {.identity = {policy}, .boundary = {}, .session = {}, .resource = {}, .resource_account = {}})
          : policy::evaluate(
                asked, {.identity = {}, .boundary = {}, .session = {}, .resource = policy, .resource_account = {}});
  must(decision.statement <= document->statement.size());
  must((decision.outcome == policy::Outcome::implicit_deny) == (decision.statement == 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  judge(text, policy::identity_policy);
  judge(text, policy::resource_policy);
  judge(text, policy::key_policy);
  judge(text, policy::trust_policy);
  return 0;
}
