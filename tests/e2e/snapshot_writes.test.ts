// The EBS direct APIs: snapshots written block by block.
import { CompleteSnapshotCommand, type EBSClient, ListChangedBlocksCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { CreateVolumeCommand, DeleteSnapshotCommand, DeleteVolumeCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, describe, test } from 'node:test';

import { allBlocks, BLOCK, download, getBlock, putBlock, sha256, upload } from './block_client.ts';
import { sshOutput, waitForSsh } from './guest.ts';
import { assertRefused, refusal, send } from './refusals.ts';
import { ACCOUNT, aws, ebs, ec2, noGuests, OTHER_ACCOUNT, REGION, restartDaemon, scratch } from './region.ts';
import { launch, MIB, once, terminateLaunched, userKey, waitForInstance, waitForSnapshot, waitForVolume } from './things.ts';

const SIZE = 96 * MIB;
const blockOf = (content: Buffer, index: number): Buffer => content.subarray(index * BLOCK, (index + 1) * BLOCK);
const backwards = (indexes: number[]): number[] => indexes.toReversed();

// A client that keeps 64 connections; another one when the server has come back.
function patient(): () => EBSClient {
  let client: EBSClient | undefined;
  return () => (client ??= ebs(ACCOUNT, { sockets: 64 }));
}

// A disk with data, zeros between, and its snapshot.
const written = once(async () => {
  const content = Buffer.concat([randomBytes(40 * MIB), Buffer.alloc(16 * MIB), randomBytes(40 * MIB)]);
  const client = patient();
  const began = Date.now();
  const snapshot = await upload({ client, content, start: { VolumeSize: 1, Description: 'uploaded' }, order: backwards });
  const uploaded = Date.now();
  await waitForSnapshot(snapshot);
  const read = Date.now();
  assert.ok((await download(client, snapshot, SIZE)).equals(content));
  process.stderr.write(`64-way: 80 MiB up in ${uploaded - began} ms, down in ${Date.now() - read} ms\n`);
  return { content, snapshot };
});

const start = async (more = {}): Promise<string> => (await ebs().send(new StartSnapshotCommand({ VolumeSize: 1, ...more }))).SnapshotId!;
const complete = (SnapshotId: string, ChangedBlocksCount: number, more = {}, client = ebs()) =>
  client.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount, ...more }));
const described = async (id: string) => (await ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!;

describe('snapshot writes', () => {
  after(() => terminateLaunched());

  test('what one client writes, 64 blocks at a time, another one reads', async () => {
    const { content, snapshot } = await written();
    const copy = path.join(scratch, 'restored.raw');
    fs.writeFileSync(copy, await download(patient(), snapshot, SIZE));
    assert.ok(fs.readFileSync(copy).equals(content));
    fs.rmSync(copy);
    const done = await described(snapshot);
    assert.deepEqual(
      [done.State, done.Progress, done.VolumeId, done.VolumeSize, done.OwnerId, done.Description, done.FullSnapshotSizeInBytes],
      ['completed', '100%', 'vol-ffffffff', 1, ACCOUNT, 'uploaded', 80 * MIB]);
  });

  test('a guest reads from its disk what was written', { skip: noGuests }, async () => {
    const { content, snapshot } = await written();
    const [made] = await launch({
      KeyName: (await userKey()).name, BlockDeviceMappings: [{ DeviceName: '/dev/sdb', Ebs: { SnapshotId: snapshot, DeleteOnTermination: true } }],
    });
    const guest = await waitForInstance(made!.InstanceId);
    await waitForSsh(guest);
    const sum = await sshOutput(guest, 'dd if=/dev/vdb bs=1048576 count=96 2>/dev/null | sha256sum', 120);
    assert.equal(Buffer.from(sum.split(' ')[0]!, 'hex').toString('base64'), sha256(content));
    assert.equal(await sshOutput(guest, 'cat /sys/block/vdb/size'), String((1024 * MIB) / 512));
  });

  test('a child holds what was written over its parent, and the two differ in that only', async () => {
    const parent = await written();
    const id = await start({ ParentSnapshotId: parent.snapshot, Tags: [{ Key: 'of', Value: 'child' }] });
    const content = Buffer.from(parent.content);
    const first = randomBytes(BLOCK);
    randomBytes(BLOCK).copy(content, 7 * BLOCK);
    content.fill(0, 3 * BLOCK, 4 * BLOCK);
    await putBlock(ebs(), id, 7, first, { Progress: 10 });
    await putBlock(ebs(), id, 7, blockOf(content, 7), { Progress: 40 });
    await putBlock(ebs(), id, 3, blockOf(content, 3));
    const pending = await described(id);
    assert.deepEqual([pending.State, pending.Progress, pending.FullSnapshotSizeInBytes], ['pending', '40%', undefined]);
    assert.deepEqual(pending.Tags, [{ Key: 'of', Value: 'child' }]);
    await complete(id, 2);
    await waitForSnapshot(id);
    assert.ok((await download(patient(), id, SIZE)).equals(content));
    const changed = await ebs().send(new ListChangedBlocksCommand({ FirstSnapshotId: parent.snapshot, SecondSnapshotId: id }));
    assert.deepEqual(
      changed.ChangedBlocks!.map((block) => [block.BlockIndex, !!block.FirstBlockToken, !!block.SecondBlockToken]),
      [[3, true, false], [7, true, true]]);
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id }));
    await waitForVolume(volume.VolumeId!);
    await ec2().send(new DeleteVolumeCommand({ VolumeId: volume.VolumeId! }));
  });

  test('a listing says the checksum of each block', async () => {
    const { content, snapshot } = await written();
    for (const block of (await aws(['ebs', 'list-snapshot-blocks', '--snapshot-id', snapshot])).Blocks.slice(0, 3)) {
      const bytes = await getBlock(ebs(), snapshot, block.BlockIndex, block.BlockToken);
      assert.ok(bytes.equals(blockOf(content, block.BlockIndex)));
    }
    const [first] = (await allBlocks(ebs(), snapshot)) as { BlockIndex?: number; Checksum?: string }[];
    assert.equal(first!.Checksum, undefined, 'the SDK hands out what its model has');
    const raw = JSON.parse((await send({
      service: 'ebs', method: 'GET', path: `/snapshots/${snapshot}/blocks?maxResults=100`, body: '',
    })).body);
    assert.equal(raw.Blocks[0].Checksum, sha256(blockOf(content, raw.Blocks[0].BlockIndex)));
  });

  test('the AWS CLI writes a snapshot', async () => {
    const file = path.join(scratch, 'block');
    const bytes = randomBytes(BLOCK);
    fs.writeFileSync(file, bytes);
    const started = await aws(['ebs', 'start-snapshot', '--volume-size', '1', '--description', 'by hand', '--timeout', '10']);
    assert.deepEqual([started.Status, started.BlockSize, started.OwnerId, started.VolumeSize], ['pending', BLOCK, ACCOUNT, 1]);
    await aws([
      'ebs', 'put-snapshot-block', '--snapshot-id', started.SnapshotId, '--block-index', '9', '--data-length', String(BLOCK),
      '--block-data', file, '--checksum', sha256(bytes), '--checksum-algorithm', 'SHA256', '--progress', '100',
    ]);
    await aws(['ebs', 'complete-snapshot', '--snapshot-id', started.SnapshotId, '--changed-blocks-count', '1']);
    await waitForSnapshot(started.SnapshotId);
    const [only, ...others] = await allBlocks(ebs(), started.SnapshotId);
    assert.deepEqual(others, []);
    assert.ok((await getBlock(ebs(), started.SnapshotId, 9, only!.BlockToken!)).equals(bytes));
    fs.rmSync(file);
  });

  test('blocks that were acknowledged are there when the daemon was killed meanwhile', async () => {
    const content = randomBytes(48 * MIB);
    let client = patient();
    let killed: Promise<void> | undefined;
    const snapshot = await upload({
      client: () => client(), content, start: { VolumeSize: 1 },
      onBlock: (count) => {
        if (count === 30) killed = restartDaemon('SIGKILL').then(() => void (client = patient()));
      },
    });
    await killed;
    await waitForSnapshot(snapshot);
    assert.ok((await download(client, snapshot, 48 * MIB)).equals(content));
  });

  test('the same client token starts one snapshot', async () => {
    const request = { VolumeSize: 1, ClientToken: `token-${process.pid}`, Description: 'once' };
    const first = await ebs().send(new StartSnapshotCommand(request));
    const again = await ebs().send(new StartSnapshotCommand(request));
    assert.deepEqual([again.SnapshotId, again.StartTime], [first.SnapshotId, first.StartTime]);
    const other = await refusal(ebs().send(new StartSnapshotCommand({ ...request, VolumeSize: 2 })));
    assert.deepEqual([other.code, other.status], ['ConflictException', 409]);
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: first.SnapshotId! }));
  });

  test('what is refused leaves the snapshot as it was', async () => {
    const id = await start();
    const bytes = randomBytes(BLOCK);
    await putBlock(ebs(), id, 1, bytes);
    const bad = (index: number, block: Buffer, more = {}, message?: RegExp) =>
      assertRefused(putBlock(ebs(), id, index, block, more), 'ValidationException', message);
    await bad(1, randomBytes(BLOCK), { Checksum: sha256(bytes) }, /checksum/);
    await bad(1, randomBytes(BLOCK), { Checksum: 'AAAA' }, /checksum/i);
    await bad(1, randomBytes(BLOCK), { ChecksumAlgorithm: 'CRC32' as never }, /SHA256/);
    await bad(1, randomBytes(4096), { DataLength: BLOCK }, /524288/);
    await bad(1, randomBytes(BLOCK + 512), { DataLength: BLOCK }, /524288/);
    await bad(1, randomBytes(4096), {}, /Data-Length/);
    await bad(2048, randomBytes(BLOCK), {}, /past the end/);
    await bad(-1, randomBytes(BLOCK), {}, /negative/);
    await bad(1, randomBytes(BLOCK), { Progress: 101 }, /Progress/);
    await assertRefused(complete(id, 2), 'ValidationException', /1, and not 2/);
    const aggregated = { ChecksumAlgorithm: 'SHA256', ChecksumAggregationMethod: 'LINEAR' } as const;
    await assertRefused(complete(id, 1, { ...aggregated, Checksum: sha256(bytes) }), 'ValidationException', /aggregated/);
    await assertRefused(complete(id, 1, { Checksum: sha256(bytes), ChecksumAlgorithm: 'SHA256' }), 'ValidationException', /LINEAR/);
    const unknown = await refusal(putBlock(ebs(OTHER_ACCOUNT), id, 1, randomBytes(BLOCK)));
    assert.deepEqual([unknown.code, unknown.status], ['ResourceNotFoundException', 404]);
    await assertRefused(complete(id, 1, {}, ebs(OTHER_ACCOUNT)), 'ResourceNotFoundException');
    await complete(id, 1, { ...aggregated, Checksum: sha256(Buffer.from(sha256(bytes), 'base64')) });
    await assertRefused(complete(id, 1), 'ValidationException');
    await waitForSnapshot(id);
    await assertRefused(complete(id, 1), 'ValidationException', /completed/);
    await assertRefused(putBlock(ebs(), id, 2, randomBytes(BLOCK)), 'ValidationException', /completed/);
    const [only, ...others] = await allBlocks(ebs(), id);
    assert.deepEqual([only!.BlockIndex, others], [1, []]);
    assert.ok((await getBlock(ebs(), id, 1, only!.BlockToken!)).equals(bytes));
  });

  test('what cannot be started is refused', async () => {
    const { snapshot } = await written();
    const refused = (more: object, code = 'ValidationException', client = ebs()) =>
      assertRefused(client.send(new StartSnapshotCommand({ VolumeSize: 1, ...more })), code);
    await refused({ VolumeSize: 0 });
    await refused({ VolumeSize: 65_537 });
    await refused({ Timeout: 9 });
    await refused({ Timeout: 4321 });
    await refused({ KmsKeyArn: 'alias/x' });
    await refused({ Encrypted: false, ParentSnapshotId: snapshot });
    await refused({ KmsKeyArn: 'arn:aws:kms:us-east-1:123456789012:key/1' });
    await refused({ Tags: [{ Key: 'aws:mine', Value: 'x' }] });
    await refused({ Description: 'x'.repeat(256) });
    await refused({ ParentSnapshotId: 'vol-0123456789abcdef0' });
    await refused({ ParentSnapshotId: 'snap-0123456789abcdef0' }, 'ResourceNotFoundException');
    await refused({ ParentSnapshotId: snapshot }, 'ResourceNotFoundException', ebs(OTHER_ACCOUNT));
  });

  test('a pending snapshot can be deleted, and its blocks go', async () => {
    const id = await start();
    await putBlock(ebs(), id, 0, randomBytes(BLOCK));
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    await assertRefused(putBlock(ebs(), id, 1, randomBytes(BLOCK)), 'ResourceNotFoundException');
    await assertRefused(complete(id, 1), 'ResourceNotFoundException');
  });
});
