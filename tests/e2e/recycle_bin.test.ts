// The recycle bin: rules of the service rbin, and what they keep. Its days are counted in unit tests.
import {
  CopySnapshotCommand, CreateVolumeCommand, DeleteVolumeCommand, DeregisterImageCommand, DescribeImagesCommand, DescribeSnapshotsCommand,
  DescribeVolumesCommand, ListImagesInRecycleBinCommand, ListSnapshotsInRecycleBinCommand, ListVolumesInRecycleBinCommand, RegisterImageCommand,
  RestoreImageFromRecycleBinCommand, RestoreSnapshotFromRecycleBinCommand, RestoreVolumeFromRecycleBinCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { assertRefused, send } from './refusals.ts';
import { ACCOUNT, aws, awsRun, ec2, keysOf, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, image, launch, snapshotOf, terminate, uniqueName, waitForInstance, waitForSnapshot, waitForVolume } from './things.ts';

const DAY = 24 * 3600 * 1000;

// A request of rbin as the newer SDKs send it: the AWS CLI that there is does not know all members.
const rbin = async (method: string, path: string, body?: object, account = ACCOUNT) => {
  const answer = await send({
    service: 'rbin', method, path, keys: keysOf(account), contentType: 'application/json', body: body ? JSON.stringify(body) : '',
  });
  return { status: answer.status, ...(answer.body ? JSON.parse(answer.body) : {}) };
};
const days = (count: number) => ({ RetentionPeriodValue: count, RetentionPeriodUnit: 'DAYS' });

describe('the recycle bin', () => {
  const rules: string[] = [];
  after(async () => {
    for (const id of rules) await rbin('DELETE', `/rules/${id}`);
  });
  // For one tag, so that it keeps nothing of other tests.
  const ruleFor = async (type: string, tag: string, count = 1): Promise<string> => {
    const made = await rbin('POST', '/rules', {
      ResourceType: type, RetentionPeriod: days(count), ResourceTags: [{ ResourceTagKey: 'keep', ResourceTagValue: tag }],
    });
    assert.equal(made.status, 201, JSON.stringify(made));
    rules.push(made.Identifier);
    return made.Identifier;
  };
  const snapshotWith = async (tag: string): Promise<string> => {
    const made = await ec2().send(new CopySnapshotCommand({
      SourceRegion: REGION, SourceSnapshotId: snapshotOf(await baseImage()),
      TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'keep', Value: tag }] }],
    }));
    await waitForSnapshot(made.SnapshotId!);
    return made.SnapshotId!;
  };

  test('a deleted image and its snapshot are kept, listed and restored', async () => {
    const tag = uniqueName('kept');
    await ruleFor('EBS_SNAPSHOT', tag, 3);
    await ruleFor('EC2_IMAGE', tag);
    const SnapshotId = await snapshotWith(tag);
    const Name = uniqueName('recycled');
    const { ImageId } = await ec2().send(new RegisterImageCommand({
      Name, Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }],
      TagSpecifications: [{ ResourceType: 'image', Tags: [{ Key: 'keep', Value: tag }] }],
    }));
    const gone = await ec2().send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }));
    assert.deepEqual(gone.DeleteSnapshotResults, [{ SnapshotId, ReturnCode: 'success' }]);
    assert.deepEqual((await ec2().send(new DescribeImagesCommand({ ImageIds: [ImageId!] }))).Images, []);
    await assertRefused(ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] })), 'InvalidSnapshot.NotFound');

    const images = (await ec2().send(new ListImagesInRecycleBinCommand({ ImageIds: [ImageId!] }))).Images!;
    assert.deepEqual(images.map((each) => [each.ImageId, each.Name]), [[ImageId, Name]]);
    assert.equal(images[0]!.RecycleBinExitTime!.getTime() - images[0]!.RecycleBinEnterTime!.getTime(), DAY);
    const snapshots = (await ec2().send(new ListSnapshotsInRecycleBinCommand({}))).Snapshots!;
    assert.ok(snapshots.some((each) => each.SnapshotId === SnapshotId));

    const other = ec2(OTHER_ACCOUNT);
    await assertRefused(other.send(new ListImagesInRecycleBinCommand({ ImageIds: [ImageId!] })), 'InvalidAMIID.NotFound');
    await assertRefused(other.send(new ListSnapshotsInRecycleBinCommand({ SnapshotIds: [SnapshotId] })), 'InvalidSnapshot.NotFound');
    await assertRefused(other.send(new RestoreImageFromRecycleBinCommand({ ImageId: ImageId! })), 'InvalidAMIID.NotFound');
    await assertRefused(other.send(new RestoreSnapshotFromRecycleBinCommand({ SnapshotId })), 'InvalidSnapshot.NotFound');
    await assertRefused(ec2().send(new RestoreImageFromRecycleBinCommand({ ImageId: 'x' })), 'InvalidAMIID.Malformed');
    await assertRefused(ec2().send(new RestoreImageFromRecycleBinCommand({ ImageId: ImageId! })), 'InvalidSnapshot.NotFound', /Restore it/);
    await assertRefused(ec2().send(new ListImagesInRecycleBinCommand({ ImageIds: ['x'] })), 'InvalidAMIID.Malformed');

    const restored = await ec2().send(new RestoreSnapshotFromRecycleBinCommand({ SnapshotId }));
    assert.deepEqual([restored.SnapshotId, restored.State, restored.OwnerId], [SnapshotId, 'completed', ACCOUNT]);
    assert.equal((await ec2().send(new RestoreImageFromRecycleBinCommand({ ImageId: ImageId! }))).Return, true);
    const again = await image(ImageId!);
    assert.deepEqual([again.State, again.Name, again.Tags], ['available', Name, [{ Key: 'keep', Value: tag }]]);
    await assertRefused(ec2().send(new RestoreSnapshotFromRecycleBinCommand({ SnapshotId })), 'InvalidSnapshot.NotFound');
    await ec2().send(new DeregisterImageCommand({ ImageId, DeleteAssociatedSnapshots: true }));
  });

  test('a deleted volume is kept, listed and restored', async () => {
    const tag = uniqueName('kept');
    await ruleFor('EBS_VOLUME', tag, 7);
    const VolumeId = (await ec2().send(new CreateVolumeCommand({
      AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()), VolumeType: 'gp3',
      TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'keep', Value: tag }] }],
    }))).VolumeId!;
    const made = await waitForVolume(VolumeId);
    await ec2().send(new DeleteVolumeCommand({ VolumeId }));
    await assertRefused(ec2().send(new DescribeVolumesCommand({ VolumeIds: [VolumeId] })), 'InvalidVolume.NotFound');
    await assertRefused(ec2().send(new DeleteVolumeCommand({ VolumeId })), 'InvalidVolume.NotFound');

    const kept = (await ec2().send(new ListVolumesInRecycleBinCommand({ VolumeIds: [VolumeId] }))).Volumes![0]!;
    assert.deepEqual(
      [kept.VolumeId, kept.VolumeType, kept.Size, kept.Iops, kept.AvailabilityZone, kept.SnapshotId, kept.CreateTime],
      [VolumeId, 'gp3', made.Size, 3000, `${REGION}a`, made.SnapshotId, made.CreateTime]);
    assert.equal(kept.RecycleBinExitTime!.getTime() - kept.RecycleBinEnterTime!.getTime(), 7 * DAY);
    assert.ok((await ec2().send(new ListVolumesInRecycleBinCommand({}))).Volumes!.some((each) => each.VolumeId === VolumeId));

    const other = ec2(OTHER_ACCOUNT);
    await assertRefused(other.send(new ListVolumesInRecycleBinCommand({ VolumeIds: [VolumeId] })), 'InvalidVolume.NotFound');
    await assertRefused(other.send(new RestoreVolumeFromRecycleBinCommand({ VolumeId })), 'InvalidVolume.NotFound');
    await assertRefused(ec2().send(new RestoreVolumeFromRecycleBinCommand({ VolumeId: 'x' })), 'InvalidParameterValue');
    await assertRefused(ec2().send(new ListVolumesInRecycleBinCommand({ VolumeIds: ['x'] })), 'InvalidParameterValue');
    await assertRefused(ec2().send(new ListVolumesInRecycleBinCommand({ MaxResults: 4 })), 'InvalidParameterValue');

    assert.equal((await ec2().send(new RestoreVolumeFromRecycleBinCommand({ VolumeId }))).Return, true);
    const again = await waitForVolume(VolumeId);
    assert.deepEqual([again.State, again.Tags], ['available', [{ Key: 'keep', Value: tag }]]);
    await assertRefused(ec2().send(new RestoreVolumeFromRecycleBinCommand({ VolumeId })), 'InvalidVolume.NotFound');
    assert.equal((await rbin('DELETE', `/rules/${rules.pop()}`)).status, 204);
    await ec2().send(new DeleteVolumeCommand({ VolumeId }));
    await assertRefused(ec2().send(new RestoreVolumeFromRecycleBinCommand({ VolumeId })), 'InvalidVolume.NotFound');
  });

  test('a terminated instance leaves its volumes to the bin', async () => {
    const tag = uniqueName('kept');
    await ruleFor('EBS_VOLUME', tag);
    const [launched] = await launch({ TagSpecifications: [{ ResourceType: 'volume', Tags: [{ Key: 'keep', Value: tag }] }] });
    const id = launched!.InstanceId;
    const VolumeId = (await waitForInstance(id)).BlockDeviceMappings![0]!.Ebs!.VolumeId!;
    await terminate([id]);
    assert.deepEqual((await ec2().send(new ListVolumesInRecycleBinCommand({ VolumeIds: [VolumeId] }))).Volumes!.map((each) => each.VolumeId), [VolumeId]);
    await ec2().send(new RestoreVolumeFromRecycleBinCommand({ VolumeId }));
    const restored = await waitForVolume(VolumeId);
    assert.deepEqual([restored.State, restored.Attachments], ['available', []]);
    assert.equal((await rbin('DELETE', `/rules/${rules.pop()}`)).status, 204);
    await ec2().send(new DeleteVolumeCommand({ VolumeId }));
  });

  test('rules are made, listed, changed and deleted, from the AWS CLI', async () => {
    const tag = uniqueName('ruled');
    const made = await aws([
      'rbin', 'create-rule', '--resource-type', 'EBS_SNAPSHOT', '--retention-period', 'RetentionPeriodValue=2,RetentionPeriodUnit=DAYS',
      '--resource-tags', `ResourceTagKey=keep,ResourceTagValue=${tag}`, '--description', 'mine', '--tags', 'Key=a,Value=1',
    ]);
    rules.push(made.Identifier);
    assert.match(made.Identifier, /^[0-9a-zA-Z]{11}$/);
    assert.deepEqual([made.Status, made.Description, made.RetentionPeriod, made.Tags], ['available', 'mine', days(2), [{ Key: 'a', Value: '1' }]]);
    const got = await aws(['rbin', 'get-rule', '--identifier', made.Identifier]);
    assert.deepEqual([got.Identifier, got.ResourceTags], [made.Identifier, [{ ResourceTagKey: 'keep', ResourceTagValue: tag }]]);
    const listed = async (more: string[] = []) =>
      (await aws(['rbin', 'list-rules', '--resource-type', 'EBS_SNAPSHOT', ...more])).Rules.map((each: { Identifier: string }) => each.Identifier);
    assert.ok((await listed()).includes(made.Identifier));
    assert.deepEqual(await listed(['--resource-tags', `ResourceTagKey=keep,ResourceTagValue=${tag}`]), [made.Identifier]);
    const changed = await aws([
      'rbin', 'update-rule', '--identifier', made.Identifier, '--retention-period', 'RetentionPeriodValue=5,RetentionPeriodUnit=DAYS',
    ]);
    assert.deepEqual([changed.RetentionPeriod, changed.Description], [days(5), 'mine']);

    const arn = `arn:aws:rbin:${REGION}:${ACCOUNT}:rule/${made.Identifier}`;
    await aws(['rbin', 'tag-resource', '--resource-arn', arn, '--tags', 'Key=b,Value=2', 'Key=c,Value=3']);
    const tags = async () => (await aws(['rbin', 'list-tags-for-resource', '--resource-arn', arn])).Tags;
    assert.deepEqual((await tags()).map((each: { Key: string }) => each.Key), ['a', 'b', 'c']);
    await aws(['rbin', 'untag-resource', '--resource-arn', arn, '--tag-keys', 'a', 'c']);
    assert.deepEqual(await tags(), [{ Key: 'b', Value: '2' }]);

    await aws(['rbin', 'delete-rule', '--identifier', made.Identifier]);
    rules.pop();
    assert.match((await awsRun(['rbin', 'get-rule', '--identifier', made.Identifier])).stderr, /ResourceNotFoundException/);
  });

  test('a locked rule is neither changed nor deleted', async () => {
    // For a whole region, as a locked one has to be: of another account, which deletes no images.
    const ask = (method: string, path: string, body?: object) => rbin(method, path, body, OTHER_ACCOUNT);
    const delay = { UnlockDelay: { UnlockDelayValue: 7, UnlockDelayUnit: 'DAYS' } };
    const made = await ask('POST', '/rules', { ResourceType: 'EC2_IMAGE', RetentionPeriod: days(1), ExcludeResourceTags: [{ ResourceTagKey: uniqueName('none') }] });
    assert.equal(made.LockState, undefined);
    const cli = (...words: string[]) => aws(['rbin', ...words, '--identifier', made.Identifier], { account: OTHER_ACCOUNT });
    const locked = await cli('lock-rule', '--lock-configuration', 'UnlockDelay={UnlockDelayValue=7,UnlockDelayUnit=DAYS}');
    assert.deepEqual([locked.LockState, locked.LockConfiguration], ['locked', delay]);
    for (const refused of [
      await ask('PATCH', `/rules/${made.Identifier}`, { RetentionPeriod: days(2) }), await ask('DELETE', `/rules/${made.Identifier}`),
    ]) {
      assert.deepEqual([refused.status, refused.Reason], [409, 'INVALID_RULE_STATE']);
    }
    const unlocked = await cli('unlock-rule');
    assert.equal(unlocked.LockState, 'pending_unlock');
    assert.ok(Date.parse(unlocked.LockEndTime) > Date.now() + 6 * DAY);
    assert.equal((await ask('PATCH', `/rules/${made.Identifier}/unlock`)).status, 409);
    assert.equal((await ask('PATCH', `/rules/${made.Identifier}/lock`, { LockConfiguration: delay })).status, 409);
    const listed = await ask('POST', '/list-rules', { ResourceType: 'EC2_IMAGE', LockState: 'pending_unlock' });
    assert.ok(listed.Rules.some((each: { Identifier: string }) => each.Identifier === made.Identifier));
  });

  test('what is no rule is refused, and another account has none', async () => {
    const create = (more: object) => rbin('POST', '/rules', { ResourceType: 'EBS_SNAPSHOT', RetentionPeriod: days(1), ...more });
    for (const bad of [
      { RetentionPeriod: days(0) }, { RetentionPeriod: days(3651) }, { RetentionPeriod: { RetentionPeriodValue: 1, RetentionPeriodUnit: 'YEARS' } },
      { ResourceType: 'LEMON' }, { ResourceType: 'EBS_VOLUME', RetentionPeriod: days(8) }, { Description: 'x'.repeat(256) },
    ]) {
      const refused = await create(bad);
      assert.deepEqual([refused.status, refused.Reason], [400, 'INVALID_PARAMETER_VALUE'], JSON.stringify(bad));
    }
    const id = await ruleFor('EBS_SNAPSHOT', uniqueName('alone'));
    for (const [method, path, body] of [
      ['GET', `/rules/${id}`], ['DELETE', `/rules/${id}`], ['PATCH', `/rules/${id}`, { Description: 'x' }],
      ['PATCH', `/rules/${id}/lock`, { LockConfiguration: { UnlockDelay: { UnlockDelayValue: 7, UnlockDelayUnit: 'DAYS' } } }],
      ['PATCH', `/rules/${id}/unlock`],
    ] as [string, string, object?][]) {
      assert.equal((await rbin(method, path, body, OTHER_ACCOUNT)).status, 404, `${method} ${path}`);
    }
    assert.equal((await rbin('GET', '/rules/unknown1234')).status, 404);
    assert.equal((await rbin('POST', '/list-rules', { ResourceType: 'LEMON' })).status, 400);
    assert.equal((await rbin('GET', '/nowhere')).status, 404);
  });
});
