// What many tests need: a base image, instances, and waits for the states of things.
import {
  CreateKeyPairCommand, DescribeImagesCommand, DescribeInstancesCommand, DescribeSnapshotsCommand,
  DescribeVolumesCommand, type EC2Client, type Image, type Instance, RunInstancesCommand, type RunInstancesCommandInput,
  type Snapshot, TerminateInstancesCommand, type Volume,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

import { output } from './processes.ts';
import { ec2, FAKE, kilnOutput, REGION, ROOT, scratch } from './region.ts';
import { waitFor } from './wait.ts';

export const MIB = 1024 * 1024;
let names = 0;
export const uniqueName = (noun: string): string => `${noun}-${process.pid}-${++names}`;

// Makes a value once, however many tests ask for it, and at the same time too.
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

// --- images

export const baseDisk = once(async (): Promise<string> => {
  const file = path.join(scratch, 'base.raw');
  if (FAKE) {
    // No guest reads it: a few blocks of data in a sparse disk.
    const disk = fs.openSync(file, 'w');
    fs.ftruncateSync(disk, 64 * MIB);
    fs.writeSync(disk, randomBytes(2 * MIB), 0, 2 * MIB, 0);
    fs.writeSync(disk, randomBytes(MIB), 0, MIB, 40 * MIB);
    fs.closeSync(disk);
  } else {
    await output([path.join(ROOT, 'guests/tiny/build'), file], { seconds: 300 });
  }
  return file;
});

// A disk with Debian 12. It takes more than a minute to build, so it is kept in build/ for as long as what builds it
// stays the same; to get newer packages, remove build/guests.
export const debianDisk = once(async (): Promise<string> => {
  const builder = path.join(ROOT, 'guests/debian/build');
  const digest = createHash('sha256');
  for (const source of [builder, path.join(ROOT, 'guests/lib/disk.sh')]) digest.update(fs.readFileSync(source));
  const directory = path.join(ROOT, 'build/guests');
  const file = path.join(directory, `debian-${digest.digest('hex').slice(0, 12)}.raw`);
  if (fs.existsSync(file)) return file;
  fs.mkdirSync(directory, { recursive: true });
  for (const old of fs.readdirSync(directory)) if (old.startsWith('debian-')) fs.rmSync(path.join(directory, old));
  await output([builder, file], { seconds: 900 });
  // The checkout's owner can remove it, whoever ran the tests.
  const { uid, gid } = fs.statSync(ROOT);
  for (const made of [directory, file]) fs.chownSync(made, uid, gid);
  return file;
});

// An image of the tiny Linux (or of a few random blocks where there are no guests), imported once a run.
export const baseImage = once(async (): Promise<Image & { ImageId: string }> => {
  const name = uniqueName('base');
  await kilnOutput(['import', await baseDisk(), '--name', name, '--region', REGION]);
  return imageNamed(name);
});

export async function imageNamed(name: string, client: EC2Client = ec2()): Promise<Image & { ImageId: string }> {
  const found = await client.send(new DescribeImagesCommand({ Owners: ['self'], Filters: [{ Name: 'name', Values: [name] }] }));
  assert.equal(found.Images?.length, 1, `images named ${name}`);
  return found.Images![0] as Image & { ImageId: string };
}

export async function image(id: string, client: EC2Client = ec2()): Promise<Image> {
  const found = await client.send(new DescribeImagesCommand({ ImageIds: [id] }));
  return found.Images![0]!;
}

export function snapshotOf(described: Image): string {
  const id = described.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId;
  assert.ok(id, `${described.ImageId} has no root snapshot`);
  return id;
}

export async function waitForImage(id: string, state = 'available', seconds = 60): Promise<Image> {
  let last: string | undefined;
  return waitFor(`${id} being ${state}`, seconds, async () => {
    const described = await image(id);
    last = described?.State;
    if (last === 'failed' && state !== 'failed') throw new Error(`${id} failed: ${described.StateReason?.Message}`);
    return last === state && described;
  }, () => last);
}

// --- snapshots and volumes

export async function waitForSnapshot(id: string, state = 'completed', seconds = 60): Promise<Snapshot> {
  let last: string | undefined;
  return waitFor(`${id} being ${state}`, seconds, async () => {
    const found = await ec2().send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
    last = found.Snapshots![0]!.State;
    return last === state && found.Snapshots![0];
  }, () => last);
}

export async function waitForVolume(id: string, state = 'available', seconds = 60): Promise<Volume> {
  let last: string | undefined;
  return waitFor(`${id} being ${state}`, seconds, async () => {
    const found = await ec2().send(new DescribeVolumesCommand({ VolumeIds: [id] }));
    last = found.Volumes![0]!.State;
    return last === state && found.Volumes![0];
  }, () => last);
}

// --- keys and instances

export interface KeyPair {
  name: string;
  file: string; // the private key
}

export const userKey = once(async (): Promise<KeyPair> => {
  const name = uniqueName('key');
  const made = await ec2().send(new CreateKeyPairCommand({ KeyName: name, KeyType: 'ed25519' }));
  const file = path.join(scratch, `${name}.pem`);
  fs.writeFileSync(file, made.KeyMaterial!, { mode: 0o600 });
  return { name, file };
});

export type LaunchOptions = Partial<RunInstancesCommandInput>;
const launched = new Set<string>();

// Asks for instances of the base image, of the smallest type, unless `options` say otherwise.
export async function launch(options: LaunchOptions = {}, client: EC2Client = ec2()): Promise<(Instance & { InstanceId: string })[]> {
  const answer = await client.send(new RunInstancesCommand({
    ImageId: options.ImageId ?? (await baseImage()).ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ...options,
  }));
  for (const made of answer.Instances!) launched.add(made.InstanceId!);
  return answer.Instances as (Instance & { InstanceId: string })[];
}

export async function instances(ids: string[], client: EC2Client = ec2()): Promise<Instance[]> {
  const found = await client.send(new DescribeInstancesCommand({ InstanceIds: ids }));
  return found.Reservations!.flatMap((reservation) => reservation.Instances!);
}

export async function waitForInstance(id: string, state = 'running', seconds = 60): Promise<Instance> {
  let last: string | undefined;
  return waitFor(`${id} being ${state}`, seconds, async () => {
    const described = (await instances([id]))[0]!;
    last = described.State?.Name;
    if (last === 'terminated' && state !== 'terminated') {
      throw new Error(`${id} is terminated: ${described.StateReason?.Message}`);
    }
    return last === state && described;
  }, () => last);
}

export async function terminate(ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await ec2().send(new TerminateInstancesCommand({ InstanceIds: ids }));
  for (const id of ids) {
    await waitForInstance(id, 'terminated');
    launched.delete(id);
  }
}

// Terminates what the tests of this file launched and did not terminate themselves.
export async function terminateLaunched(except: string[] = []): Promise<void> {
  await terminate([...launched].filter((id) => !except.includes(id)));
}
