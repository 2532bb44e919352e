// The archive tier: snapshots that leave the store, and come back. What a crash leaves is shown by unit tests.
import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import {
  CopySnapshotCommand, CreateVolumeCommand, DeleteSnapshotCommand, DeregisterImageCommand, DescribeSnapshotsCommand, DescribeSnapshotTierStatusCommand,
  DisableImageCommand, EnableImageCommand, LockSnapshotCommand, ModifySnapshotAttributeCommand, ModifySnapshotTierCommand, RegisterImageCommand,
  RestoreSnapshotTierCommand, type SnapshotTierStatus, UnlockSnapshotCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ebs, ec2, kilnOutput, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, snapshotOf, uniqueName, waitForSnapshot } from './things.ts';
import { waitFor } from './wait.ts';

const DAY = 24 * 3600 * 1000;

const ownSnapshot = async (): Promise<string> => {
  const made = await ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: snapshotOf(await baseImage()) }));
  await waitForSnapshot(made.SnapshotId!);
  return made.SnapshotId!;
};
const tierOf = async (id: string): Promise<SnapshotTierStatus> => {
  const found = await ec2().send(new DescribeSnapshotTierStatusCommand({ Filters: [{ Name: 'snapshot-id', Values: [id] }] }));
  assert.equal(found.SnapshotTierStatuses?.length, 1);
  return found.SnapshotTierStatuses![0]!;
};
const waitForTier = async (id: string, operation: string): Promise<SnapshotTierStatus> => {
  let last: string | undefined;
  return waitFor(`${id}: ${operation}`, 60, async () => {
    const status = await tierOf(id);
    last = `${status.LastTieringOperationStatus} ${status.LastTieringOperationStatusDetail ?? ''}`;
    if (status.LastTieringOperationStatus?.endsWith('-failed')) throw new Error(`${id}: ${last}`);
    return status.LastTieringOperationStatus === operation && status;
  }, () => last);
};
const archived = async (id: string): Promise<SnapshotTierStatus> => {
  const answer = await ec2().send(new ModifySnapshotTierCommand({ SnapshotId: id, StorageTier: 'archive' }));
  assert.equal(answer.SnapshotId, id);
  assert.ok(answer.TieringStartTime! <= new Date());
  return waitForTier(id, 'archival-completed');
};
const described = async (id: string) => (await ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!;

const blocksOf = async (id: string): Promise<string[]> => {
  const listed = await ebs().send(new ListSnapshotBlocksCommand({ SnapshotId: id }));
  const sums: string[] = [];
  for (const block of listed.Blocks!) {
    const got = await ebs().send(new GetSnapshotBlockCommand({ SnapshotId: id, BlockIndex: block.BlockIndex, BlockToken: block.BlockToken! }));
    sums.push(`${block.BlockIndex} ${got.Checksum}`);
  }
  return sums;
};

describe('the archive tier', () => {
  test('an archived snapshot is refused everywhere, and comes back with the same blocks', async () => {
    const id = await ownSnapshot();
    assert.deepEqual([(await tierOf(id)).StorageTier, (await tierOf(id)).LastTieringOperationStatus], ['standard', undefined]);
    const before = await blocksOf(id);
    const status = await archived(id);
    assert.deepEqual([status.StorageTier, status.LastTieringProgress, status.OwnerId, status.Status], ['archive', 100, ACCOUNT, 'completed']);
    assert.ok(status.ArchivalCompleteTime! >= status.LastTieringStartTime!);
    assert.equal((await described(id)).StorageTier, 'archive');
    const inTier = await ec2().send(new DescribeSnapshotsCommand({ OwnerIds: ['self'], Filters: [{ Name: 'storage-tier', Values: ['archive'] }] }));
    assert.ok(inTier.Snapshots!.some((each) => each.SnapshotId === id));
    assert.match(await kilnOutput(['usage']), new RegExp(`${id} [^]*archives hold`));

    const archive = /in the archive tier\. Restore it/;
    await assertRefused(ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id })), 'IncorrectState', archive);
    await assertRefused(ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id })), 'IncorrectState', archive);
    await assertRefused(ec2().send(new RegisterImageCommand({
      Name: uniqueName('archived'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: id } }],
    })), 'IncorrectState', archive);
    await assertRefused(ec2().send(new ModifySnapshotAttributeCommand({
      SnapshotId: id, CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } })), 'IncorrectState', archive);
    await assertRefused(ebs().send(new ListSnapshotBlocksCommand({ SnapshotId: id })), 'ValidationException', archive);
    await assertRefused(ec2().send(new ModifySnapshotTierCommand({ SnapshotId: id, StorageTier: 'archive' })), 'IncorrectState', /already/);

    const restore = await ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, TemporaryRestoreDays: 3 }));
    assert.deepEqual([restore.SnapshotId, restore.RestoreDuration, restore.IsPermanentRestore], [id, 3, false]);
    const temporary = await waitForTier(id, 'temporary-restore-completed');
    assert.equal(temporary.StorageTier, 'standard');
    assert.ok(Math.abs(temporary.RestoreExpiryTime!.getTime() - Date.now() - 3 * DAY) < 120_000);
    assert.deepEqual((await described(id)).RestoreExpiryTime, temporary.RestoreExpiryTime);
    assert.deepEqual(await blocksOf(id), before);
    const permanent = await ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, PermanentRestore: true }));
    assert.deepEqual([permanent.RestoreDuration, permanent.IsPermanentRestore], [undefined, true]);
    assert.equal((await waitForTier(id, 'permanent-restore-completed')).RestoreExpiryTime, undefined);
    assert.equal((await described(id)).StorageTier, 'standard');
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
  });

  test('the snapshot of an image is archived only while the image is disabled', async () => {
    const id = await ownSnapshot();
    const { ImageId } = await ec2().send(new RegisterImageCommand({
      Name: uniqueName('tiered'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: id } }],
    }));
    await assertRefused(ec2().send(new ModifySnapshotTierCommand({ SnapshotId: id })), 'InvalidSnapshot.InUse', new RegExp(ImageId!));
    await ec2().send(new DisableImageCommand({ ImageId: ImageId! }));
    await archived(id);
    await assertRefused(ec2().send(new EnableImageCommand({ ImageId: ImageId! })), 'IncorrectState', /archive tier/);
    await ec2().send(new DeregisterImageCommand({ ImageId: ImageId! }));
    await ec2().send(new LockSnapshotCommand({ SnapshotId: id, LockMode: 'governance', LockDuration: 1 }));
    await assertRefused(ec2().send(new DeleteSnapshotCommand({ SnapshotId: id })), 'OperationNotPermitted');
    await ec2().send(new UnlockSnapshotCommand({ SnapshotId: id }));
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    await assertRefused(ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, PermanentRestore: true })), 'InvalidSnapshot.NotFound');
  });

  test('of other accounts, and what makes no sense, is refused', async () => {
    const id = await ownSnapshot();
    const other = ec2(OTHER_ACCOUNT);
    await assertRefused(other.send(new ModifySnapshotTierCommand({ SnapshotId: id })), 'InvalidSnapshot.NotFound');
    await assertRefused(other.send(new RestoreSnapshotTierCommand({ SnapshotId: id, PermanentRestore: true })), 'InvalidSnapshot.NotFound');
    const theirs = await other.send(new DescribeSnapshotTierStatusCommand({ Filters: [{ Name: 'snapshot-id', Values: [id] }] }));
    assert.deepEqual(theirs.SnapshotTierStatuses, []);
    await assertRefused(ec2().send(new ModifySnapshotTierCommand({ SnapshotId: 'x' })), 'InvalidParameterValue');
    await assertRefused(ec2().send(new ModifySnapshotTierCommand({ SnapshotId: id, StorageTier: 'lemon' as 'archive' })), 'InvalidParameterValue');
    await assertRefused(ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, PermanentRestore: true })), 'IncorrectState', /not in the archive tier/);
    await assertRefused(ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id })), 'MissingParameter');
    await assertRefused(ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, TemporaryRestoreDays: 181 })), 'InvalidParameterValue');
    await assertRefused(
      ec2().send(new RestoreSnapshotTierCommand({ SnapshotId: id, TemporaryRestoreDays: 1, PermanentRestore: true })), 'InvalidParameterCombination');
    await assertRefused(ec2().send(new DescribeSnapshotTierStatusCommand({ Filters: [{ Name: 'lemon', Values: ['x'] }] })), 'InvalidParameterValue');
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
  });
});
