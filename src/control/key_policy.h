#pragma once
// Key policies: which accounts may do what with a key, in AWS's policy language (policy/document.h). What a key's
// policy does not allow, nobody may: its owner neither. Pure; any thread.

#include <string>

#include "catalog/organizations.h"
#include "control/principal.h"

namespace kiln::control {

// What asks for the use of a key.
struct KeyUse {
  std::string account;
  std::string action;       // kms:Decrypt
  std::string via_service;  // ec2.us-east-1.amazonaws.com when EC2 asks on the account's behalf; empty
  // Who of the account asks, whose own policies allow it; null: the account itself.
  const Principal* principal = nullptr;
  catalog::OrganizationPlace place = {};  // of the account
};

// A text that is no policy allows nothing.
bool policy_allows(const std::string& policy, const KeyUse& use);

// Throws MalformedPolicyDocumentException for what is no such policy.
void check_policy(const std::string& policy);

// The owner may do everything.
std::string default_key_policy(const std::string& account);
// Of alias/aws/ebs: the owner may look, and use it through EC2 alone.
std::string ebs_key_policy(const std::string& account, const std::string& region);
// Of alias/aws/ssm: the same through Systems Manager.
std::string ssm_key_policy(const std::string& account, const std::string& region);

}  // namespace kiln::control
