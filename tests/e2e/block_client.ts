// Disks into snapshots and back through the EBS direct APIs, as backup programs do it (coldsnap, for one): many blocks
// at a time, blocks of zeros left out, each block tried again when the server or the way to it fails, and every checksum
// looked at.
import {
  CompleteSnapshotCommand, EBSClient, GetSnapshotBlockCommand, ListSnapshotBlocksCommand, PutSnapshotBlockCommand,
  StartSnapshotCommand, type StartSnapshotCommandInput,
} from '@aws-sdk/client-ebs';
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

export const BLOCK = 512 * 1024;
const WORKERS = 64;
const TRIES = 60;
const TRY_AGAIN_AFTER_MS = 250;

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');

// As often as it takes: what the server calls its own fault, a throttled call, and a connection that broke.
async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; --left) {
    try {
      return await call();
    } catch (error) {
      const { name = '', $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
      const status = $metadata?.httpStatusCode;
      const passing = status === undefined || status >= 500 || name.endsWith('ThrottledException');
      if (!passing || error instanceof assert.AssertionError || left === 0) throw error;
      await pause(TRY_AGAIN_AFTER_MS);
    }
  }
}

// Runs work for every item, so many at a time.
async function inParallel<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

export async function putBlock(client: EBSClient, snapshot: string, index: number, bytes: Buffer, more = {}): Promise<void> {
  const Checksum = sha256(bytes);
  const put = await client.send(new PutSnapshotBlockCommand({
    SnapshotId: snapshot, BlockIndex: index, BlockData: bytes, DataLength: bytes.length, Checksum, ChecksumAlgorithm: 'SHA256', ...more,
  }));
  assert.deepEqual([put.Checksum, put.ChecksumAlgorithm], [Checksum, 'SHA256']);
}

export interface Upload {
  client: () => EBSClient; // asked for every call, since a server may come back elsewhere
  content: Buffer; // whole blocks
  start: StartSnapshotCommandInput;
  order?: (indexes: number[]) => number[];
  onBlock?: (written: number) => void;
}

// Writes what is not zeros; the snapshot is pending when it returns.
export async function upload({ client, content, start, order, onBlock }: Upload): Promise<string> {
  const started = await persistently(() => client().send(new StartSnapshotCommand({ ClientToken: crypto.randomUUID(), ...start })));
  const zeros = Buffer.alloc(BLOCK);
  const block = (index: number): Buffer => content.subarray(index * BLOCK, (index + 1) * BLOCK);
  const indexes = [...Array(content.length / BLOCK).keys()].filter((index) => !block(index).equals(zeros));
  let written = 0;
  await inParallel(order ? order(indexes) : indexes, async (index) => {
    await persistently(() => putBlock(client(), started.SnapshotId!, index, block(index)));
    onBlock?.(++written);
  });
  const all = createHash('sha256');
  for (const index of indexes) all.update(createHash('sha256').update(block(index)).digest());
  const completed = await client().send(new CompleteSnapshotCommand({
    SnapshotId: started.SnapshotId!, ChangedBlocksCount: indexes.length,
    Checksum: all.digest('base64'), ChecksumAlgorithm: 'SHA256', ChecksumAggregationMethod: 'LINEAR',
  }));
  assert.equal(completed.Status, 'pending');
  return started.SnapshotId!;
}

export async function getBlock(client: EBSClient, snapshot: string, index: number, token: string): Promise<Buffer> {
  const got = await client.send(new GetSnapshotBlockCommand({ SnapshotId: snapshot, BlockIndex: index, BlockToken: token }));
  const bytes = Buffer.from(await got.BlockData!.transformToByteArray());
  assert.equal(got.DataLength, BLOCK);
  assert.equal(got.ChecksumAlgorithm, 'SHA256');
  assert.equal(got.Checksum, sha256(bytes));
  return bytes;
}

export async function allBlocks(client: EBSClient, snapshot: string, pageSize = 10_000) {
  const blocks = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(new ListSnapshotBlocksCommand({ SnapshotId: snapshot, MaxResults: pageSize, NextToken }));
    assert.ok(page.Blocks!.length <= pageSize);
    assert.equal(page.BlockSize, BLOCK);
    assert.ok(page.ExpiryTime! > new Date());
    blocks.push(...page.Blocks!);
    NextToken = page.NextToken;
  } while (NextToken);
  return blocks;
}

// The first bytes of the disk; no block that is written may lie behind them.
export async function download(client: () => EBSClient, snapshot: string, bytes: number): Promise<Buffer> {
  const content = Buffer.alloc(bytes);
  const blocks = await persistently(() => allBlocks(client(), snapshot));
  await inParallel(blocks, async (block) => {
    const got = await persistently(() => getBlock(client(), snapshot, block.BlockIndex!, block.BlockToken!));
    assert.ok((block.BlockIndex! + 1) * BLOCK <= bytes, `block ${block.BlockIndex} is past the end`);
    got.copy(content, block.BlockIndex! * BLOCK);
  });
  return content;
}
