#pragma once
// The block device mapping of an image: entries as callers give them, checked, as rows. Pure functions; they throw
// ApiError, mostly InvalidBlockDeviceMapping.

#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "control/images.h"

namespace kiln::control {

// A root volume goes with its instance unless the mapping says otherwise, another one stays; of images both go.
std::vector<catalog::ImageDevice> new_devices(const std::string& region, const std::string& image_id,
                                              const std::vector<ImageDeviceRequest>& entries);
// The size defaults to the snapshot's and is no smaller.
void check_fits(catalog::ImageDevice& device, const catalog::Snapshot& snapshot);
// Positions follow the order.
void number_devices(std::vector<catalog::ImageDevice>& devices);

}  // namespace kiln::control
