#pragma once
// Reaching the volumes of an instance, or a volume that nobody serves, through whoever may write them.
//
// A volume that an instance's disk server has open is asked there. Any other is opened in this process for the length
// of the call, under its flock. Several callers may do so at once: each call is idempotent, and one that finds the
// volume closed under it by another is told busy. Waits for disks and sockets; never throws ApiError.

#include <functional>
#include <string>
#include <vector>

#include "blocks/volume_service.h"
#include "control/region.h"

namespace kiln::control {

// Who has the volumes open during the call: an instance's disk server, or this process, which closes them afterwards.
enum class ServedBy { instance, us };

// Fault::busy: somebody else has one of them open, or the server changed meanwhile: trying again helps. All the volumes
// are of one instance, or it is one volume.
base::Status with_volumes(Region& region, const std::vector<std::string>& volume_ids,
                          const std::function<base::Status(blocks::VolumeService&, ServedBy)>& body);

// What a disk server needs to open the volume: the keys of it and of its base; empty for a plain one. no_key when one
// is not to be had any more. What there is no VOLUME of yet needs none.
base::Result<std::string> volume_keys(Region& region, const std::string& volume_id);

}  // namespace kiln::control
