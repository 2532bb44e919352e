// Images: register, describe, share, deregister. Making one of a running guest is in guests.test.ts.
import {
  CreateVolumeCommand, CreateSnapshotCommand, DeregisterImageCommand, DescribeImageAttributeCommand, DescribeImagesCommand,
  DescribeSnapshotsCommand, ModifyImageAttributeCommand, RegisterImageCommand, type RegisterImageCommandInput,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, ec2, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, image, snapshotOf, uniqueName, waitForSnapshot, waitForVolume } from './things.ts';

let snapshotId = '';

function registration(change: Partial<RegisterImageCommandInput> = {}): RegisterImageCommand {
  return new RegisterImageCommand({
    Name: uniqueName('image'), Description: 'a test', Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId, VolumeType: 'gp3', DeleteOnTermination: true } }],
    ...change,
  });
}

const register = async (change?: Partial<RegisterImageCommandInput>) => (await ec2().send(registration(change))).ImageId!;

describe('images', () => {
  before(async () => {
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()) }));
    await waitForVolume(volume.VolumeId!);
    snapshotId = (await ec2().send(new CreateSnapshotCommand({ VolumeId: volume.VolumeId! }))).SnapshotId!;
    await waitForSnapshot(snapshotId);
  });

  test('a registered image is described with what it was registered with', async () => {
    const id = await register({ TagSpecifications: [{ ResourceType: 'image', Tags: [{ Key: 'team', Value: 'blue' }] }] });
    assert.match(id, /^ami-[0-9a-f]{17}$/);
    const found = await image(id);
    assert.deepEqual([found.State, found.OwnerId, found.Public, found.RootDeviceName, found.ImageType, found.Hypervisor],
      ['available', ACCOUNT, false, '/dev/sda1', 'machine', 'xen']);
    const root = found.BlockDeviceMappings![0]!;
    assert.deepEqual([root.DeviceName, root.Ebs?.SnapshotId, root.Ebs?.VolumeType, root.Ebs?.DeleteOnTermination],
      ['/dev/sda1', snapshotId, 'gp3', true]);
    assert.deepEqual(found.Tags, [{ Key: 'team', Value: 'blue' }]);
    assert.match(found.CreationDate!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('names are unique in an account and a region, and well formed', async () => {
    const Name = uniqueName('image');
    await register({ Name });
    await assertRefused(ec2().send(registration({ Name })), 'InvalidAMIName.Duplicate');
    await assertRefused(ec2().send(registration({ Name: 'x' })), 'InvalidAMIName.Malformed');
    await assertRefused(ec2().send(registration({ Name: '<script>' })), 'InvalidAMIName.Malformed');
  });

  test('an image of an unknown snapshot is refused', async () => {
    const call = ec2().send(registration({
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: 'snap-00000000000000000' } }],
    }));
    await assertRefused(call, 'InvalidSnapshot.NotFound');
  });

  test('filters select, from the AWS CLI, with wildcards', async () => {
    const name = uniqueName('filtered');
    const id = await register({ Name: name });
    const found = await aws([
      'ec2', 'describe-images', '--owners', 'self', '--filters', `Name=name,Values=${name.slice(0, -1)}?`, 'Name=state,Values=available',
    ]);
    assert.ok(found.Images.some((one: { ImageId: string }) => one.ImageId === id));
    const none = await aws(['ec2', 'describe-images', '--owners', 'self', '--filters', 'Name=name,Values=FILTERED*']);
    assert.deepEqual(none.Images, []);
  });

  test('an unknown filter is refused', async () => {
    await assertRefused(
      ec2().send(new DescribeImagesCommand({ Filters: [{ Name: 'colour', Values: ['blue'] }] })), 'InvalidParameterValue', /colour/);
  });

  test('attributes: one a call, and the description can be changed in both shapes', async () => {
    const id = await register();
    await ec2().send(new ModifyImageAttributeCommand({ ImageId: id, Description: { Value: 'first' } }));
    const shown = await ec2().send(new DescribeImageAttributeCommand({ ImageId: id, Attribute: 'description' }));
    assert.equal(shown.Description?.Value, 'first');
    await ec2().send(new ModifyImageAttributeCommand({ ImageId: id, Attribute: 'description', Value: 'second' }));
    assert.equal((await image(id)).Description, 'second');
    await assertRefused(
      ec2().send(new DescribeImageAttributeCommand({ ImageId: id, Attribute: 'colour' as never })), 'InvalidParameterValue');
  });

  test('launch permissions are given and taken in every shape that clients send', async () => {
    const id = await register();
    const users = async () =>
      (await ec2().send(new DescribeImageAttributeCommand({ ImageId: id, Attribute: 'launchPermission' }))).LaunchPermissions!.map((p) => p.UserId ?? p.Group);
    await ec2().send(new ModifyImageAttributeCommand({ ImageId: id, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    assert.deepEqual(await users(), [OTHER_ACCOUNT]);
    await ec2().send(new ModifyImageAttributeCommand({
      ImageId: id, Attribute: 'launchPermission', OperationType: 'remove', UserIds: [OTHER_ACCOUNT],
    }));
    assert.deepEqual(await users(), []);
    await ec2().send(new ModifyImageAttributeCommand({
      ImageId: id, Attribute: 'LaunchPermission', LaunchPermission: { Add: [{ Group: 'all' }] },
    }));
    assert.deepEqual(await users(), ['all']);
    assert.equal((await image(id)).Public, true);
    await assertRefused(
      ec2().send(new ModifyImageAttributeCommand({ ImageId: id, LaunchPermission: { Add: [{ UserId: 'foo' }] } })),
      'InvalidAMIAttributeItemValue');
    await ec2().send(new DeregisterImageCommand({ ImageId: id }));
  });

  test('a deregistered image is unavailable, and its snapshot stays', async () => {
    const id = await register();
    await aws(['ec2', 'deregister-image', '--image-id', id]);
    await assertRefused(ec2().send(new DeregisterImageCommand({ ImageId: id })), 'InvalidAMIID.Unavailable');
    const listed = await ec2().send(new DescribeImagesCommand({ Owners: ['self'] }));
    assert.ok(!listed.Images!.some((one) => one.ImageId === id && one.State === 'available'));
    await waitForSnapshot(snapshotId);
  });

  test('DeleteAssociatedSnapshots deletes the snapshots that no other image uses', async () => {
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }));
    await waitForVolume(volume.VolumeId!);
    const own = (await ec2().send(new CreateSnapshotCommand({ VolumeId: volume.VolumeId! }))).SnapshotId!;
    await waitForSnapshot(own);
    const mapping = [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: own } }];
    const [one, two] = [await register({ BlockDeviceMappings: mapping }), await register({ BlockDeviceMappings: mapping })];
    const skipped = await ec2().send(new DeregisterImageCommand({ ImageId: one, DeleteAssociatedSnapshots: true }));
    assert.deepEqual(skipped.DeleteSnapshotResults?.map((r) => [r.SnapshotId, r.ReturnCode]), [[own, 'skipped']]);
    const deleted = await ec2().send(new DeregisterImageCommand({ ImageId: two, DeleteAssociatedSnapshots: true }));
    assert.deepEqual(deleted.DeleteSnapshotResults?.map((r) => [r.SnapshotId, r.ReturnCode]), [[own, 'success']]);
    await assertRefused(ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [own] })), 'InvalidSnapshot.NotFound');
  });

  test('unknown and malformed ids are refused by every operation', async () => {
    const ImageId = 'ami-00000000000000000';
    await assertRefused(
      ec2().send(new DescribeImagesCommand({ ImageIds: [ImageId] })), 'InvalidAMIID.NotFound', /The image id '\[ami-0+\]' does not exist/);
    await assertRefused(ec2().send(new DeregisterImageCommand({ ImageId })), 'InvalidAMIID.NotFound');
    await assertRefused(ec2().send(new ModifyImageAttributeCommand({ ImageId, Description: { Value: 'x' } })), 'InvalidAMIID.NotFound');
    await assertRefused(
      ec2().send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'description' })), 'InvalidAMIID.NotFound');
    await assertRefused(ec2().send(new DescribeImagesCommand({ ImageIds: ['lemon'] })), 'InvalidAMIID.Malformed');
  });
});
