// Disk images of other programs: in and out of every format, to the byte, and no hostile file gets in.
import { CreateSnapshotCommand, DescribeImagesCommand, RegisterImageCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, describe, test } from 'node:test';

import { sshOutput, waitForSsh } from './guest.ts';
import { output } from './processes.ts';
import { ec2, kiln, kilnOutput, noGuests, scratch } from './region.ts';
import {
  baseDisk, baseImage, image, launch, MIB, snapshotOf, terminate, terminateLaunched, uniqueName, userKey, waitForInstance,
  waitForSnapshot,
} from './things.ts';

// Data, a hole, data at the very end.
function sparseDisk(): string {
  const file = path.join(scratch, `${uniqueName('sparse')}.raw`);
  const disk = fs.openSync(file, 'w');
  fs.ftruncateSync(disk, 40 * MIB);
  fs.writeSync(disk, randomBytes(MIB), 0, MIB, 0);
  fs.writeSync(disk, randomBytes(70000), 0, 70000, 40 * MIB - 70000);
  fs.closeSync(disk);
  return file;
}

const digest = (file: string): string => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

// A file of another format, by qemu-img; options as its -o takes them.
async function converted(raw: string, driver: string, ending: string, options = ''): Promise<string> {
  const file = path.join(scratch, `${uniqueName('disk')}.${ending}`);
  await output(['qemu-img', 'convert', '-f', 'raw', '-O', driver, ...(options ? ['-o', options] : []), raw, file]);
  return file;
}

// A tar archive of a descriptor, a manifest and a disk, as `tar` writes it.
async function ova(disk: string, descriptor = ''): Promise<string> {
  const directory = path.join(scratch, uniqueName('ova'));
  fs.mkdirSync(directory);
  fs.copyFileSync(disk, path.join(directory, 'disk1.vmdk'));
  fs.writeFileSync(path.join(directory, 'vm.ovf'), descriptor || `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="disk1.vmdk"/></References>
  <DiskSection><Disk ovf:diskId="d1" ovf:fileRef="file1"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
</Envelope>`);
  const line = (name: string): string => `SHA256(${name})= ${digest(path.join(directory, name))}\n`;
  fs.writeFileSync(path.join(directory, 'vm.mf'), line('vm.ovf') + line('disk1.vmdk'));
  await output(['tar', '-C', directory, '-cf', `${directory}.ova`, 'vm.ovf', 'vm.mf', 'disk1.vmdk']);
  return `${directory}.ova`;
}

async function imported(file: string, words: string[] = []): Promise<string> {
  return (await kilnOutput(['import', file, '--name', uniqueName('format'), ...words])).trim();
}

async function exported(id: string, ending: string, words: string[] = []): Promise<string> {
  const file = path.join(scratch, `${uniqueName('export')}.${ending}`);
  await kilnOutput(['export', id, '--output', file, ...words]);
  return file;
}

async function assertRefused(file: string, reason: RegExp, words: string[] = []): Promise<void> {
  const name = uniqueName('hostile');
  const ran = await kiln(['import', file, '--name', name, ...words]);
  assert.notEqual(ran.status, 0, 'it was not refused');
  assert.match(ran.stderr, reason);
  const found = await ec2().send(new DescribeImagesCommand({ Filters: [{ Name: 'name', Values: [name] }] }));
  assert.deepEqual(found.Images, []);
}

describe('formats', () => {
  const formats: [string, string, string][] = [
    ['qcow2', 'qcow2', ''], ['qcow2', 'qcow2', 'compat=0.10'], ['vmdk', 'vmdk', ''], ['vmdk', 'vmdk', 'subformat=streamOptimized'],
    ['vpc', 'vhd', 'subformat=dynamic,force_size=on'], ['vpc', 'vhd', 'subformat=fixed,force_size=on'], ['vhdx', 'vhdx', ''],
  ];
  for (const [driver, ending, options] of formats) {
    test(`a disk in ${driver} (${options || 'as it is'}) is imported to the byte, its format known by its ending`, async () => {
      const raw = sparseDisk();
      const id = await imported(await converted(raw, driver, ending, options));
      assert.equal(digest(await exported(id, 'raw')), digest(raw));
    });
  }

  test('the disk in an OVA is imported to the byte', async () => {
    const raw = sparseDisk();
    const id = await imported(await ova(await converted(raw, 'vmdk', 'vmdk', 'subformat=streamOptimized')));
    assert.equal(digest(await exported(id, 'raw')), digest(raw));
  });

  for (const [ending, driver] of [['raw', 'raw'], ['qcow2', 'qcow2'], ['vmdk', 'vmdk'], ['vhd', 'vpc']] as const) {
    test(`an export to ${ending} is the disk to the byte, for qemu-img and for an import`, async () => {
      const raw = sparseDisk();
      const snapshot = snapshotOf(await image(await imported(raw)));
      const file = await exported(snapshot, ending);
      assert.ok(fs.statSync(file).blocks * 512 < 8 * MIB, 'it has no holes');
      const back = path.join(scratch, `${uniqueName('back')}.raw`);
      await output(['qemu-img', 'convert', '-f', driver, '-O', 'raw', file, back]);
      assert.equal(digest(back), digest(raw));
      assert.equal(digest(await exported(await imported(file), 'raw')), digest(raw));
    });
  }

  test('an export replaces nothing unless it is told to, and leaves nothing when it fails', async () => {
    const id = await imported(sparseDisk());
    const directory = path.join(scratch, uniqueName('exports'));
    fs.mkdirSync(directory);
    const file = path.join(directory, 'disk.qcow2');
    fs.writeFileSync(file, 'mine');
    const refused = await kiln(['export', id, '--output', file]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /there already/);
    const unknown = await kiln(['export', 'snap-0123456789abcdef0', '--output', file, '--force']);
    assert.notEqual(unknown.status, 0);
    assert.match(unknown.stderr, /InvalidSnapshot.NotFound/);
    assert.equal(fs.readFileSync(file, 'utf8'), 'mine');
    await kilnOutput(['export', id, '--output', file, '--force']);
    assert.equal(fs.readFileSync(file).subarray(0, 4).toString('latin1'), 'QFI\xfb');
    const strange = await kiln(['export', id, '--output', path.join(directory, 'disk.vhdx')]);
    assert.notEqual(strange.status, 0);
    assert.match(strange.stderr, /not written/);
    assert.deepEqual(fs.readdirSync(directory), ['disk.qcow2']);
  });

  test('what hides in files of other formats is refused with its reason', async () => {
    const raw = sparseDisk();
    const flat = path.join(scratch, `${uniqueName('flat')}.vmdk`);
    fs.writeFileSync(flat, '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/shadow" 0\n');
    await assertRefused(flat, /only a descriptor, whose data is in other files/);
    const vmdk = await converted(raw, 'vmdk', 'vmdk');
    const bytes = fs.readFileSync(vmdk);
    bytes.write('# parentFileNameHint="/etc/shadow"', 512 + bytes.subarray(512, 4096).indexOf('# Extent'));
    fs.writeFileSync(vmdk, bytes);
    await assertRefused(vmdk, /parent/);
    const qcow2 = await converted(raw, 'qcow2', 'qcow2');
    fs.truncateSync(qcow2, fs.statSync(qcow2).size - 1);
    await assertRefused(qcow2, /cut short/);
    const data = path.join(scratch, `${uniqueName('data')}.qcow2`);
    await output(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${raw}.data`, data, '1M']);
    await assertRefused(data, /another file/);
    const disguised = path.join(scratch, `${uniqueName('disguised')}.raw`);
    fs.copyFileSync(data, disguised);
    await assertRefused(disguised, /declared as raw and is a qcow2 image/);
    const child = path.join(scratch, `${uniqueName('child')}.vhdx`);
    fs.copyFileSync(await converted(raw, 'vpc', 'vhd'), child);
    await assertRefused(child, /declared as vhdx and is a vhd image/);
    const archive = await ova(await converted(raw, 'vmdk', 'vmdk'), '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/shadow">]><Envelope/>');
    await assertRefused(archive, /document type/);
  });
});

describe('formats with guests', { skip: noGuests }, () => {
  after(() => terminateLaunched());

  for (const [driver, ending, options] of [['vmdk', 'vmdk', 'subformat=streamOptimized'], ['vhdx', 'vhdx', '']] as const) {
    test(`a guest boots from a disk that came as ${ending}`, async () => {
      const id = await imported(await converted(await baseDisk(), driver, ending, options));
      const [made] = await launch({ ImageId: id, KeyName: (await userKey()).name });
      const guest = await waitForInstance(made!.InstanceId);
      await waitForSsh(guest);
      assert.equal(await sshOutput(guest, 'imds meta-data/instance-id'), guest.InstanceId);
      await terminate([guest.InstanceId!]);
    });
  }

  test('a guest that writes a qcow2 header onto its own disk has written bytes, and nothing else', async () => {
    const secret = path.join(scratch, uniqueName('secret'));
    fs.writeFileSync(secret, 'a file of the host'.repeat(4096));
    const evil = path.join(scratch, `${uniqueName('evil')}.qcow2`);
    await output(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', evil]);
    const header = fs.readFileSync(evil).subarray(0, 512);
    const [made] = await launch({ KeyName: (await userKey()).name });
    const guest = await waitForInstance(made!.InstanceId);
    await waitForSsh(guest);
    const disk = await sshOutput(guest, 'ls /sys/block | grep -E "^(vd|sd|nvme)" | head -n 1');
    await sshOutput(guest, `echo ${header.toString('base64')} | base64 -d | dd of=/dev/${disk} bs=512 conv=fsync`);
    const onDisk = await sshOutput(guest, `dd if=/dev/${disk} bs=512 count=1 2>/dev/null | sha256sum`);
    const volume = guest.BlockDeviceMappings![0]!.Ebs!.VolumeId!;
    const snapshot = await ec2().send(new CreateSnapshotCommand({ VolumeId: volume }));
    await waitForSnapshot(snapshot.SnapshotId!);
    const file = await exported(snapshot.SnapshotId!, 'img', ['--format', 'raw']);
    const content = fs.readFileSync(file);
    assert.equal(createHash('sha256').update(content.subarray(0, 512)).digest('hex'), onDisk.split(' ')[0]);
    assert.equal(onDisk.split(' ')[0], createHash('sha256').update(header).digest('hex'));
    assert.equal(content.indexOf('a file of the host'), -1, 'the host was read');
    // As qcow2, the export is a disk whose first bytes are that header, and not the disk that it describes.
    const back = path.join(scratch, `${uniqueName('back')}.raw`);
    await output(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', await exported(snapshot.SnapshotId!, 'qcow2'), back]);
    assert.equal(digest(back), createHash('sha256').update(content).digest('hex'));
    // A volume of that snapshot is those bytes again, in a guest too.
    const registered = await ec2().send(new RegisterImageCommand({
      Name: uniqueName('evil'), Architecture: 'x86_64', RootDeviceName: '/dev/sda1', VirtualizationType: 'hvm',
      BlockDeviceMappings: [
        { DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotOf(await baseImage()) } },
        { DeviceName: '/dev/sdf', Ebs: { SnapshotId: snapshot.SnapshotId! } },
      ],
    }));
    const [other] = await launch({ ImageId: registered.ImageId!, KeyName: (await userKey()).name });
    const second = await waitForInstance(other!.InstanceId);
    await waitForSsh(second);
    const seen = await sshOutput(
      second, 'for disk in $(ls /sys/block | grep -E "^(vd|sd|nvme)"); do dd if=/dev/$disk bs=512 count=1 2>/dev/null | sha256sum; done');
    assert.ok(seen.includes(onDisk.split(' ')[0]!), 'the second disk is not what was written');
    // And imported again as what it looks like, it is refused.
    await assertRefused(file, /qcow2/, ['--format', 'raw']);
  });
});
