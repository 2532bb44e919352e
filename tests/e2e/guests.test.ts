// Real guests: what a user does in the first quarter of an hour, seen from inside the machines.
import {
  CreateImageCommand, CreateSnapshotsCommand, type Instance, RebootInstancesCommand, StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { allBlocks, getBlock } from './block_client.ts';
import { consoleOutput, ssh, sshOutput, waitForSsh } from './guest.ts';
import { output } from './processes.ts';
import { daemonLog, ebs, ec2, kilnOutput, noGuests, scratch } from './region.ts';
import { baseDisk, imageNamed, launch, terminate, terminateLaunched, uniqueName, userKey, waitForImage, waitForInstance, waitForSnapshot } from './things.ts';
import { waitFor } from './wait.ts';

describe('guests', { skip: noGuests }, () => {
  let first: Instance;
  let secret = '';

  before(async () => {
    const [made] = await launch({
      KeyName: (await userKey()).name, UserData: Buffer.from('#!/bin/sh\necho USERDATA-RAN\n').toString('base64'),
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'first' }] }],
    });
    first = await waitForInstance(made!.InstanceId);
    await waitForSsh(first);
  });
  after(() => terminateLaunched());

  test('the guest learns its id, key and user data from the metadata service', async () => {
    assert.equal(await sshOutput(first, 'imds meta-data/instance-id'), first.InstanceId);
    assert.equal(await sshOutput(first, 'imds meta-data/local-ipv4'), first.PrivateIpAddress);
    assert.match(await sshOutput(first, 'imds user-data'), /USERDATA-RAN/);
    assert.match(await sshOutput(first, 'imds meta-data/public-keys/0/openssh-key'), /^ssh-ed25519 /);
  });

  test('the console shows the boot and the output of user data', async () => {
    await waitFor('the console showing the boot', 60, async () => {
      const text = await consoleOutput(first.InstanceId!);
      return text.includes(`KILN instance-id ${first.InstanceId}`) && text.includes('USERDATA-RAN');
    });
  });

  test('what an image\'s first launches read is noted, and brought near at the next one', async () => {
    const learned = new RegExp(`${first.ImageId}: i-[0-9a-f]+ read \\d+ chunks until it had booted`);
    // The guest has read nothing new for 15 s then, or 120 s have passed.
    await waitFor('the boot of an instance being noted', 200, () => learned.test(daemonLog()));
    const [next] = await launch({ KeyName: (await userKey()).name });
    await waitForSsh(await waitForInstance(next!.InstanceId));
    assert.doesNotMatch(daemonLog(), /no boot trace is replayed/);
    await terminate([next!.InstanceId!]);
  });

  test('an image of a running guest has what was written, and two instances of it have it as well', async () => {
    secret = `written ${uniqueName('at')}`;
    await sshOutput(first, `echo '${secret}' > /root/note && sync`);
    const boot = await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id');
    const made = await ec2().send(new CreateImageCommand({ InstanceId: first.InstanceId!, Name: uniqueName('image'), NoReboot: true }));
    await waitForImage(made.ImageId!);
    assert.equal(await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id'), boot, 'the guest was rebooted');
    const copies = await launch({ ImageId: made.ImageId!, MinCount: 2, MaxCount: 2, KeyName: (await userKey()).name });
    assert.deepEqual(copies.map((copy) => copy.AmiLaunchIndex), [0, 1]);
    const running = await Promise.all(copies.map((copy) => waitForInstance(copy.InstanceId)));
    await Promise.all(running.map((copy) => waitForSsh(copy)));
    for (const copy of running) {
      assert.equal(await sshOutput(copy, 'cat /root/note'), secret);
      assert.equal(await sshOutput(copy, 'imds meta-data/instance-id'), copy.InstanceId);
    }
    await terminate(running.map((copy) => copy.InstanceId!));
  });

  test('snapshots of a running guest\'s disks are of one moment', async () => {
    const disks = ['/dev/sdf', '/dev/sdg'];
    const [made] = await launch({
      KeyName: (await userKey()).name,
      BlockDeviceMappings: disks.map((DeviceName) => ({ DeviceName, Ebs: { VolumeSize: 1, DeleteOnTermination: true } })),
    });
    const writer = await waitForInstance(made!.InstanceId);
    await waitForSsh(writer);
    // Each number is on the first disk, synced, before it is written to the second one.
    const write = (disk: string) => `printf '%08d' $n | dd of=${disk} bs=8 conv=notrunc,fsync 2>/dev/null`;
    await sshOutput(writer, `touch /run/going; (n=0; while [ -e /run/going ]; do n=$((n + 1)); ${write('/dev/vdb')}; ${write('/dev/vdc')}; done) >/dev/null 2>&1 </dev/null &`);
    const number = async (id: string): Promise<number> => {
      await waitForSnapshot(id);
      const blocks = await allBlocks(ebs(), id);
      const token = blocks.find((block) => block.BlockIndex === 0)?.BlockToken;
      return token ? Number((await getBlock(ebs(), id, 0, token)).toString('latin1', 0, 8).replaceAll('\0', '')) : 0;
    };
    const onSecond = async () => Number(await sshOutput(writer, 'dd if=/dev/vdc bs=8 count=1 2>/dev/null | tr -d "\\0"'));
    const written = (than: number) => waitFor('the guest writing on', 30, async () => await onSecond() > than);
    await written(0);
    let last = 0;
    for (let round = 0; round < 3; ++round) {
      const set = await ec2().send(new CreateSnapshotsCommand({
        InstanceSpecification: { InstanceId: writer.InstanceId!, ExcludeBootVolume: true }, Description: `round ${round}`,
      }));
      const [first, second] = await Promise.all(set.Snapshots!.map((each) => number(each.SnapshotId!)));
      assert.ok(second === first || second === first! - 1, `the first disk says ${first}, the second ${second}`);
      assert.ok(first! > last, `round ${round}: ${first} after ${last}`);
      await written(first!);
      last = first!;
    }
    await sshOutput(writer, 'rm /run/going');
    await terminate([writer.InstanceId!]);
  });

  test('an image made with a reboot has what was written, synced or not, and the guest comes back', async () => {
    const boot = await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id');
    await sshOutput(first, 'echo unsynced > /root/unsynced');
    const made = await ec2().send(new CreateImageCommand({ InstanceId: first.InstanceId!, Name: uniqueName('image') }));
    await waitForImage(made.ImageId!, 'available', 120);
    await waitForInstance(first.InstanceId!);
    await waitForSsh(first);
    assert.notEqual(await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id'), boot, 'the guest was not rebooted');
    assert.equal(await sshOutput(first, 'cat /root/unsynced'), 'unsynced');
  });

  test('reboot, stop and start keep what the guest wrote', async () => {
    const ids = { InstanceIds: [first.InstanceId!] };
    const boot = await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id');
    await ec2().send(new RebootInstancesCommand(ids));
    await waitFor('another boot', 120, async () => {
      const ran = await ssh(first, 'cat /proc/sys/kernel/random/boot_id');
      return ran.status === 0 && ran.stdout.trim() !== boot;
    });
    await sshOutput(first, 'echo stopped > /root/stopped');
    await ec2().send(new StopInstancesCommand(ids));
    await waitForInstance(first.InstanceId!, 'stopped', 120);
    await ec2().send(new StartInstancesCommand(ids));
    first = await waitForInstance(first.InstanceId!);
    await waitForSsh(first);
    assert.equal(await sshOutput(first, 'cat /root/note /root/stopped'), `${secret}\nstopped`);
  });

  test('a guest that shuts itself down is stopped', async () => {
    await ssh(first, 'poweroff');
    await waitForInstance(first.InstanceId!, 'stopped', 120);
  });

  test('an image of 100 GiB is running as soon as a small one: nothing is copied', async () => {
    const file = path.join(scratch, 'large.raw');
    await output(['cp', '--sparse=always', await baseDisk(), file]);
    fs.truncateSync(file, 100 * 1024 ** 3);
    const name = uniqueName('large');
    await kilnOutput(['import', file, '--name', name]);
    const large = await imageNamed(name);
    const seconds = async (ImageId?: string) => {
      const began = process.hrtime.bigint();
      const [made] = await launch(ImageId ? { ImageId } : {});
      await waitForInstance(made!.InstanceId);
      const took = Number(process.hrtime.bigint() - began) / 1e9;
      // A guest in the middle of its boot does not hear the power button, and the next measurement must not wait for it.
      await ec2().send(new StopInstancesCommand({ InstanceIds: [made!.InstanceId], Force: true }));
      await waitForInstance(made!.InstanceId, 'stopped');
      return took;
    };
    await seconds(); // the first launch after an idle time also warms caches of the host
    const measured: [number, number][] = [];
    for (let round = 0; round < 3; ++round) measured.push([await seconds(), await seconds(large.ImageId)]);
    const best = (column: 0 | 1) => Math.min(...measured.map((pair) => pair[column]));
    const rounded = measured.map((pair) => pair.map((took) => took.toFixed(2)).join(' and ')).join('; ');
    // Half a second covers the poll interval and a busy machine; a copy of 100 GiB would take minutes.
    assert.ok(best(1) <= best(0) * 1.2 + 0.5, `seconds to running, small and large: ${rounded}`);
  });
});
