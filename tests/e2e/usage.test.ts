// kiln usage, gc, verify and inspect: what the store holds, and that freed space comes back.
import { DeregisterImageCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';

import { data, ec2, kiln, kilnOutput, scratch } from './region.ts';
import { baseImage, imageNamed, MIB, uniqueName } from './things.ts';

function packBytes(): number {
  return fs
    .readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /pack/.test(path.join(entry.parentPath, entry.name)))
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
}

describe('usage', () => {
  test('space of a deregistered image comes back with garbage collection', async () => {
    await baseImage();
    const file = path.join(scratch, uniqueName('large'));
    fs.writeFileSync(file, randomBytes(24 * MIB));
    const name = uniqueName('large');
    await kilnOutput(['import', file, '--name', name]);
    const full = packBytes();
    await ec2().send(new DeregisterImageCommand({ ImageId: (await imageNamed(name)).ImageId, DeleteAssociatedSnapshots: true }));
    await kilnOutput(['gc', '--grace', '0']);
    const freed = full - packBytes();
    assert.ok(freed > 20 * MIB, `${freed} bytes were freed of ${full}`);
  });

  test('usage is told in words', async () => {
    assert.match(await kilnOutput(['usage']), /stored|packs|bytes|MiB/i);
  });

  test('verify reads back every block that is reachable', async () => {
    await baseImage();
    const ran = await kiln(['verify']);
    assert.equal(ran.status, 0, ran.stderr + ran.stdout);
  });

  test('inspect explains a file of ours, and refuses what is none', async () => {
    const files = fs.readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const pack = files.find((entry) => /pack/.test(entry.parentPath) && /^[0-9a-f-]+(\.pack)?$/.test(entry.name));
    assert.ok(pack, 'the store has no pack');
    assert.match(await kilnOutput(['inspect', path.join(pack.parentPath, pack.name)]), /records/);
    const text = path.join(scratch, 'no-format');
    fs.writeFileSync(text, 'just words\n');
    assert.notEqual((await kiln(['inspect', text])).status, 0);
  });
});
