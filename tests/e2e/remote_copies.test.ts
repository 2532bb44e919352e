// Copies between two kilnds, by their public API: with the other one dead, away, refusing, or killed in the middle; and
// with this one killed at random points.
import {
  CopyImageCommand, CopySnapshotCommand, DescribeImagesCommand, DescribeRegionsCommand, DescribeSnapshotsCommand, type Image,
  type Snapshot,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { BLOCK, download } from './block_client.ts';
import { Daemon, Way } from './daemon.ts';
import { refusal } from './refusals.ts';
import { scratch } from './region.ts';
import { uniqueName } from './things.ts';
import { waitFor } from './wait.ts';

const FAR = 'far-north-1';
const NEAR = 'near-south-1';
const KEYS = { accessKeyId: 'AKIAFARFARFARFARFARF', secretAccessKey: 'far-secret' };
const NEAR_KEYS = { accessKeyId: 'AKIANEARNEARNEARNEAR', secretAccessKey: 'near-secret' };
const IN_FLIGHT = 16;
const PACK_BLOCKS = 32; // of blocks that do not compress

// Bytes that do not compress, the same for the same seed.
function noise(blocks: number, seed: string): Buffer {
  const bytes = Buffer.alloc(blocks * BLOCK);
  for (let block = 0; block < blocks; block++) {
    const key = createHash('shake256', { outputLength: BLOCK }).update(`${seed} ${block}`).digest();
    key.copy(bytes, block * BLOCK);
  }
  return bytes;
}

const remote = (name: string, port: number, secret = KEYS.secretAccessKey): string => [
  '[[remote_region]]', `name = "${name}"`, `endpoint = "http://127.0.0.1:${port}/"`, '[[remote_region.key]]',
  'account = "123456789012"', `access_key = "${KEYS.accessKeyId}"`, `secret_key = "${secret}"`, '',
].join('\n');

describe('copies between daemons', () => {
  let far: Daemon;
  let near: Daemon;
  let way: Way;
  const content = noise(64, 'one'); // 32 MiB
  let image: Image;
  const snapshotOf = (of: Image): string => of.BlockDeviceMappings![0]!.Ebs!.SnapshotId!;

  async function importFar(bytes: Buffer): Promise<Image> {
    const name = uniqueName('far');
    const file = path.join(scratch, `${name}.raw`);
    fs.writeFileSync(file, bytes);
    await far.kiln(['import', file, '--name', name]);
    fs.rmSync(file);
    return (await far.ec2().send(new DescribeImagesCommand({ Filters: [{ Name: 'name', Values: [name] }] }))).Images![0]!;
  }
  const snapshot = async (id: string): Promise<Snapshot> =>
    (await near.ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!;
  async function settled(id: string, seconds = 60): Promise<Snapshot> {
    let last: Snapshot | undefined;
    return waitFor(`${id} being settled`, seconds, async () => {
      last = await snapshot(id);
      return last.State !== 'pending' && last;
    }, () => last?.Progress);
  }
  const copy = async (id: string, from = FAR): Promise<string> =>
    (await near.ec2().send(new CopySnapshotCommand({ SourceRegion: from, SourceSnapshotId: id }))).SnapshotId!;
  const fetched = (): number => far.answered('ebs:GetSnapshotBlock');
  async function assertSame(id: string, bytes: Buffer): Promise<void> {
    assert.ok((await download(() => near.ebs(), id, bytes.length)).equals(bytes), `${id} has other bytes than its source`);
  }

  before(async () => {
    far = new Daemon(FAR, KEYS);
    await far.start();
    way = await Way.to(() => far.port);
    near = new Daemon(NEAR, NEAR_KEYS, [
      'copy_attempts = 3', remote(FAR, way.port), remote('bad-key-1', far.port, 'not the secret'), remote('nobody-1', 1),
    ].join('\n'));
    // The account of the test's keys is the first; another one has no key there.
    await near.start();
    image = await importFar(content);
  });
  after(async () => {
    way.close();
    await near.stop();
    await far.stop();
  });

  test('remote regions are described', async () => {
    const { Regions } = await near.ec2().send(new DescribeRegionsCommand({}));
    assert.deepEqual(Regions!.map((region) => region.RegionName).sort(), ['bad-key-1', FAR, NEAR, 'nobody-1'].sort());
    assert.equal(Regions!.find((region) => region.RegionName === FAR)!.Endpoint, `127.0.0.1:${way.port}`);
  });

  test('a snapshot comes over the wire byte for byte, and a second time moves nothing', async () => {
    const id = await copy(snapshotOf(image));
    const done = await settled(id);
    assert.equal(done.State, 'completed', done.StateMessage);
    assert.equal(done.FullSnapshotSizeInBytes, content.length);
    assert.equal(fetched(), 64);
    await assertSame(id, content);
    const passed = way.passed;
    assert.equal((await settled(await copy(snapshotOf(image)))).State, 'completed');
    assert.equal(fetched(), 64);
    assert.ok(way.passed - passed < 64 * 1024, `${way.passed - passed} bytes for a list of 64 blocks`);
  });

  test('of a changed disk only the changed blocks move', async () => {
    const changed = Buffer.from(content);
    noise(5, 'change').copy(changed, 20 * BLOCK);
    const next = await importFar(changed);
    const before = fetched();
    const id = await copy(snapshotOf(next));
    assert.equal((await settled(id)).State, 'completed');
    assert.equal(fetched() - before, 5);
    await assertSame(id, changed);
  });

  test('an image is copied with what it is', async () => {
    const made = await near.ec2().send(new CopyImageCommand({ Name: 'from afar', SourceRegion: FAR, SourceImageId: image.ImageId! }));
    const copied = await waitFor('the image being available', 60, async () => {
      const found = (await near.ec2().send(new DescribeImagesCommand({ ImageIds: [made.ImageId!] }))).Images![0]!;
      assert.notEqual(found.State, 'failed', found.StateReason?.Message);
      return found.State === 'available' && found;
    });
    assert.deepEqual(
      [copied.Architecture, copied.RootDeviceName, copied.BootMode, copied.EnaSupport, copied.SourceImageId, copied.SourceImageRegion],
      [image.Architecture, image.RootDeviceName, image.BootMode, image.EnaSupport, image.ImageId, FAR]);
    await assertSame(snapshotOf(copied), content);
  });

  test('a source that is killed in the middle costs what was in flight', async () => {
    const bytes = noise(128, 'killed source');
    const source = snapshotOf(await importFar(bytes));
    const before = fetched();
    const passed = way.passed;
    const cut = new Promise<void>((resolve) => {
      way.onPassed = (now) => {
        if (now - passed < 40 * BLOCK) return;
        way.onPassed = undefined;
        far.kill();
        resolve();
      };
    });
    const id = await copy(source);
    await cut;
    await far.stop('SIGKILL');
    assert.equal((await snapshot(id)).State, 'pending');
    await far.start();
    const done = await settled(id);
    assert.equal(done.State, 'completed', done.StateMessage);
    const asked = fetched() - before;
    assert.ok(asked <= 128 + IN_FLIGHT, `${asked} blocks were fetched of 128`);
    await assertSame(id, bytes);
  });

  test('a source that stays away makes an error that says so', async () => {
    const source = snapshotOf(await importFar(noise(128, 'away')));
    const passed = way.passed;
    const cut = new Promise<void>((resolve) => {
      way.onPassed = (now) => {
        if (now - passed < 10 * BLOCK) return;
        way.onPassed = undefined;
        way.cut();
        resolve();
      };
    });
    const id = await copy(source);
    await cut;
    const failed = await settled(id);
    assert.equal(failed.State, 'error');
    assert.match(failed.StateMessage!, /The source failed 3 times in a row: region far-north-1: http:\/\/127\.0\.0\.1/);
    const refused = await refusal(copy(source));
    assert.deepEqual([refused.code, refused.status], ['Unavailable', 503]);
    way.mend();
    assert.equal((await settled(await copy(source))).State, 'completed');
  });

  test('what the source refuses, or its configuration, is refused', async () => {
    assert.equal((await refusal(copy('snap-00000000000000000'))).code, 'InvalidSnapshot.NotFound');
    assert.equal((await refusal(copy('vol-1'))).code, 'InvalidParameterValue');
    assert.equal((await refusal(copy(snapshotOf(image), 'mars-north-1'))).code, 'InvalidRegion');
    const wrongKey = await refusal(copy(snapshotOf(image), 'bad-key-1'));
    assert.equal(wrongKey.code, 'AuthFailure');
    assert.match(wrongKey.message, /^Region bad-key-1 does not accept the key/);
    assert.equal((await refusal(copy(snapshotOf(image), 'nobody-1'))).code, 'Unavailable');
    const copyImage = (SourceImageId: string) =>
      near.ec2().send(new CopyImageCommand({ Name: uniqueName('refused'), SourceRegion: FAR, SourceImageId }));
    assert.equal((await refusal(copyImage('ami-00000000000000000'))).code, 'InvalidAMIID.NotFound');
    assert.equal((await refusal(copyImage('i-1'))).code, 'InvalidAMIID.Malformed');
  });

  test('killed at 20 random points, a copy goes on and ends verified', async () => {
    const seed = Number(process.env.KILN_SEED ?? Date.now() % 1_000_000);
    process.stderr.write(`KILN_SEED=${seed}\n`);
    let state = seed;
    const random = (below: number): number => {
      state = createHash('sha256').update(String(state)).digest().readUInt32LE(0);
      return state % below;
    };
    const blocks = 512;
    const bytes = noise(blocks, `kills ${seed}`);
    const source = snapshotOf(await importFar(bytes));
    const before = fetched();
    // After so many bytes, which do not end where a block does; at once when it is none.
    const killAfter = (more: number): void => {
      const limit = way.passed + more;
      way.onPassed = (passed) => {
        if (passed < limit) return;
        way.onPassed = undefined;
        near.kill();
      };
    };
    killAfter(random(60 * BLOCK));
    const id = await copy(source);
    const kills = 20;
    for (let i = 1; i <= kills; i++) {
      await near.killed();
      if (i < kills) killAfter(random(60 * BLOCK));
      near.begin(); // it may be killed before it is ready
    }
    await near.ready();
    const done = await settled(id, 120);
    assert.equal(done.State, 'completed', done.StateMessage);
    const asked = fetched() - before;
    process.stderr.write(`${kills} kills: ${asked} blocks were fetched of ${blocks}\n`);
    // A kill loses the pack that is being filled, the one that is being written, and what is on its way.
    assert.ok(asked <= blocks + kills * (2 * PACK_BLOCKS + 2 * IN_FLIGHT), `${asked} blocks were fetched`);
    await assertSame(id, bytes);
    await near.kiln(['verify']);
    await near.kiln(['gc', '--grace', '0']);
    await near.kiln(['verify']);
    await assertSame(id, bytes);
  });
});
