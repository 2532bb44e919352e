// Two accounts: neither sees nor touches what the other has not shared.
import {
  AuthorizeSecurityGroupIngressCommand, CreateImageCommand, CreateKeyPairCommand, CreateSecurityGroupCommand,
  CreateSnapshotCommand, CreateTagsCommand, CreateVolumeCommand, DeleteKeyPairCommand, DeleteSecurityGroupCommand,
  DeleteSnapshotCommand, DeleteTagsCommand, DeleteVolumeCommand, DeregisterImageCommand, DescribeImageAttributeCommand,
  DescribeImagesCommand, DescribeInstancesCommand, DescribeInstanceStatusCommand, DescribeKeyPairsCommand,
  DescribeSecurityGroupsCommand, DescribeSnapshotsCommand, DescribeSubnetsCommand, DescribeTagsCommand, DescribeVolumesCommand,
  DescribeVpcsCommand, GetConsoleOutputCommand, ModifyImageAttributeCommand, RebootInstancesCommand, RegisterImageCommand,
  RunInstancesCommand, StartInstancesCommand, StopInstancesCommand, TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, launch, snapshotOf, terminate, uniqueName, waitForInstance, waitForVolume } from './things.ts';

describe('accounts', () => {
  const mine = () => ec2();
  const other = () => ec2(OTHER_ACCOUNT);
  let imageId = '', snapshotId = '', volumeId = '', instanceId = '', groupId = '', keyName = '', vpcId = '', subnetId = '';

  before(async () => {
    const image = await baseImage();
    imageId = image.ImageId;
    snapshotId = snapshotOf(image);
    volumeId = (await mine().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }))).VolumeId!;
    await waitForVolume(volumeId);
    keyName = uniqueName('key');
    await mine().send(new CreateKeyPairCommand({ KeyName: keyName }));
    groupId = (await mine().send(new CreateSecurityGroupCommand({ GroupName: uniqueName('group'), Description: 'mine' }))).GroupId!;
    vpcId = (await mine().send(new DescribeVpcsCommand({}))).Vpcs![0]!.VpcId!;
    subnetId = (await mine().send(new DescribeSubnetsCommand({}))).Subnets![0]!.SubnetId!;
    instanceId = (await launch())[0]!.InstanceId;
    await waitForInstance(instanceId);
  });
  after(() => terminate([instanceId]));

  test('lists hold nothing of the other account', async () => {
    const lists = await Promise.all([
      other().send(new DescribeImagesCommand({})).then((r) => r.Images!.map((x) => x.ImageId)),
      other().send(new DescribeSnapshotsCommand({})).then((r) => r.Snapshots!.map((x) => x.SnapshotId)),
      other().send(new DescribeVolumesCommand({})).then((r) => r.Volumes!.map((x) => x.VolumeId)),
      other().send(new DescribeInstancesCommand({})).then((r) => r.Reservations!.map((x) => x.OwnerId)),
      other().send(new DescribeInstanceStatusCommand({ IncludeAllInstances: true })).then((r) => r.InstanceStatuses!.map((x) => x.InstanceId)),
      other().send(new DescribeKeyPairsCommand({})).then((r) => r.KeyPairs!.map((x) => x.KeyName)),
      other().send(new DescribeTagsCommand({})).then((r) => r.Tags!.map((x) => x.ResourceId)),
    ]);
    // What other tests share with the account, or with all, may be there.
    for (const [i, id] of [imageId, snapshotId, volumeId, ACCOUNT, instanceId, keyName, imageId].entries()) {
      assert.ok(!lists[i]!.includes(id), `${id} is listed`);
    }
    const groups = await other().send(new DescribeSecurityGroupsCommand({}));
    assert.ok(groups.SecurityGroups!.every((group) => group.OwnerId === OTHER_ACCOUNT));
    const vpcs = await other().send(new DescribeVpcsCommand({}));
    assert.ok(vpcs.Vpcs!.every((vpc) => vpc.OwnerId === OTHER_ACCOUNT));
    const subnets = await other().send(new DescribeSubnetsCommand({}));
    assert.ok(subnets.Subnets!.every((subnet) => subnet.OwnerId === OTHER_ACCOUNT));
  });

  test('images of the other account are not there for describing, changing, launching', async () => {
    await assertRefused(other().send(new DescribeImagesCommand({ ImageIds: [imageId] })), 'InvalidAMIID.NotFound');
    // What only an owner may do is refused with AuthFailure, as AWS does, whether the image could be seen or not.
    const refused = /^(InvalidAMIID\.NotFound|AuthFailure)$/;
    await assertRefused(other().send(new DeregisterImageCommand({ ImageId: imageId })), refused);
    await assertRefused(other().send(new ModifyImageAttributeCommand({ ImageId: imageId, Description: { Value: 'x' } })), refused);
    await assertRefused(other().send(new DescribeImageAttributeCommand({ ImageId: imageId, Attribute: 'launchPermission' })), refused);
    await assertRefused(
      other().send(new RunInstancesCommand({ ImageId: imageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 })), refused);
  });

  test('snapshots and volumes of the other account are not there', async () => {
    const zone = `${REGION}a`;
    await assertRefused(other().send(new DeleteSnapshotCommand({ SnapshotId: snapshotId })), 'InvalidSnapshot.NotFound');
    await assertRefused(other().send(new CreateVolumeCommand({ AvailabilityZone: zone, SnapshotId: snapshotId })), 'InvalidSnapshot.NotFound');
    await assertRefused(
      other().send(new RegisterImageCommand({
        Name: uniqueName('stolen'), RootDeviceName: '/dev/sda1', VirtualizationType: 'hvm', Architecture: 'x86_64',
        BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId } }],
      })), 'InvalidSnapshot.NotFound');
    await assertRefused(other().send(new DescribeVolumesCommand({ VolumeIds: [volumeId] })), 'InvalidVolume.NotFound');
    await assertRefused(other().send(new DeleteVolumeCommand({ VolumeId: volumeId })), 'InvalidVolume.NotFound');
    await assertRefused(other().send(new CreateSnapshotCommand({ VolumeId: volumeId })), 'InvalidVolume.NotFound');
  });

  test('instances of the other account are not there', async () => {
    const ids = { InstanceIds: [instanceId] };
    await assertRefused(other().send(new DescribeInstancesCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new DescribeInstanceStatusCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new StopInstancesCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new StartInstancesCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new RebootInstancesCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new TerminateInstancesCommand(ids)), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new GetConsoleOutputCommand({ InstanceId: instanceId })), 'InvalidInstanceID.NotFound');
    await assertRefused(other().send(new CreateImageCommand({ InstanceId: instanceId, Name: uniqueName('stolen') })), 'InvalidInstanceID.NotFound');
    await waitForInstance(instanceId);
  });

  test('keys, groups, networks and tags of the other account are not there', async () => {
    await assertRefused(other().send(new DescribeKeyPairsCommand({ KeyNames: [keyName] })), 'InvalidKeyPair.NotFound');
    await other().send(new DeleteKeyPairCommand({ KeyName: keyName })); // succeeds whatever the name, and deletes nothing of ours
    assert.equal((await mine().send(new DescribeKeyPairsCommand({ KeyNames: [keyName] }))).KeyPairs!.length, 1);
    await other().send(new CreateKeyPairCommand({ KeyName: keyName })); // names are per account
    await assertRefused(other().send(new DescribeSecurityGroupsCommand({ GroupIds: [groupId] })), 'InvalidGroup.NotFound');
    await assertRefused(other().send(new DeleteSecurityGroupCommand({ GroupId: groupId })), 'InvalidGroup.NotFound');
    await assertRefused(
      other().send(new AuthorizeSecurityGroupIngressCommand({ GroupId: groupId, IpProtocol: 'tcp', FromPort: 1, ToPort: 2, CidrIp: '10.0.0.0/8' })),
      'InvalidGroup.NotFound');
    await assertRefused(other().send(new CreateSecurityGroupCommand({ GroupName: 'x', Description: 'x', VpcId: vpcId })), 'InvalidVpcID.NotFound');
    await assertRefused(other().send(new DescribeSubnetsCommand({ SubnetIds: [subnetId] })), 'InvalidSubnetID.NotFound');
    const tags = { Resources: [volumeId], Tags: [{ Key: 'a', Value: 'b' }] };
    await assertRefused(other().send(new CreateTagsCommand(tags)), 'InvalidVolume.NotFound');
    await assertRefused(other().send(new DeleteTagsCommand(tags)), 'InvalidVolume.NotFound');
  });

  test('a shared image can be seen and launched, not changed, and its tags are not shown', async () => {
    await mine().send(new CreateTagsCommand({ Resources: [imageId], Tags: [{ Key: 'secret', Value: 'yes' }] }));
    const permission = [{ UserId: OTHER_ACCOUNT }];
    await mine().send(new ModifyImageAttributeCommand({ ImageId: imageId, LaunchPermission: { Add: permission } }));
    try {
      const seen = await other().send(new DescribeImagesCommand({ ExecutableUsers: ['self'] }));
      const shared = seen.Images!.find((image) => image.ImageId === imageId);
      assert.ok(shared);
      assert.deepEqual(shared.Tags ?? [], []);
      await assertRefused(other().send(new DeregisterImageCommand({ ImageId: imageId })), 'AuthFailure');
      await assertRefused(other().send(new ModifyImageAttributeCommand({ ImageId: imageId, Description: { Value: 'x' } })), 'AuthFailure');
      const launched = await other().send(new RunInstancesCommand({ ImageId: imageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 }));
      await other().send(new TerminateInstancesCommand({ InstanceIds: [launched.Instances![0]!.InstanceId!] }));
    } finally {
      await mine().send(new ModifyImageAttributeCommand({ ImageId: imageId, LaunchPermission: { Remove: permission } }));
      await mine().send(new DeleteTagsCommand({ Resources: [imageId], Tags: [{ Key: 'secret' }] }));
    }
    await assertRefused(other().send(new DescribeImagesCommand({ ImageIds: [imageId] })), 'InvalidAMIID.NotFound');
  });
});
