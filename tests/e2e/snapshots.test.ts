// Snapshots.
import {
  CreateSnapshotCommand, CreateVolumeCommand, DeleteSnapshotCommand, DescribeSnapshotsCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, ec2, REGION } from './region.ts';
import { baseImage, snapshotOf, waitForSnapshot, waitForVolume } from './things.ts';

describe('snapshots', () => {
  let volumeId = '';
  before(async () => {
    const made = await ec2().send(new CreateVolumeCommand({
      AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()), VolumeType: 'gp3',
    }));
    volumeId = made.VolumeId!;
    await waitForVolume(volumeId);
  });

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
});
