#pragma once
// What policies can know of a resource: its ARN and its condition keys (ec2:Owner, ec2:InstanceType,
// aws:ResourceTag/...). In the caller's transaction; request threads.
//
// Nothing here says whether the caller may see the resource: of one that is not there only the ARN is known that it
// would have, so that a refusal tells nothing, and who is let through is told NotFound by the rules.

#include <string>

#include "control/access.h"
#include "control/region.h"

namespace kiln::control {

// What a request wants to do with a resource of EC2, by its type (image, instance, key-pair) and id; of key pairs the
// id is the name. Only resource and context are set.
Asked facts_of(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& type,
               const std::string& id);

// The same of one that is yet to be made: arn:aws:ec2:us-east-1:123456789012:instance/*
Asked facts_of_new(const Region& region, const Principal& caller, const std::string& type);

// Images and snapshots are of no account.
std::string ec2_arn(const Region& region, const std::string& account, const std::string& type, const std::string& id);

}  // namespace kiln::control
