// kiln import: files from users, good and bad.
import { DescribeImagesCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';

import { output } from './processes.ts';
import { ACCOUNT, ec2, kiln, kilnOutput, scratch, SECOND_REGION } from './region.ts';
import { baseDisk, baseImage, imageNamed, MIB, snapshotOf, uniqueName, waitForSnapshot } from './things.ts';

function randomDisk(bytes: number): string {
  const file = path.join(scratch, `${uniqueName('disk')}.raw`);
  fs.writeFileSync(file, randomBytes(bytes));
  return file;
}

const countThings = async () => {
  const images = await ec2().send(new DescribeImagesCommand({ Owners: ['self'] }));
  const snapshots = await ec2().send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  return `${images.Images!.length} images, ${snapshots.Snapshots!.length} snapshots`;
};

// Imports a file that has to be refused, and checks that nothing is left of it.
async function assertImportRefused(file: string, words: string[], reason: RegExp): Promise<void> {
  const before = await countThings();
  const ran = await kiln(['import', file, '--name', uniqueName('bad'), ...words]);
  assert.notEqual(ran.status, 0, 'the import was not refused');
  assert.match(ran.stderr + ran.stdout, reason);
  assert.equal(await countThings(), before);
}

describe('import', () => {
  test('a raw disk becomes a snapshot and an image', async () => {
    const image = await baseImage();
    assert.equal(image.State, 'available');
    assert.equal(image.OwnerId, ACCOUNT);
    assert.equal(image.Architecture, 'x86_64');
    assert.equal(image.VirtualizationType, 'hvm');
    assert.equal(image.RootDeviceType, 'ebs');
    assert.equal(image.Public, false);
    const snapshot = await waitForSnapshot(snapshotOf(image));
    assert.equal(snapshot.VolumeSize, Math.ceil(fs.statSync(await baseDisk()).size / (1024 * MIB)));
    assert.equal(snapshot.Progress, '100%');
  });

  test('the same disk again stores nothing new', async () => {
    await baseImage();
    const name = uniqueName('again');
    const ran = await kiln(['import', await baseDisk(), '--name', name]);
    assert.equal(ran.status, 0, ran.stderr);
    assert.match(ran.stderr + ran.stdout, /already (stored|there)/);
    assert.notEqual(snapshotOf(await imageNamed(name)), snapshotOf(await baseImage()));
  });

  test('a qcow2 file is imported as the disk that it describes', async () => {
    const raw = randomDisk(3 * MIB);
    const file = `${raw}.qcow2`;
    await output(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', raw, file]);
    const name = uniqueName('qcow2');
    await kilnOutput(['import', file, '--name', name, '--format', 'qcow2']);
    assert.equal((await imageNamed(name)).State, 'available');
  });

  test('an import goes to the region that is named', async () => {
    const name = uniqueName('elsewhere');
    await kilnOutput(['import', randomDisk(MIB), '--name', name, '--region', SECOND_REGION]);
    assert.ok(await imageNamed(name, ec2(ACCOUNT, { region: SECOND_REGION })));
    const here = await ec2().send(new DescribeImagesCommand({ Filters: [{ Name: 'name', Values: [name] }] }));
    assert.deepEqual(here.Images, []);
  });

  test('a qcow2 file with a backing file is refused, and the backing file is not read', async () => {
    const backing = randomDisk(MIB);
    const file = path.join(scratch, `${uniqueName('backed')}.qcow2`);
    await output(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', backing, '-F', 'raw', file]);
    await assertImportRefused(file, ['--format', 'qcow2'], /backing file/i);
  });

  test('a truncated qcow2 file is refused', async () => {
    const raw = randomDisk(3 * MIB);
    const file = `${raw}.qcow2`;
    await output(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, file]);
    fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2));
    await assertImportRefused(file, ['--format', 'qcow2'], /truncated|ends|beyond|outside|short|corrupt|could not|qemu-img/i);
  });

  test('a file that is no qcow2 is refused when it is said to be one', async () => {
    await assertImportRefused(randomDisk(MIB), ['--format', 'qcow2'], /qcow2/i);
  });

  test('an empty file, a directory and a missing file are refused', async () => {
    const empty = path.join(scratch, uniqueName('empty'));
    fs.writeFileSync(empty, '');
    await assertImportRefused(empty, [], /empty/i);
    await assertImportRefused(scratch, [], /directory|regular file/i);
    await assertImportRefused(path.join(scratch, 'not-there'), [], /no such file|not there/i);
  });

  test('a name that is taken is refused before anything is stored', async () => {
    const name = uniqueName('taken');
    const disk = randomDisk(MIB);
    await kilnOutput(['import', disk, '--name', name]);
    const before = await countThings();
    const ran = await kiln(['import', disk, '--name', name]);
    assert.notEqual(ran.status, 0);
    assert.match(ran.stderr, /InvalidAMIName\.Duplicate|already|in use/i);
    assert.equal(await countThings(), before);
  });
});
