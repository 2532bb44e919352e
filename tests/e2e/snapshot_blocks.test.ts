// The EBS direct APIs: what a snapshot holds, block by block.
import { GetSnapshotBlockCommand, ListChangedBlocksCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';

import { allBlocks, BLOCK, getBlock } from './block_client.ts';
import { assertRefused, refusal } from './refusals.ts';
import { ebs, kilnOutput, OTHER_ACCOUNT, restartDaemon, scratch } from './region.ts';
import { imageNamed, MIB, once, snapshotOf, uniqueName } from './things.ts';

const SIZE = 256 * MIB;
const DATA_BLOCKS = 130; // more than the smallest page

// Two disks: the second has block 3 written anew, block 5 zeroed, and block 400, which was zeros, written.
const disks = once(async () => {
  const first = Buffer.alloc(SIZE);
  for (let i = 0; i < DATA_BLOCKS; i++) randomBytes(64).copy(first, i * BLOCK + 4096);
  const second = Buffer.from(first);
  second.fill(7, 3 * BLOCK, 3 * BLOCK + 10);
  second.fill(0, 5 * BLOCK, 6 * BLOCK);
  second.fill(9, 400 * BLOCK, 401 * BLOCK);
  return { first: { content: first, snapshot: await stored(first) }, second: { content: second, snapshot: await stored(second) } };
});

async function stored(content: Buffer): Promise<string> {
  const name = uniqueName('blocks');
  const file = path.join(scratch, `${name}.raw`);
  fs.writeFileSync(file, content);
  await kilnOutput(['import', file, '--name', name]);
  fs.rmSync(file);
  return snapshotOf(await imageNamed(name));
}

describe('snapshot blocks', () => {
  test('a snapshot is put together from its blocks, page by page', async () => {
    const { first } = await disks();
    const blocks = await allBlocks(ebs(), first.snapshot, 100);
    assert.deepEqual(blocks.map((block) => block.BlockIndex), [...Array(DATA_BLOCKS).keys()]);
    const copy = Buffer.alloc(SIZE);
    for (const block of blocks) {
      (await getBlock(ebs(), first.snapshot, block.BlockIndex!, block.BlockToken!)).copy(copy, block.BlockIndex! * BLOCK);
    }
    assert.ok(copy.equals(first.content));
  });

  test('two snapshots differ in the blocks that were changed, and in those only', async () => {
    const { first, second } = await disks();
    const page = await ebs().send(new ListChangedBlocksCommand({
      FirstSnapshotId: first.snapshot, SecondSnapshotId: second.snapshot,
    }));
    assert.deepEqual(
      page.ChangedBlocks!.map((block) => [block.BlockIndex, !!block.FirstBlockToken, !!block.SecondBlockToken]),
      [[3, true, true], [5, true, false], [400, false, true]]);
    assert.equal(page.NextToken, undefined);
    const three = page.ChangedBlocks![0]!;
    for (const [disk, token] of [[first, three.FirstBlockToken], [second, three.SecondBlockToken]] as const) {
      assert.ok((await getBlock(ebs(), disk.snapshot, 3, token!)).equals(disk.content.subarray(3 * BLOCK, 4 * BLOCK)));
    }
    const later = await ebs().send(new ListChangedBlocksCommand({
      FirstSnapshotId: first.snapshot, SecondSnapshotId: second.snapshot, StartingBlockIndex: 4,
    }));
    assert.deepEqual(later.ChangedBlocks!.map((block) => block.BlockIndex), [5, 400]);
  });

  test('tokens outlive a restart of the daemon', async () => {
    const { first } = await disks();
    const [block] = await allBlocks(ebs(), first.snapshot, 10_000);
    await restartDaemon('SIGTERM');
    assert.ok((await getBlock(ebs(), first.snapshot, 0, block!.BlockToken!)).equals(first.content.subarray(0, BLOCK)));
  });

  test('a token is good for its own block, snapshot and listing only', async () => {
    const { first, second } = await disks();
    const blocks = await allBlocks(ebs(), first.snapshot, 10_000);
    const token = blocks[1]!.BlockToken!;
    const get = (snapshot: string, index: number, BlockToken: string) =>
      ebs().send(new GetSnapshotBlockCommand({ SnapshotId: snapshot, BlockIndex: index, BlockToken }));
    for (const [snapshot, index, bad] of [
      [first.snapshot, 2, token], [second.snapshot, 1, token], [first.snapshot, 4000, token], [first.snapshot, 1, 'AAAA'],
      [first.snapshot, 1, `${token.slice(0, 8)}${token[8] === 'A' ? 'B' : 'A'}${token.slice(9)}`],
    ] as const) {
      await assertRefused(get(snapshot, index, bad), 'ValidationException', /block token/);
    }
    const page = await ebs().send(new ListSnapshotBlocksCommand({ SnapshotId: first.snapshot, MaxResults: 100 }));
    await assertRefused(
      ebs().send(new ListSnapshotBlocksCommand({ SnapshotId: second.snapshot, NextToken: page.NextToken })),
      'ValidationException', /page token/);
  });

  test('another account, an unknown snapshot and bad numbers are refused', async () => {
    const { first, second } = await disks();
    const list = (SnapshotId: string, more = {}, client = ebs()) =>
      client.send(new ListSnapshotBlocksCommand({ SnapshotId, ...more }));
    const foreign = await refusal(list(first.snapshot, {}, ebs(OTHER_ACCOUNT)));
    assert.deepEqual([foreign.code, foreign.status], ['ResourceNotFoundException', 404]);
    const changed = (client = ebs()) => client.send(new ListChangedBlocksCommand({ FirstSnapshotId: first.snapshot, SecondSnapshotId: second.snapshot }));
    await assertRefused(changed(ebs(OTHER_ACCOUNT)), 'ResourceNotFoundException');
    const [block] = await allBlocks(ebs(), first.snapshot);
    await assertRefused(getBlock(ebs(OTHER_ACCOUNT), first.snapshot, 0, block!.BlockToken!), 'ResourceNotFoundException');
    await assertRefused(list('snap-0123456789abcdef0'), 'ResourceNotFoundException');
    await assertRefused(list('vol-0123456789abcdef0'), 'ValidationException', /not valid/);
    await assertRefused(list(first.snapshot, { MaxResults: 5 }), 'ValidationException', /maxResults/);
    await assertRefused(list(first.snapshot, { StartingBlockIndex: -1 }), 'ValidationException', /negative/);
    await assertRefused(
      ebs().send(new ListChangedBlocksCommand({ SecondSnapshotId: first.snapshot })), 'ValidationException', /firstSnapshotId/);
  });
});
