#pragma once
// The operations of the EBS direct APIs that write; those that read are in ebs.cc.

#include <span>

#include "services/service.h"

namespace kiln::services::ebs {

std::span<const Operation> write_operations();  // StartSnapshot, PutSnapshotBlock, CompleteSnapshot

// The snapshots that a request is about, for the policies of who sends it.
std::vector<control::Asked> asked(const AtDoor& request);

}  // namespace kiln::services::ebs
