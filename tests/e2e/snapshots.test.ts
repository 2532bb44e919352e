// Snapshots.
import {
  CopySnapshotCommand, CreateSnapshotCommand, CreateSnapshotsCommand, CreateTagsCommand, CreateVolumeCommand,
  DeleteSnapshotCommand, DescribeSnapshotsCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, ec2, OTHER_ACCOUNT, REGION, SECOND_REGION } from './region.ts';
import { baseImage, launch, snapshotOf, terminateLaunched, waitForInstance, waitForSnapshot, waitForVolume } from './things.ts';

describe('snapshots', () => {
  let volumeId = '';
  before(async () => {
    const made = await ec2().send(new CreateVolumeCommand({
      AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()), VolumeType: 'gp3',
    }));
    volumeId = made.VolumeId!;
    await waitForVolume(volumeId);
  });
  after(() => terminateLaunched());

  test('a snapshot of a volume is complete, tagged and described', async () => {
    const made = await ec2().send(new CreateSnapshotCommand({
      VolumeId: volumeId, Description: 'nightly', TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: '1' }] }],
    }));
    assert.match(made.SnapshotId!, /^snap-[0-9a-f]{17}$/);
    const done = await waitForSnapshot(made.SnapshotId!);
    assert.deepEqual(
      [done.VolumeId, done.OwnerId, done.Description, done.Progress, done.Encrypted], [volumeId, ACCOUNT, 'nightly', '100%', false]);
    assert.deepEqual(done.Tags, [{ Key: 'a', Value: '1' }]);
    assert.ok(done.StartTime instanceof Date);
  });

  test('a volume made of a snapshot outlives it', async () => {
    const made = await ec2().send(new CreateSnapshotCommand({ VolumeId: volumeId }));
    await waitForSnapshot(made.SnapshotId!);
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}b`, SnapshotId: made.SnapshotId! }));
    await waitForVolume(volume.VolumeId!);
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: made.SnapshotId! }));
    await assertRefused(
      ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [made.SnapshotId!] })), 'InvalidSnapshot.NotFound');
    await waitForVolume(volume.VolumeId!);
  });

  test('a snapshot that an image uses is not deleted', async () => {
    const image = await baseImage();
    await assertRefused(
      ec2().send(new DeleteSnapshotCommand({ SnapshotId: snapshotOf(image) })), 'InvalidSnapshot.InUse', new RegExp(image.ImageId));
  });

  test('filters and owners narrow the list, from the AWS CLI', async () => {
    const found = await aws([
      'ec2', 'describe-snapshots', '--owner-ids', 'self', '--filters', `Name=volume-id,Values=${volumeId}`, 'Name=description,Values=night*',
    ]);
    assert.ok(found.Snapshots.length >= 1);
    assert.ok(found.Snapshots.every((snapshot: { VolumeId: string }) => snapshot.VolumeId === volumeId));
  });

  test('pages hold what was asked for, and cover everything once', async () => {
    const all = (await ec2().send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots!.map((s) => s.SnapshotId);
    const paged: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const page = await ec2().send(new DescribeSnapshotsCommand({ OwnerIds: ['self'], MaxResults: 5, NextToken: token }));
      assert.ok(page.Snapshots!.length <= 5);
      paged.push(...page.Snapshots!.map((s) => s.SnapshotId));
      token = page.NextToken;
    } while (token);
    assert.deepEqual(paged.sort(), all.sort());
  });

  test('unknown and malformed ids are refused', async () => {
    const unknown = 'snap-00000000000000000';
    await assertRefused(ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [unknown] })), 'InvalidSnapshot.NotFound');
    await assertRefused(ec2().send(new DeleteSnapshotCommand({ SnapshotId: unknown })), 'InvalidSnapshot.NotFound');
    await assertRefused(
      ec2().send(new CreateSnapshotCommand({ VolumeId: 'vol-00000000000000000' })), 'InvalidVolume.NotFound');
  });

  test('the volumes of an instance are snapshotted together', async () => {
    const [made] = await launch({ BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1, DeleteOnTermination: true } }] });
    const instance = await waitForInstance(made!.InstanceId);
    const volumeAt = (name: string) => instance.BlockDeviceMappings!.find((device) => device.DeviceName === name)!.Ebs!.VolumeId!;
    const [root, data] = [volumeAt(instance.RootDeviceName!), volumeAt('/dev/sdf')];
    await ec2().send(new CreateTagsCommand({ Resources: [data], Tags: [{ Key: 'disk', Value: 'data' }] }));
    const create = (more = {}, client = ec2()) =>
      client.send(new CreateSnapshotsCommand({ InstanceSpecification: { InstanceId: instance.InstanceId!, ...more }, CopyTagsFromSource: 'volume', Description: 'set' }));
    const set = (await create()).Snapshots!;
    assert.deepEqual(set.map((each) => [each.VolumeId, each.State, each.OwnerId, each.Description, each.VolumeSize]), [
      [root, 'pending', ACCOUNT, 'set', 1], [data, 'pending', ACCOUNT, 'set', 1]]);
    assert.equal(set[0]!.StartTime!.getTime(), set[1]!.StartTime!.getTime());
    assert.deepEqual(set[1]!.Tags, [{ Key: 'disk', Value: 'data' }]);
    for (const each of set) await waitForSnapshot(each.SnapshotId!);
    const only = async (more: object) => (await create(more)).Snapshots!.map((each) => each.VolumeId);
    assert.deepEqual(await only({ ExcludeBootVolume: true }), [data]);
    const left = await aws([
      'ec2', 'create-snapshots', '--instance-specification', `InstanceId=${instance.InstanceId},ExcludeDataVolumeIds=${data}`,
      '--tag-specifications', 'ResourceType=snapshot,Tags=[{Key=by,Value=cli}]',
    ]);
    assert.deepEqual(left.Snapshots.map((each: { VolumeId: string; Tags: object }) => [each.VolumeId, each.Tags]), [[root, [{ Key: 'by', Value: 'cli' }]]]);
    await assertRefused(create({ ExcludeDataVolumeIds: [root] }), 'InvalidParameterValue');
    await assertRefused(create({ ExcludeBootVolume: true, ExcludeDataVolumeIds: [data] }), 'InvalidParameterCombination');
    await assertRefused(create({}, ec2(OTHER_ACCOUNT)), 'InvalidInstanceID.NotFound');
    await assertRefused(create({ InstanceId: 'i-1' }), 'InvalidInstanceID.Malformed');
  });

  test('a copy in the same region outlives its source', async () => {
    const source = (await ec2().send(new CreateSnapshotCommand({ VolumeId: volumeId }))).SnapshotId!;
    const { FullSnapshotSizeInBytes } = await waitForSnapshot(source);
    assert.ok(FullSnapshotSizeInBytes! > 0);
    const copy = (more = {}, client = ec2()) =>
      client.send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: source, ...more }));
    const made = await copy({ TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: '1' }] }] });
    assert.deepEqual(made.Tags, [{ Key: 'a', Value: '1' }]);
    const byCli = await aws(['ec2', 'copy-snapshot', '--source-region', REGION, '--source-snapshot-id', source, '--description', 'mine']);
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: source }));
    for (const [id, description] of [[made.SnapshotId!, `[Copied ${source} from ${REGION}]`], [byCli.SnapshotId, 'mine']]) {
      const done = await waitForSnapshot(id);
      assert.deepEqual(
        [done.VolumeId, done.Description, done.Progress, done.FullSnapshotSizeInBytes], ['vol-ffffffff', description, '100%', FullSnapshotSizeInBytes]);
    }
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: made.SnapshotId! }));
    await waitForVolume(volume.VolumeId!);
    await assertRefused(copy(), 'InvalidSnapshot.NotFound');
    const own = { SourceSnapshotId: made.SnapshotId! };
    await assertRefused(copy(own, ec2(OTHER_ACCOUNT)), 'InvalidSnapshot.NotFound');
    await assertRefused(copy({ ...own, SourceRegion: SECOND_REGION }), 'InvalidSnapshot.NotFound');
    await assertRefused(copy({ ...own, KmsKeyId: 'alias/x' }), 'InvalidParameterDependency');
  });
});
