// Snapshots: whom their owner shares them with, and what those can make of them.
import {
  CopyImageCommand, CopySnapshotCommand, CreateSnapshotCommand, CreateTagsCommand, CreateVolumeCommand, DeleteSnapshotCommand,
  DeleteVolumeCommand, DeregisterImageCommand, DescribeSnapshotAttributeCommand, DescribeSnapshotsCommand,
  ModifyImageAttributeCommand, ModifySnapshotAttributeCommand, type ModifySnapshotAttributeCommandInput,
  RegisterImageCommand, ResetSnapshotAttributeCommand,
} from '@aws-sdk/client-ec2';
import { ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { download } from './block_client.ts';
import { assertRefused } from './refusals.ts';
import { aws, ebs, ec2, kiln, OTHER_ACCOUNT, REGION, SECOND_REGION } from './region.ts';
import { baseImage, MIB, snapshotOf, uniqueName, waitForImage, waitForSnapshot, waitForVolume } from './things.ts';
import { waitFor } from './wait.ts';

const mine = () => ec2();
const other = () => ec2(OTHER_ACCOUNT);

describe('sharing snapshots', () => {
  let volumeId = '';
  const images: string[] = [];
  before(async () => {
    const made = await mine().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()) }));
    volumeId = made.VolumeId!;
    await waitForVolume(volumeId);
  });
  after(async () => {
    for (const ImageId of images) await mine().send(new DeregisterImageCommand({ ImageId }));
    await mine().send(new DeleteVolumeCommand({ VolumeId: volumeId }));
  });

  const snapshot = async (): Promise<string> => {
    const id = (await mine().send(new CreateSnapshotCommand({ VolumeId: volumeId }))).SnapshotId!;
    await waitForSnapshot(id);
    return id;
  };
  const change = (SnapshotId: string, more: Partial<ModifySnapshotAttributeCommandInput>, client = mine()) =>
    client.send(new ModifySnapshotAttributeCommand({ SnapshotId, ...more }));
  const give = (id: string) => change(id, { CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } });
  const attribute = (SnapshotId: string, client = mine()) =>
    client.send(new DescribeSnapshotAttributeCommand({ SnapshotId, Attribute: 'createVolumePermission' }));
  const shares = async (id: string) => (await attribute(id)).CreateVolumePermissions!.map((each) => each.UserId ?? each.Group).sort();
  const seenBy = async (client: ReturnType<typeof ec2>, query: object) =>
    (await client.send(new DescribeSnapshotsCommand(query))).Snapshots!.map((found) => found.SnapshotId);
  const completedFor = async (client: ReturnType<typeof ec2>, id: string) => {
    await waitFor(`${id} being completed`, 60, async () =>
      (await client.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!.State === 'completed');
  };

  test('permissions are given and taken in every shape that clients send', async () => {
    const id = await snapshot();
    await give(id);
    assert.deepEqual(await shares(id), [OTHER_ACCOUNT]);
    await change(id, { Attribute: 'createVolumePermission', OperationType: 'remove', UserIds: [OTHER_ACCOUNT] });
    assert.deepEqual(await shares(id), []);
    // As Terraform sends it.
    await change(id, { Attribute: 'createVolumePermission', CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } });
    await change(id, { Attribute: 'createVolumePermission', OperationType: 'add', GroupNames: ['all'] });
    assert.deepEqual(await shares(id), [OTHER_ACCOUNT, 'all']);
    await aws(['ec2', 'reset-snapshot-attribute', '--snapshot-id', id, '--attribute', 'createVolumePermission']);
    assert.deepEqual(await shares(id), []);
    const codes = await mine().send(new DescribeSnapshotAttributeCommand({ SnapshotId: id, Attribute: 'productCodes' }));
    assert.deepEqual(codes.ProductCodes, []);
  });

  test('one whom a snapshot is shared with makes volumes, copies and images of it, and reads its blocks', async () => {
    const id = await snapshot();
    await mine().send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'secret', Value: 'yes' }] }));
    await assertRefused(other().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id })), 'InvalidSnapshot.NotFound');
    await give(id);
    const seen = (await other().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!;
    assert.deepEqual(seen.Tags ?? [], []);
    assert.ok((await seenBy(other(), {})).includes(id));
    assert.ok((await seenBy(other(), { RestorableByUserIds: ['self'] })).includes(id));
    assert.ok(!(await seenBy(other(), { OwnerIds: ['self'] })).includes(id));
    assert.ok(!(await seenBy(other(), { RestorableByUserIds: ['all'] })).includes(id));
    assert.ok((await seenBy(mine(), { RestorableByUserIds: [OTHER_ACCOUNT] })).includes(id));

    const volume = (await other().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id }))).VolumeId!;
    const copy = (await other().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id }))).SnapshotId!;
    await completedFor(other(), copy);
    const copied = (await other().send(new DescribeSnapshotsCommand({ SnapshotIds: [copy] }))).Snapshots![0]!;
    assert.equal(copied.OwnerId, OTHER_ACCOUNT);
    const bytes = seen.VolumeSize! * 1024 * MIB;
    const [theirs, ours] = await Promise.all([download(() => ebs(OTHER_ACCOUNT), id, bytes), download(() => ebs(), id, bytes)]);
    assert.ok(theirs.equals(ours));
    const away = ec2(OTHER_ACCOUNT, { region: SECOND_REGION });
    const far = (await away.send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id }))).SnapshotId!;
    await completedFor(away, far);
    const image = (await other().send(new RegisterImageCommand({
      Name: uniqueName('theirs'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: id } }],
    }))).ImageId!;
    await assertRefused(mine().send(new DeleteSnapshotCommand({ SnapshotId: id })), 'InvalidSnapshot.InUse');
    await other().send(new DeregisterImageCommand({ ImageId: image }));

    // What it is not: theirs to change.
    await assertRefused(other().send(new DeleteSnapshotCommand({ SnapshotId: id })), 'InvalidSnapshot.NotFound');
    await assertRefused(change(id, { CreateVolumePermission: { Add: [{ Group: 'all' }] } }, other()), 'InvalidSnapshot.NotFound');
    await assertRefused(attribute(id, other()), 'InvalidSnapshot.NotFound');

    await mine().send(new ResetSnapshotAttributeCommand({ SnapshotId: id, Attribute: 'createVolumePermission' }));
    await assertRefused(other().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] })), 'InvalidSnapshot.NotFound');
    await assertRefused(ebs(OTHER_ACCOUNT).send(new ListSnapshotBlocksCommand({ SnapshotId: id })), 'ResourceNotFoundException');
    await mine().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    await completedFor(other(), copy);
    await waitFor(`${volume} being deleted`, 30, () => other().send(new DeleteVolumeCommand({ VolumeId: volume })).then(() => true, () => false));
    await other().send(new DeleteSnapshotCommand({ SnapshotId: copy }));
    await away.send(new DeleteSnapshotCommand({ SnapshotId: far }));
  });

  test('a shared image is copied once its snapshot is shared too, which the operator does in one step', async () => {
    const snapshotId = await snapshot();
    const register = async () => {
      const made = await mine().send(new RegisterImageCommand({
        Name: uniqueName('shared'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
        BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId } }],
      }));
      images.push(made.ImageId!);
      return made.ImageId!;
    };
    const copy = (SourceImageId: string) =>
      other().send(new CopyImageCommand({ Name: uniqueName('copied'), SourceRegion: REGION, SourceImageId }));
    const id = await register();
    await mine().send(new ModifyImageAttributeCommand({ ImageId: id, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    await assertRefused(copy(id), 'InvalidRequest', new RegExp(`^You do not have permission to access the storage of this ami: .*${snapshotId}`));
    const shared = await kiln(['share', id, '--with', OTHER_ACCOUNT]);
    assert.equal(shared.status, 0, shared.stderr);
    assert.match(shared.stdout, new RegExp(snapshotId));
    const made = await copy(id);
    await waitFor(`${made.ImageId} being available`, 60, async () => {
      const found = await aws(['ec2', 'describe-images', '--image-ids', made.ImageId!], { account: OTHER_ACCOUNT });
      return found.Images[0].State === 'available' && found.Images[0].OwnerId === OTHER_ACCOUNT;
    });
    await other().send(new DeregisterImageCommand({ ImageId: made.ImageId!, DeleteAssociatedSnapshots: true }));
    assert.notEqual((await kiln(['share', 'ami-00000000000000000', '--with', OTHER_ACCOUNT])).status, 0);
    assert.notEqual((await kiln(['share', id, '--with', 'somebody'])).status, 0);
    await waitForImage(id);
  });

  test('what cannot be shared is refused', async () => {
    const id = await snapshot();
    const unknown = 'snap-00000000000000000';
    await assertRefused(change(id, { CreateVolumePermission: { Add: [{ UserId: 'foo' }] } }), 'InvalidUserID.Malformed');
    await assertRefused(change(id, { Attribute: 'createVolumePermission', OperationType: 'add', GroupNames: ['some'] }), 'InvalidParameterValue');
    await assertRefused(
      change(id, { CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }], Remove: [{ Group: 'all' }] } }), 'InvalidParameterCombination');
    await assertRefused(change(id, {}), 'MissingParameter');
    await assertRefused(change(id, { Attribute: 'colour' as never }), 'InvalidParameterValue');
    await assertRefused(change(unknown, { CreateVolumePermission: { Add: [{ Group: 'all' }] } }), 'InvalidSnapshot.NotFound');
    await assertRefused(attribute(unknown), 'InvalidSnapshot.NotFound');
    await assertRefused(mine().send(new ResetSnapshotAttributeCommand({ SnapshotId: id, Attribute: 'productCodes' })), 'InvalidParameterValue');
    await assertRefused(mine().send(new ResetSnapshotAttributeCommand({ SnapshotId: unknown, Attribute: 'createVolumePermission' })), 'InvalidSnapshot.NotFound');
    const encrypted = (await mine().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id, Encrypted: true }))).SnapshotId!;
    await waitForSnapshot(encrypted);
    await assertRefused(give(encrypted), 'OperationNotPermitted', /EBS default key/);
    await assertRefused(change(encrypted, { CreateVolumePermission: { Add: [{ Group: 'all' }] } }), 'OperationNotPermitted');
    await mine().send(new DeleteSnapshotCommand({ SnapshotId: encrypted }));
    await mine().send(new DeleteSnapshotCommand({ SnapshotId: id }));
  });
});
