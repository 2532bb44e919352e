#pragma once
// The operations of the EBS direct APIs that write; those that read are in ebs.cc.

#include <span>

#include "services/operation.h"

namespace kiln::services::ebs {

std::span<const Operation> write_operations();  // StartSnapshot, PutSnapshotBlock, CompleteSnapshot

}  // namespace kiln::services::ebs
