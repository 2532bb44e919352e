// Images and snapshots after they were made: disabled, out of date, protected, locked; and what an account allows itself.
import {
  CopyImageCommand, CreateSnapshotCommand, CreateVolumeCommand, DeleteSnapshotCommand, DeleteVolumeCommand, DeregisterImageCommand,
  DescribeImageAttributeCommand, DescribeImagesCommand, DescribeLockedSnapshotsCommand, DescribeSnapshotsCommand,
  DisableAllowedImagesSettingsCommand, DisableImageBlockPublicAccessCommand, DisableImageCommand, DisableImageDeprecationCommand,
  DisableImageDeregistrationProtectionCommand, DisableSnapshotBlockPublicAccessCommand, EnableAllowedImagesSettingsCommand,
  EnableImageBlockPublicAccessCommand, EnableImageCommand, EnableImageDeprecationCommand,
  EnableImageDeregistrationProtectionCommand, EnableSnapshotBlockPublicAccessCommand, GetAllowedImagesSettingsCommand,
  GetImageBlockPublicAccessStateCommand, GetSnapshotBlockPublicAccessStateCommand, LockSnapshotCommand, type LockSnapshotCommandInput,
  ModifyImageAttributeCommand, ModifySnapshotAttributeCommand, RegisterImageCommand,
  ReplaceImageCriteriaInAllowedImagesSettingsCommand, RunInstancesCommand, UnlockSnapshotCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, kilnOutput, OTHER_ACCOUNT, REGION, SECOND_REGION } from './region.ts';
import { baseDisk, baseImage, image, imageNamed, snapshotOf, uniqueName, waitForSnapshot, waitForVolume } from './things.ts';

const mine = () => ec2();
const other = () => ec2(OTHER_ACCOUNT);
const DAY = 24 * 3600 * 1000;
const UNKNOWN = 'ami-00000000000000000';

describe('the life of an image', () => {
  let snapshotId = '';
  before(async () => {
    snapshotId = snapshotOf(await baseImage());
  });
  const registered = new Set<string>();
  after(async () => {
    for (const ImageId of registered) await mine().send(new DeregisterImageCommand({ ImageId }));
  });
  const register = async (): Promise<string> => {
    const made = await mine().send(new RegisterImageCommand({
      Name: uniqueName('lived'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId } }],
    }));
    registered.add(made.ImageId!);
    return made.ImageId!;
  };
  const share = (ImageId: string) =>
    mine().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
  const run = (ImageId: string, client = mine()) =>
    client.send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, DryRun: false }));
  const found = async (client: ReturnType<typeof ec2>, more = {}): Promise<(string | undefined)[]> =>
    (await client.send(new DescribeImagesCommand({ Owners: [ACCOUNT], ...more }))).Images!.map((each) => each.ImageId);

  test('a disabled image is not found nor launched, and forgets whom it was shared with', async () => {
    const ImageId = await register();
    await share(ImageId);
    assert.equal((await mine().send(new DisableImageCommand({ ImageId }))).Return, true);
    assert.equal((await image(ImageId)).State, 'disabled');
    assert.ok(!(await found(mine())).includes(ImageId));
    assert.ok((await found(mine(), { IncludeDisabled: true })).includes(ImageId));
    await assertRefused(run(ImageId), 'InvalidAMIID.Unavailable');
    await assertRefused(run(ImageId, other()), 'InvalidAMIID.NotFound');
    await assertRefused(share(ImageId), 'InvalidAMIID.Unavailable');
    await assertRefused(mine().send(new DeleteSnapshotCommand({ SnapshotId: snapshotId })), 'InvalidSnapshot.InUse');
    assert.equal((await mine().send(new EnableImageCommand({ ImageId }))).Return, true);
    assert.equal((await image(ImageId)).State, 'available');
    assert.ok(!(await found(other())).includes(ImageId));
    await assertRefused(mine().send(new EnableImageCommand({ ImageId: UNKNOWN })), 'InvalidAMIID.NotFound');
    await assertRefused(mine().send(new DisableImageCommand({ ImageId: 'x' })), 'InvalidAMIID.Malformed');
    await share(ImageId);
    await assertRefused(other().send(new DisableImageCommand({ ImageId })), 'AuthFailure');
    await assertRefused(other().send(new EnableImageCommand({ ImageId })), 'AuthFailure');
  });

  test('a time to be deprecated is rounded to a minute, told, and taken back', async () => {
    const ImageId = await register();
    const at = new Date(Math.floor(Date.now() / DAY + 2) * DAY + 20_000);
    await mine().send(new EnableImageDeprecationCommand({ ImageId, DeprecateAt: at }));
    assert.equal((await image(ImageId)).DeprecationTime, new Date(at.getTime() - 20_000).toISOString());
    await mine().send(new DisableImageDeprecationCommand({ ImageId }));
    assert.equal((await image(ImageId)).DeprecationTime, undefined);
    const past = new Date(Date.now() - DAY);
    await assertRefused(mine().send(new EnableImageDeprecationCommand({ ImageId, DeprecateAt: past })), 'InvalidParameterValue');
    await assertRefused(mine().send(new EnableImageDeprecationCommand({ ImageId: UNKNOWN, DeprecateAt: at })), 'InvalidAMIID.NotFound');
    await assertRefused(mine().send(new DisableImageDeprecationCommand({ ImageId: UNKNOWN })), 'InvalidAMIID.NotFound');
    await assertRefused(other().send(new EnableImageDeprecationCommand({ ImageId, DeprecateAt: at })), 'InvalidAMIID.NotFound');
    await assertRefused(other().send(new DisableImageDeprecationCommand({ ImageId })), 'InvalidAMIID.NotFound');
  });

  test('a protected image is not deregistered', async () => {
    const ImageId = await register();
    const deregister = () => mine().send(new DeregisterImageCommand({ ImageId }));
    const protect = (more = {}) => mine().send(new EnableImageDeregistrationProtectionCommand({ ImageId, ...more }));
    assert.equal((await protect({ WithCooldown: true })).Return, 'true');
    assert.equal((await image(ImageId)).DeregistrationProtection, 'enabled-with-cooldown');
    await protect();
    assert.equal((await image(ImageId)).DeregistrationProtection, 'enabled-without-cooldown');
    const told = await mine().send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'deregistrationProtection' }));
    assert.equal(told.DeregistrationProtection?.Value, 'enabled-without-cooldown');
    await assertRefused(deregister(), 'OperationNotPermitted');
    await mine().send(new DisableImageDeregistrationProtectionCommand({ ImageId }));
    assert.equal((await image(ImageId)).DeregistrationProtection, 'disabled');
    await deregister();
    registered.delete(ImageId);
    await assertRefused(protect({ ImageId: UNKNOWN }), 'InvalidAMIID.NotFound');
    await assertRefused(other().send(new EnableImageDeregistrationProtectionCommand({ ImageId: UNKNOWN })), 'InvalidAMIID.NotFound');
    await assertRefused(mine().send(new DisableImageDeregistrationProtectionCommand({ ImageId: 'x' })), 'InvalidAMIID.Malformed');
  });

  test('a locked snapshot is not deleted', async () => {
    const volume = (await mine().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }))).VolumeId!;
    await waitForVolume(volume);
    const SnapshotId = (await mine().send(new CreateSnapshotCommand({ VolumeId: volume }))).SnapshotId!;
    await waitForSnapshot(SnapshotId);
    const lock = (more: Partial<LockSnapshotCommandInput>, client = mine()) =>
      client.send(new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', ...more }));
    const made = await lock({ LockDuration: 3 });
    assert.deepEqual([made.LockState, made.LockDuration], ['governance', 3]);
    assert.equal(made.LockExpiresOn!.getTime() - made.LockCreatedOn!.getTime(), 3 * DAY);
    await assertRefused(mine().send(new DeleteSnapshotCommand({ SnapshotId })), 'OperationNotPermitted');
    const cooling = await lock({ LockMode: 'compliance', CoolOffPeriod: 2, ExpirationDate: new Date(Date.now() + 10 * DAY) });
    assert.deepEqual([cooling.LockState, cooling.CoolOffPeriod], ['compliance-cooloff', 2]);
    const listed = async (more: object) =>
      (await mine().send(new DescribeLockedSnapshotsCommand(more))).Snapshots!.map((each) => [each.SnapshotId, each.OwnerId, each.LockState]);
    assert.deepEqual(await listed({ SnapshotIds: [SnapshotId] }), [[SnapshotId, ACCOUNT, 'compliance-cooloff']]);
    assert.deepEqual(await listed({ SnapshotIds: [SnapshotId], Filters: [{ Name: 'lock-state', Values: ['governance'] }] }), []);
    await assertRefused(listed({ Filters: [{ Name: 'colour', Values: ['blue'] }] }), 'InvalidParameterValue');
    await assertRefused(other().send(new DescribeLockedSnapshotsCommand({ SnapshotIds: [SnapshotId] })), 'InvalidSnapshot.NotFound');
    await assertRefused(lock({ LockDuration: 0 }), 'InvalidParameterValue');
    await assertRefused(lock({}), 'MissingParameter');
    await assertRefused(lock({ LockDuration: 1 }, other()), 'InvalidSnapshot.NotFound');
    await assertRefused(other().send(new UnlockSnapshotCommand({ SnapshotId })), 'InvalidSnapshot.NotFound');
    assert.equal((await mine().send(new UnlockSnapshotCommand({ SnapshotId }))).SnapshotId, SnapshotId);
    await assertRefused(mine().send(new UnlockSnapshotCommand({ SnapshotId })), 'IncorrectState');
    await mine().send(new DeleteSnapshotCommand({ SnapshotId }));
    await mine().send(new DeleteVolumeCommand({ VolumeId: volume }));
  });
});

// In a region and by an account that no other test shares anything in.
describe('what an account allows itself', () => {
  const away = () => ec2(ACCOUNT, { region: SECOND_REGION });
  const guest = () => ec2(OTHER_ACCOUNT, { region: SECOND_REGION });
  let ImageId = '';
  let SnapshotId = '';
  let name = '';
  before(async () => {
    name = uniqueName('allowed');
    await kilnOutput(['import', await baseDisk(), '--name', name, '--region', SECOND_REGION]);
    const made = await imageNamed(name, away());
    ImageId = made.ImageId;
    SnapshotId = snapshotOf(made);
  });
  after(() => away().send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true })));

  const publish = (client = away()) =>
    client.send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ Group: 'all' }] } }));
  const publishSnapshot = () =>
    away().send(new ModifySnapshotAttributeCommand({ SnapshotId, CreateVolumePermission: { Add: [{ Group: 'all' }] } }));

  test('block public access of images stops new sharing with all', async () => {
    const state = async () => {
      const told = await away().send(new GetImageBlockPublicAccessStateCommand({}));
      assert.equal(told.ManagedBy, 'account');
      return told.ImageBlockPublicAccessState;
    };
    assert.equal(await state(), 'unblocked');
    const enabled = await away().send(new EnableImageBlockPublicAccessCommand({ ImageBlockPublicAccessState: 'block-new-sharing' }));
    assert.equal(enabled.ImageBlockPublicAccessState, 'block-new-sharing');
    try {
      await assertRefused(publish(), 'OperationNotPermitted', /block public access/);
      assert.equal(await state(), 'block-new-sharing');
    } finally {
      const disabled = await away().send(new DisableImageBlockPublicAccessCommand({}));
      assert.equal(disabled.ImageBlockPublicAccessState, 'unblocked');
    }
    const bad = new EnableImageBlockPublicAccessCommand({ ImageBlockPublicAccessState: 'unblocked' as never });
    await assertRefused(away().send(bad), 'InvalidParameterValue');
  });

  test('block public access of snapshots hides public ones, or stops new ones', async () => {
    const client = away();
    const seen = async () =>
      (await guest().send(new DescribeSnapshotsCommand({ RestorableByUserIds: ['all'] }))).Snapshots!.some((each) => each.SnapshotId === SnapshotId);
    await publishSnapshot();
    assert.ok(await seen());
    try {
      assert.equal((await client.send(new EnableSnapshotBlockPublicAccessCommand({ State: 'block-all-sharing' }))).State, 'block-all-sharing');
      assert.ok(!(await seen()));
      await assertRefused(publishSnapshot(), 'OperationNotPermitted');
      await client.send(new EnableSnapshotBlockPublicAccessCommand({ State: 'block-new-sharing' }));
      assert.ok(await seen());
      const told = await client.send(new GetSnapshotBlockPublicAccessStateCommand({}));
      assert.deepEqual([told.State, told.ManagedBy], ['block-new-sharing', 'account']);
    } finally {
      assert.equal((await client.send(new DisableSnapshotBlockPublicAccessCommand({}))).State, 'unblocked');
    }
    await assertRefused(client.send(new EnableSnapshotBlockPublicAccessCommand({ State: 'some' as never })), 'InvalidParameterValue');
    await assertRefused(client.send(new EnableSnapshotBlockPublicAccessCommand({ State: '' as never })), 'MissingParameter');
  });

  test('images that do not fit the criteria are hidden, or marked in audit mode', async () => {
    const client = guest();
    const replace = (ImageCriteria: object[]) =>
      client.send(new ReplaceImageCriteriaInAllowedImagesSettingsCommand({ ImageCriteria }));
    const seen = async (more = {}) =>
      (await client.send(new DescribeImagesCommand({ Filters: [{ Name: 'name', Values: [name] }], ...more }))).Images!;
    await publish();
    assert.equal((await seen())[0]!.ImageAllowed, true);
    try {
      await replace([{ ImageProviders: ['333333333333'], ImageNames: ['golden-*'], CreationDateCondition: { MaximumDaysSinceCreated: 3 } }]);
      assert.equal((await client.send(new EnableAllowedImagesSettingsCommand({ AllowedImagesSettingsState: 'audit-mode' }))).AllowedImagesSettingsState, 'audit-mode');
      assert.equal((await seen())[0]!.ImageAllowed, false);
      const filtered = [{ Name: 'name', Values: [name] }, { Name: 'image-allowed', Values: ['true'] }];
      assert.deepEqual(await seen({ Filters: filtered }), []);
      const told = await client.send(new GetAllowedImagesSettingsCommand({}));
      assert.deepEqual([told.State, told.ManagedBy, told.ImageCriteria], ['audit-mode', 'account', [
        { ImageProviders: ['333333333333'], ImageNames: ['golden-*'], CreationDateCondition: { MaximumDaysSinceCreated: 3 } }]]);
      await client.send(new EnableAllowedImagesSettingsCommand({ AllowedImagesSettingsState: 'enabled' }));
      assert.deepEqual(await seen(), []);
      await assertRefused(client.send(new DescribeImagesCommand({ ImageIds: [ImageId] })), 'InvalidAMIID.NotFound');
      await assertRefused(
        client.send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 })), 'InvalidAMIID.NotFound');
      await assertRefused(
        client.send(new CopyImageCommand({ Name: uniqueName('copy'), SourceRegion: SECOND_REGION, SourceImageId: ImageId })), 'InvalidAMIID.NotFound');
      await replace([{ ImageProviders: [ACCOUNT] }]);
      assert.equal((await seen()).length, 1);
      await replace([{ ImageProviders: ['none'] }]);
      assert.deepEqual(await seen(), []);
    } finally {
      assert.equal((await client.send(new DisableAllowedImagesSettingsCommand({}))).AllowedImagesSettingsState, 'disabled');
      assert.equal((await replace([])).ReturnValue, true);
    }
    await assertRefused(replace([{ ImageProviders: ['somebody'] }]), 'InvalidParameterValue');
    await assertRefused(client.send(new EnableAllowedImagesSettingsCommand({ AllowedImagesSettingsState: 'on' as never })), 'InvalidParameterValue');
  });
});
