// Fast snapshot restore. That its volumes read nothing from the store is shown by unit tests.
import {
  CopySnapshotCommand, CreateVolumeCommand, DeleteSnapshotCommand, DeleteVolumeCommand, DescribeFastSnapshotRestoresCommand, DescribeVolumesCommand,
  DisableFastSnapshotRestoresCommand, EnableFastSnapshotRestoresCommand, ModifySnapshotAttributeCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, snapshotOf, waitForSnapshot, waitForVolume } from './things.ts';
import { waitFor } from './wait.ts';

const ZONES = [`${REGION}a`, `${REGION}b`];
const ownSnapshot = async (): Promise<string> => {
  const made = await ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: snapshotOf(await baseImage()) }));
  await waitForSnapshot(made.SnapshotId!);
  return made.SnapshotId!;
};
const restoresOf = async (id: string, account = ACCOUNT) => (await ec2(account).send(new DescribeFastSnapshotRestoresCommand({
  Filters: [{ Name: 'snapshot-id', Values: [id] }] }))).FastSnapshotRestores!;
const waitForState = (id: string, state: string) => {
  let last: unknown;
  return waitFor(`${id} being ${state}`, 60, async () => {
    const restores = await restoresOf(id);
    last = restores.map((each) => `${each.AvailabilityZone} ${each.State} ${each.StateTransitionReason}`);
    return restores.length > 0 && restores.every((each) => each.State === state) && restores;
  }, () => JSON.stringify(last));
};

describe('fast snapshot restore', () => {
  test('it is enabled by zone, told of volumes, and disabled', async () => {
    const id = await ownSnapshot();
    const answer = await ec2().send(new EnableFastSnapshotRestoresCommand({ AvailabilityZones: ZONES, SourceSnapshotIds: [id] }));
    assert.deepEqual(answer.Unsuccessful, []);
    assert.deepEqual(
      answer.Successful!.map((each) => [each.SnapshotId, each.AvailabilityZone, each.State, each.StateTransitionReason, each.OwnerId]),
      ZONES.map((zone) => [id, zone, 'enabling', 'Client.UserInitiated', ACCOUNT]));
    const enabled = await waitForState(id, 'enabled');
    for (const each of enabled) {
      assert.equal(each.StateTransitionReason, 'Client.UserInitiated - Lifecycle state transition');
      assert.ok(each.EnablingTime! <= each.OptimizingTime! && each.OptimizingTime! <= each.EnabledTime!);
      assert.equal(each.DisablingTime, undefined);
    }
    const make = async (zone: string) => {
      const made = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: zone, SnapshotId: id }));
      await waitForVolume(made.VolumeId!);
      return made;
    };
    const fast = await make(ZONES[0]!), slow = await make(`${REGION}c`);
    assert.deepEqual([fast.FastRestored, slow.FastRestored], [true, false]);
    const found = await ec2().send(new DescribeVolumesCommand({
      Filters: [{ Name: 'fast-restored', Values: ['true'] }, { Name: 'snapshot-id', Values: [id] }] }));
    assert.deepEqual(found.Volumes!.map((each) => each.VolumeId), [fast.VolumeId]);

    const disabled = await ec2().send(new DisableFastSnapshotRestoresCommand({ AvailabilityZones: [ZONES[0]!, `${REGION}c`], SourceSnapshotIds: [id] }));
    assert.deepEqual(disabled.Successful!.map((each) => [each.AvailabilityZone, each.State]), [[ZONES[0], 'disabling']]);
    assert.deepEqual(disabled.Unsuccessful!.map((each) => [each.SnapshotId, each.FastSnapshotRestoreStateErrors![0]!.AvailabilityZone,
      each.FastSnapshotRestoreStateErrors![0]!.Error!.Code]), [[id, `${REGION}c`, 'IncorrectState']]);
    await ec2().send(new DisableFastSnapshotRestoresCommand({ AvailabilityZones: [ZONES[1]!], SourceSnapshotIds: [id] }));
    await waitForState(id, 'disabled');
    for (const volume of [fast, slow]) await ec2().send(new DeleteVolumeCommand({ VolumeId: volume.VolumeId }));
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    assert.deepEqual(await restoresOf(id), []);
  });

  test('it is of the account that asked, which has to be able to use the snapshot', async () => {
    const id = await ownSnapshot();
    const other = ec2(OTHER_ACCOUNT);
    const wish = { AvailabilityZones: [ZONES[0]!], SourceSnapshotIds: [id] };
    await assertRefused(other.send(new EnableFastSnapshotRestoresCommand(wish)), 'InvalidSnapshot.NotFound');
    await assertRefused(other.send(new DisableFastSnapshotRestoresCommand(wish)), 'InvalidSnapshot.NotFound');
    await ec2().send(new ModifySnapshotAttributeCommand({ SnapshotId: id, CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    assert.equal((await other.send(new EnableFastSnapshotRestoresCommand(wish))).Successful!.length, 1);
    assert.equal((await waitForState(id, 'enabled'))[0]!.OwnerId, OTHER_ACCOUNT);
    const mine = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: ZONES[0]!, SnapshotId: id }));
    assert.equal(mine.FastRestored, false);
    await waitForVolume(mine.VolumeId!);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: mine.VolumeId }));
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    assert.deepEqual(await restoresOf(id, OTHER_ACCOUNT), []);
  });

  test('what makes no sense is refused', async () => {
    const id = snapshotOf(await baseImage());
    const enable = (more: object) => ec2().send(new EnableFastSnapshotRestoresCommand({ AvailabilityZones: ZONES, SourceSnapshotIds: [id], ...more }));
    await assertRefused(enable({ AvailabilityZones: ['lemon'] }), 'InvalidZone.NotFound');
    await assertRefused(enable({ AvailabilityZones: undefined }), 'MissingParameter');
    await assertRefused(enable({ AvailabilityZoneIds: ZONES }), 'InvalidParameterCombination');
    await assertRefused(enable({ SourceSnapshotIds: ['x'] }), 'InvalidParameterValue');
    await assertRefused(
      ec2().send(new DisableFastSnapshotRestoresCommand({ AvailabilityZones: ['lemon'], SourceSnapshotIds: [id] })), 'InvalidZone.NotFound');
    await assertRefused(
      ec2().send(new DescribeFastSnapshotRestoresCommand({ Filters: [{ Name: 'lemon', Values: ['x'] }] })), 'InvalidParameterValue');
  });
});
