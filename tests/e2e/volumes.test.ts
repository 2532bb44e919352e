// Volumes that no instance uses.
import { CreateVolumeCommand, DeleteVolumeCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { aws, ec2, REGION } from './region.ts';
import { baseImage, snapshotOf, waitForVolume } from './things.ts';

const zone = `${REGION}a`;

describe('volumes', () => {
  test('an empty volume becomes available, with the type and tags it was asked for', async () => {
    const made = await ec2().send(new CreateVolumeCommand({
      AvailabilityZone: zone, Size: 8, VolumeType: 'gp3', TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'a', Value: '1' }] }],
    }));
    assert.match(made.VolumeId!, /^vol-[0-9a-f]{17}$/);
    const volume = await waitForVolume(made.VolumeId!);
    assert.deepEqual([volume.Size, volume.VolumeType, volume.AvailabilityZone], [8, 'gp3', zone]);
    assert.deepEqual(volume.Attachments ?? [], []);
    assert.deepEqual(volume.Tags, [{ Key: 'a', Value: '1' }]);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: made.VolumeId! }));
  });

  test('a volume of a snapshot may be larger, and not smaller', async () => {
    const SnapshotId = snapshotOf(await baseImage());
    const made = await aws([
      'ec2', 'create-volume', '--availability-zone', zone, '--snapshot-id', SnapshotId, '--size', '3', '--volume-type', 'gp2',
    ]);
    assert.equal((await waitForVolume(made.VolumeId)).SnapshotId, SnapshotId);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: made.VolumeId }));
    const fetched = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, SnapshotId, VolumeInitializationRate: 200 }));
    assert.equal((await waitForVolume(fetched.VolumeId!)).VolumeInitializationRate, 200);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: fetched.VolumeId! }));
    await assertRefused(
      ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, SnapshotId, VolumeInitializationRate: 20 })), 'InvalidParameterValue');
    const large = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, Size: 0, SnapshotId })).catch((e) => e);
    assert.equal(large.name, 'InvalidParameterValue');
  });

  test('the same client token makes one volume', async () => {
    const request = { AvailabilityZone: zone, Size: 1, ClientToken: `token-${process.pid}` };
    const first = await ec2().send(new CreateVolumeCommand(request));
    const again = await ec2().send(new CreateVolumeCommand(request));
    assert.equal(again.VolumeId, first.VolumeId);
    await assertRefused(ec2().send(new CreateVolumeCommand({ ...request, Size: 2 })), 'IdempotentParameterMismatch');
    await waitForVolume(first.VolumeId!);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: first.VolumeId! }));
  });

  test('a deleted volume is not found', async () => {
    const made = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, Size: 1 }));
    await waitForVolume(made.VolumeId!);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: made.VolumeId! }));
    await assertRefused(ec2().send(new DeleteVolumeCommand({ VolumeId: made.VolumeId! })), 'InvalidVolume.NotFound');
    await assertRefused(ec2().send(new DescribeVolumesCommand({ VolumeIds: [made.VolumeId!] })), 'InvalidVolume.NotFound');
  });

  test('a volume needs a zone that exists, and a size or a snapshot', async () => {
    await assertRefused(ec2().send(new CreateVolumeCommand({ AvailabilityZone: 'us-east-1z', Size: 1 })), 'InvalidZone.NotFound');
    await assertRefused(ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone })), 'MissingParameter');
    await assertRefused(
      ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, SnapshotId: 'snap-00000000000000000' })), 'InvalidSnapshot.NotFound');
  });
});
