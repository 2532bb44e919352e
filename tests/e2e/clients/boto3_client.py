"""boto3 as Debian has it, against a region: `boto3_client.py SCENARIO` runs one function of below to its end.

Says nothing when all holds, and otherwise what did not, with status 1. The region is in the environment: KILN_ENDPOINT,
KILN_SNAPSHOT (a completed one), KILN_OTHER (another account's id) and KILN_IMAGE (one that launches), keys as boto3 takes them.
"""

import base64
import hashlib
import json
import os
import sys
import urllib.request
import uuid

import boto3
import botocore.config
import botocore.exceptions

ENDPOINT = os.environ["KILN_ENDPOINT"]
REGION = os.environ["AWS_DEFAULT_REGION"]
SNAPSHOT = os.environ["KILN_SNAPSHOT"]
IMAGE = os.environ["KILN_IMAGE"]
OTHER = os.environ["KILN_OTHER"]
ONCE = botocore.config.Config(retries={"total_max_attempts": 1})
FAST = {"Delay": 1, "MaxAttempts": 60}


def client(service, **keys):
    return boto3.client(service, endpoint_url=ENDPOINT, config=ONCE, **keys)


def unique(noun):
    return f"{noun}-{uuid.uuid4().hex[:12]}"


def same(found, wanted):
    assert found == wanted, f"wanted {wanted!r}, found {found!r}"


def refused(code, status, call, **parameters):
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        same((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]), (code, status))
        assert error.response["ResponseMetadata"]["RequestId"], "an error without a request id"
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} was expected")


def mapping(snapshot):
    return [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot, "VolumeType": "gp3", "DeleteOnTermination": True}}]


def register(ec2, name, **more):
    return ec2.register_image(Name=name, Architecture="x86_64", RootDeviceName="/dev/sda1", VirtualizationType="hvm",
                              BlockDeviceMappings=mapping(SNAPSHOT), **more)["ImageId"]


def images():
    ec2 = client("ec2")
    name = unique("boto3")
    image = register(ec2, name, Description="made by boto3", EnaSupport=True)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "team", "Value": "blue"}])
    ec2.get_waiter("image_exists").wait(ImageIds=[image], WaiterConfig=FAST)
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=FAST)
    found = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name[:-1] + "?"]}])["Images"]
    same([(each["ImageId"], each["State"], each["Description"], each["Tags"]) for each in found],
         [(image, "available", "made by boto3", [{"Key": "team", "Value": "blue"}])])
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": OTHER}]})
    same(ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"], [{"UserId": OTHER}])
    ec2.modify_image_attribute(ImageId=image, Attribute="description", Value="changed")
    same(ec2.describe_image_attribute(ImageId=image, Attribute="description")["Description"], {"Value": "changed"})
    refused("InvalidAMIName.Duplicate", 400, register, ec2=ec2, name=name)
    refused("DryRunOperation", 412, ec2.deregister_image, ImageId=image, DryRun=True)
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=["ami-00000000000000000"])
    refused("InvalidAMIID.Malformed", 400, ec2.describe_images, ImageIds=["lemon"])
    ec2.deregister_image(ImageId=image)
    same(ec2.describe_images(ImageIds=[image])["Images"], [])


def pages():
    ec2 = client("ec2")
    image = register(ec2, unique("page"))
    tags = [{"Key": f"key-{i}", "Value": str(i)} for i in range(12)]
    ec2.create_tags(Resources=[image], Tags=tags)
    wanted = {"Filters": [{"Name": "resource-id", "Values": [image]}]}
    pages = list(ec2.get_paginator("describe_tags").paginate(**wanted, PaginationConfig={"PageSize": 5}))
    same(sorted((each["Key"] for page in pages for each in page["Tags"])), sorted(each["Key"] for each in tags))
    same([len(page["Tags"]) for page in pages], [5, 5, 2])
    part = ec2.get_paginator("describe_tags").paginate(**wanted, PaginationConfig={"PageSize": 5, "MaxItems": 7})
    same(len(part.build_full_result()["Tags"]), 7)
    refused("InvalidNextToken", 400, ec2.describe_tags, NextToken="lemon", MaxResults=5)
    ec2.deregister_image(ImageId=image)


def resources():
    """The resource interface, which reads members that a client does not."""
    session = boto3.resource("ec2", endpoint_url=ENDPOINT, config=ONCE)
    volume = session.create_volume(AvailabilityZone=f"{REGION}a", SnapshotId=SNAPSHOT, TagSpecifications=[
        {"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "of boto3"}]}])
    session.meta.client.get_waiter("volume_available").wait(VolumeIds=[volume.id], WaiterConfig=FAST)
    volume.reload()
    same((volume.state, volume.snapshot_id, volume.tags), ("available", SNAPSHOT, [{"Key": "Name", "Value": "of boto3"}]))
    snapshot = volume.create_snapshot(Description="of a resource")
    session.meta.client.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot.id], WaiterConfig=FAST)
    snapshot.reload()
    same((snapshot.progress, snapshot.volume_id, snapshot.volume_size), ("100%", volume.id, volume.size))
    image = session.register_image(Name=unique("resource"), Architecture="x86_64", RootDeviceName="/dev/sda1",
                                   VirtualizationType="hvm", BlockDeviceMappings=mapping(snapshot.id))
    image.create_tags(Tags=[{"Key": "a", "Value": "1"}])
    image.load()
    same((image.state, image.block_device_mappings[0]["Ebs"]["SnapshotId"], image.tags), ("available", snapshot.id, [{"Key": "a", "Value": "1"}]))
    same([each.id for each in session.images.filter(Owners=["self"], ImageIds=[image.id])], [image.id])
    image.deregister()
    snapshot.delete()
    volume.delete()
    session.meta.client.get_waiter("volume_deleted").wait(VolumeIds=[volume.id], WaiterConfig=FAST)


def instances():
    session = boto3.resource("ec2", endpoint_url=ENDPOINT, config=ONCE)
    ec2 = session.meta.client
    (instance,) = session.create_instances(ImageId=IMAGE, InstanceType="t3.nano", MinCount=1, MaxCount=1, ClientToken=unique("token"))
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance.id], WaiterConfig=FAST)
    instance.reload()
    same((instance.image_id, instance.instance_type, instance.state["Name"]), (IMAGE, "t3.nano", "running"))
    instance.stop()
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance.id], WaiterConfig=FAST)
    image = instance.create_image(Name=unique("made"), NoReboot=True)
    ec2.get_waiter("image_available").wait(ImageIds=[image.id], WaiterConfig=FAST)
    image.reload()
    same(image.block_device_mappings[0]["DeviceName"], instance.root_device_name)
    instance.terminate()
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance.id], WaiterConfig=FAST)
    image.deregister()


def blocks():
    ebs, ec2 = client("ebs"), client("ec2")
    listed = [each for page in ebs.get_paginator("list_snapshot_blocks").paginate(SnapshotId=SNAPSHOT) for each in page["Blocks"]] \
        if ebs.can_paginate("list_snapshot_blocks") else ebs.list_snapshot_blocks(SnapshotId=SNAPSHOT)["Blocks"]
    got = ebs.get_snapshot_block(SnapshotId=SNAPSHOT, BlockIndex=listed[0]["BlockIndex"], BlockToken=listed[0]["BlockToken"])
    data = got["BlockData"].read()
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    same((len(data), got["Checksum"]), (got["DataLength"], checksum))
    started = ebs.start_snapshot(VolumeSize=1, Description="of boto3", ClientToken=unique("token"))
    ebs.put_snapshot_block(SnapshotId=started["SnapshotId"], BlockIndex=0, BlockData=data, DataLength=len(data),
                           Checksum=checksum, ChecksumAlgorithm="SHA256")
    same(ebs.complete_snapshot(SnapshotId=started["SnapshotId"], ChangedBlocksCount=1)["Status"], "pending")
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[started["SnapshotId"]], WaiterConfig=FAST)
    changed = ebs.list_changed_blocks(FirstSnapshotId=SNAPSHOT, SecondSnapshotId=started["SnapshotId"])
    same((changed["BlockSize"], changed["VolumeSize"]), (512 * 1024, 1))
    refused("ResourceNotFoundException", 404, ebs.list_snapshot_blocks, SnapshotId="snap-00000000000000000")
    ec2.delete_snapshot(SnapshotId=started["SnapshotId"])


def keys():
    kms = client("kms")
    key = kms.create_key(Description="of boto3", Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]
    alias = "alias/" + unique("boto3")
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    sealed = kms.encrypt(KeyId=alias, Plaintext=b"\x00\xff secret", EncryptionContext={"a": "b"})["CiphertextBlob"]
    same(kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"a": "b"})["Plaintext"], b"\x00\xff secret")
    refused("InvalidCiphertextException", 400, kms.decrypt, CiphertextBlob=sealed)
    data = kms.generate_data_key(KeyId=alias, KeySpec="AES_256")
    same(kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"], data["Plaintext"])
    assert any(each["KeyId"] == key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for each in page["Keys"])
    assert kms.describe_key(KeyId=key["Arn"])["KeyMetadata"]["CreationDate"].tzinfo, "a date without its zone"
    kms.delete_alias(AliasName=alias)
    same(kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)["KeyState"], "PendingDeletion")


def identities():
    iam, sts = client("iam"), client("sts")
    account = sts.get_caller_identity()["Account"]
    user = unique("boto3")
    iam.create_user(UserName=user, Tags=[{"Key": "team", "Value": "blue"}])
    iam.get_waiter("user_exists").wait(UserName=user, WaiterConfig=FAST)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:DescribeImages", "Resource": "*"}]}
    iam.put_user_policy(UserName=user, PolicyName="look", PolicyDocument=json.dumps(policy))
    same(iam.get_user_policy(UserName=user, PolicyName="look")["PolicyDocument"], policy)  # as an object, not as text
    made = iam.create_access_key(UserName=user)["AccessKey"]
    own = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    same(client("sts", **own).get_caller_identity()["Arn"], f"arn:aws:iam::{account}:user/{user}")
    client("ec2", **own).describe_images(Owners=["self"])
    refused("UnauthorizedOperation", 403, client("ec2", **own).describe_snapshots)
    refused("AccessDenied", 403, client("iam", **own).list_users)
    refused("AccessDeniedException", 400, client("kms", **own).list_keys)
    refused("MalformedPolicyDocument", 400, iam.put_user_policy, UserName=user, PolicyName="bad", PolicyDocument="{")
    session = client("sts", **own).get_session_token()["Credentials"]
    temporary = {"aws_access_key_id": session["AccessKeyId"], "aws_secret_access_key": session["SecretAccessKey"],
                 "aws_session_token": session["SessionToken"]}
    client("ec2", **temporary).describe_images(Owners=["self"])
    names = [each["UserName"] for page in iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 1}) for each in page["Users"]]
    assert user in names and len(names) == len(set(names)), names
    iam.delete_user_policy(UserName=user, PolicyName="look")
    iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])
    iam.delete_user(UserName=user)
    refused("NoSuchEntity", 404, iam.get_user, UserName=user)


def recycle_bin():
    rbin = client("rbin")
    rule = rbin.create_rule(RetentionPeriod={"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"}, ResourceType="EC2_IMAGE",
                            ResourceTags=[{"ResourceTagKey": unique("boto3")}], Description="of boto3")
    same(rbin.get_rule(Identifier=rule["Identifier"])["Description"], "of boto3")
    assert rule["Identifier"] in [each["Identifier"] for page in rbin.get_paginator("list_rules").paginate(ResourceType="EC2_IMAGE")
                                  for each in page["Rules"]]
    rbin.delete_rule(Identifier=rule["Identifier"])
    refused("ResourceNotFoundException", 404, rbin.get_rule, Identifier=rule["Identifier"])


def presigned():
    """A URL that somebody without keys can call."""
    # Signed for the method that the operation has unless told otherwise.
    for method, more in (("POST", {}), ("GET", {"HttpMethod": "GET"})):
        url = client("ec2").generate_presigned_url("describe_images", Params={"Owners": ["self"]}, ExpiresIn=60, **more)
        request = urllib.request.Request(url, method=method, headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(request) as answer:
            assert b"<DescribeImagesResponse" in answer.read()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
