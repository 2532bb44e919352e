// Copies of snapshots and images, within a region and between the two that the daemon serves.
import {
  CopyImageCommand, CopySnapshotCommand, CreateTagsCommand, CreateVolumeCommand, DeleteSnapshotCommand, DeregisterImageCommand,
  DescribeImageAttributeCommand, DescribeImagesCommand, DescribeSnapshotsCommand, type Image, ModifyImageAttributeCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { download } from './block_client.ts';
import { assertRefused, send } from './refusals.ts';
import { ACCOUNT, aws, ebs, ec2, kilnOutput, noGuests, OTHER_ACCOUNT, REGION, SECOND_REGION } from './region.ts';
import { baseDisk, imageNamed, launch, MIB, snapshotOf, terminateLaunched, uniqueName, waitForInstance, waitForSnapshot, waitForVolume } from './things.ts';
import { waitFor } from './wait.ts';

const away = () => ec2(ACCOUNT, { region: SECOND_REGION });

export async function waitForImage(id: string, client = ec2()): Promise<Image> {
  let last: Image | undefined;
  return waitFor(`${id} being available`, 60, async () => {
    last = (await client.send(new DescribeImagesCommand({ ImageIds: [id] }))).Images![0]!;
    assert.notEqual(last.State, 'failed', last.StateReason?.Message);
    return last.State === 'available' && last;
  }, () => last?.State);
}

describe('copies between regions', () => {
  let source: Image & { ImageId: string };
  before(async () => {
    const name = uniqueName('away');
    await kilnOutput(['import', await baseDisk(), '--name', name, '--region', SECOND_REGION]);
    source = await imageNamed(name, away());
  });
  after(() => terminateLaunched());

  test('a snapshot is copied to another region, byte for byte', async () => {
    const ask = { SourceRegion: SECOND_REGION, SourceSnapshotId: snapshotOf(source), DestinationRegion: REGION };
    const made = await ec2().send(new CopySnapshotCommand({
      ...ask, TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: '1' }] }],
    }));
    assert.deepEqual(made.Tags, [{ Key: 'a', Value: '1' }]);
    const done = await waitForSnapshot(made.SnapshotId!);
    assert.deepEqual(
      [done.VolumeId, done.OwnerId, done.Description, done.Progress, done.Encrypted],
      ['vol-ffffffff', ACCOUNT, `[Copied ${snapshotOf(source)} from ${SECOND_REGION}]`, '100%', false]);
    const original = (await away().send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotOf(source)] }))).Snapshots![0]!;
    assert.equal(done.FullSnapshotSizeInBytes, original.FullSnapshotSizeInBytes);
    assert.equal(done.VolumeSize, original.VolumeSize);
    const [here, there] = await Promise.all([
      download(() => ebs(), made.SnapshotId!, original.VolumeSize! * 1024 * MIB), download(() => ebs(ACCOUNT, { region: SECOND_REGION }), snapshotOf(source), original.VolumeSize! * 1024 * MIB),
    ]);
    assert.ok(here.equals(there));
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: made.SnapshotId! }));
    await waitForVolume(volume.VolumeId!);
    const byCli = await aws(['ec2', 'copy-snapshot', '--source-region', SECOND_REGION, '--source-snapshot-id', snapshotOf(source), '--description', 'mine']);
    assert.equal((await waitForSnapshot(byCli.SnapshotId)).Description, 'mine');
  });

  test('a client token makes one snapshot', async () => {
    const ask = (description: string) => send({
      body: `Action=CopySnapshot&SourceRegion=${SECOND_REGION}&SourceSnapshotId=${snapshotOf(source)}&ClientToken=token-1&Description=${description}` +
        '&KmsKeyId=&DestinationRegion=&PresignedUrl=https%3A%2F%2Fec2.example%2F',
    });
    const ids = [await ask('one'), await ask('one')].map((answer) => /<snapshotId>(snap-\w+)/.exec(answer.body)?.[1]);
    assert.ok(ids[0]);
    assert.equal(ids[0], ids[1]);
    assert.equal((await ask('two')).code, 'IdempotentParameterMismatch');
    await waitForSnapshot(ids[0]);
  });

  test('an image is copied with its snapshots, and without its permissions', async () => {
    await away().send(new CreateTagsCommand({ Resources: [source.ImageId], Tags: [{ Key: 'kind', Value: 'golden' }] }));
    await away().send(new ModifyImageAttributeCommand({ ImageId: source.ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    const name = uniqueName('copy');
    const made = await ec2().send(new CopyImageCommand({
      Name: name, Description: 'mine', SourceRegion: SECOND_REGION, SourceImageId: source.ImageId, CopyImageTags: true,
      TagSpecifications: [{ ResourceType: 'snapshot', Tags: [{ Key: 'of', Value: 'copy' }] }],
    }));
    assert.match(made.ImageId!, /^ami-[0-9a-f]{17}$/);
    // Packer gives up when the new image cannot be described the moment it has its id.
    const pending = (await ec2().send(new DescribeImagesCommand({ ImageIds: [made.ImageId!] }))).Images![0]!;
    assert.match(pending.State!, /^(pending|available)$/);
    const copy = await waitForImage(made.ImageId!);
    assert.deepEqual(
      [copy.Name, copy.Description, copy.SourceImageId, copy.SourceImageRegion, copy.OwnerId, copy.Public, copy.RootDeviceName],
      [name, 'mine', source.ImageId, SECOND_REGION, ACCOUNT, false, source.RootDeviceName]);
    assert.deepEqual(copy.Tags, [{ Key: 'kind', Value: 'golden' }]);
    const { LaunchPermissions } = await ec2().send(new DescribeImageAttributeCommand({ ImageId: made.ImageId!, Attribute: 'launchPermission' }));
    assert.deepEqual(LaunchPermissions ?? [], []);
    const snapshot = await waitForSnapshot(snapshotOf(copy));
    assert.deepEqual(snapshot.Tags, [{ Key: 'of', Value: 'copy' }]);
    assert.match(snapshot.Description!, new RegExp(`^Copied for DestinationAmi ${made.ImageId} from SourceAmi ${source.ImageId} `));
    await assertRefused(ec2().send(new DeleteSnapshotCommand({ SnapshotId: snapshotOf(copy) })), 'InvalidSnapshot.InUse');
    await ec2().send(new DeregisterImageCommand({ ImageId: made.ImageId!, DeleteAssociatedSnapshots: true }));
    await assertRefused(ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotOf(copy)] })), 'InvalidSnapshot.NotFound');
  });

  test('an image copied within its region, as Packer and Terraform ask for it', async () => {
    const here = await imageNamed(await (async () => {
      const name = uniqueName('here');
      await kilnOutput(['import', await baseDisk(), '--name', name, '--region', REGION]);
      return name;
    })());
    const packer = uniqueName('packer');
    const byPacker = await send({
      body: `Action=CopyImage&Name=${packer}&SourceRegion=${REGION}&SourceImageId=${here.ImageId}&KmsKeyId=&Description=&ClientToken=`,
    });
    const id = /<imageId>(ami-\w+)/.exec(byPacker.body)?.[1];
    assert.ok(id, byPacker.body);
    const copy = await waitForImage(id);
    assert.deepEqual([copy.Description ?? '', copy.SourceImageRegion, copy.Tags ?? []], ['', REGION, []]);
    assert.notEqual(snapshotOf(copy), snapshotOf(here));

    const terraform = uniqueName('terraform');
    const ask = () => send({
      body: `Action=CopyImage&ClientToken=terraform-1&Encrypted=false&Description=&Name=${terraform}&SourceRegion=${REGION}&SourceImageId=${here.ImageId}`,
    });
    const ids = [await ask(), await ask()].map((answer) => /<imageId>(ami-\w+)/.exec(answer.body)?.[1]);
    assert.ok(ids[0]);
    assert.equal(ids[0], ids[1]);
    const byCli = await aws(['ec2', 'copy-image', '--name', uniqueName('cli'), '--source-region', REGION, '--source-image-id', ids[0]]);
    assert.equal((await waitForImage(byCli.ImageId)).SourceImageId, ids[0]);
  });

  test('an instance boots from a copied image', { skip: noGuests }, async () => {
    const made = await ec2().send(new CopyImageCommand({ Name: uniqueName('boots'), SourceRegion: SECOND_REGION, SourceImageId: source.ImageId }));
    await waitForImage(made.ImageId!);
    const [instance] = await launch({ ImageId: made.ImageId! });
    await waitForInstance(instance!.InstanceId);
  });

  test('what cannot be copied is refused', async () => {
    const snapshot = (more: object, client = ec2()) => client.send(new CopySnapshotCommand({ SourceRegion: SECOND_REGION, SourceSnapshotId: snapshotOf(source), ...more }));
    await assertRefused(snapshot({ SourceRegion: 'mars-north-1' }), 'InvalidRegion');
    await assertRefused(snapshot({ DestinationRegion: SECOND_REGION }), 'InvalidParameterValue');
    await assertRefused(snapshot({ SourceSnapshotId: 'snap-00000000000000000' }), 'InvalidSnapshot.NotFound');
    await assertRefused(snapshot({ SourceSnapshotId: 'vol-1' }), 'InvalidParameterValue');
    await assertRefused(snapshot({}, ec2(OTHER_ACCOUNT)), 'InvalidSnapshot.NotFound');
    await assertRefused(snapshot({ KmsKeyId: 'alias/x' }), 'InvalidParameterDependency');

    const copy = (more: object, client = ec2()) =>
      client.send(new CopyImageCommand({ Name: uniqueName('refused'), SourceRegion: SECOND_REGION, SourceImageId: source.ImageId, ...more }));
    await assertRefused(copy({ SourceRegion: 'mars-north-1' }), 'InvalidRegion');
    await assertRefused(copy({ SourceRegion: '' }), 'MissingParameter');
    await assertRefused(copy({ SourceImageId: '' }), 'MissingParameter');
    await assertRefused(copy({ Name: '' }), 'MissingParameter');
    await assertRefused(copy({ Name: 'a?' }), 'InvalidAMIName.Malformed');
    await assertRefused(copy({ SourceImageId: 'ami-00000000000000000' }), 'InvalidAMIID.NotFound');
    await assertRefused(copy({ SourceImageId: 'i-1' }), 'InvalidAMIID.Malformed');
    await assertRefused(copy({ KmsKeyId: 'alias/x' }), 'InvalidParameterDependency');
    await assertRefused(copy({ DryRun: true }), 'DryRunOperation');
    // The image is shared with them, which lets them launch it and not read its snapshots.
    await assertRefused(copy({}, ec2(OTHER_ACCOUNT)), 'InvalidRequest', new RegExp(`^You do not have permission to access the storage of this ami: its snapshot ${snapshotOf(source)} `));
    const name = uniqueName('taken');
    await copy({ Name: name, SourceImageId: source.ImageId });
    await assertRefused(copy({ Name: name }), 'InvalidAMIName.Duplicate');
  });
});
