#include "services/ec2/ec2.h"

#include "services/ec2/asked.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

Service service() {
  return {.name = "ec2",
          .version = "2016-11-15",
          .dialect = {.protocol = wire::Protocol::ec2, .xml_namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"},
          .asked = asked,
          .tables = {console_operations(),
                     ebs_encryption_operations(),
                     fast_restore_operations(),
                     group_operations(),
                     image_lifecycle_operations(),
                     image_lineage_operations(),
                     image_operations(),
                     image_usage_report_operations(),
                     instance_operations(),
                     instance_profile_operations(),
                     instance_status_operations(),
                     instance_type_operations(),
                     key_operations(),
                     launch_template_operations(),
                     network_operations(),
                     recycle_bin_operations(),
                     region_operations(),
                     sharing_setting_operations(),
                     snapshot_attribute_operations(),
                     snapshot_lock_operations(),
                     snapshot_operations(),
                     snapshot_tier_operations(),
                     tag_operations(),
                     volume_operations()}};
}

}  // namespace kiln::services::ec2
