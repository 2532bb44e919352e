// Crashes: of the daemon, of a disk server, at any moment. The last tests of a run, because they kill what others need.
import {
  CreateImageCommand, DescribeImagesCommand, DescribeInstancesCommand, DescribeSnapshotsCommand, type Instance,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { ssh, sshOutput, waitForSsh } from './guest.ts';
import { isAlive, processesWith, run } from './processes.ts';
import { data, ec2, inHost, noGuests, restartDaemon, startDaemon, stopDaemon } from './region.ts';
import { baseImage, image, launch, terminate, terminateLaunched, uniqueName, userKey, waitForImage, waitForInstance } from './things.ts';
import { waitFor } from './wait.ts';

const everything = async () => {
  const [images, snapshots, reservations] = await Promise.all([
    ec2().send(new DescribeImagesCommand({ Owners: ['self'] })), ec2().send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] })),
    ec2().send(new DescribeInstancesCommand({})),
  ]);
  return {
    images: images.Images!.map((one) => `${one.ImageId} ${one.State}`).sort(),
    snapshots: snapshots.Snapshots!.map((one) => `${one.SnapshotId} ${one.State}`).sort(),
    instances: reservations.Reservations!.flatMap((r) => r.Instances!).map((one) => `${one.InstanceId} ${one.State?.Name} ${one.PrivateIpAddress}`).sort(),
  };
};

// What other tests ended is still ending, perhaps: a state can only be compared once it stands still.
const settled = () => waitFor('instances and images settling', 120, async () => {
  const now = await everything();
  return ![...now.images, ...now.instances].some((one) => / (pending|stopping|shutting-down)/.test(one)) && now;
});

const diskServer = (instance: Instance): number => {
  const found = processesWith(`run/${instance.InstanceId}`).filter(({ command }) => /nbdkit$/.test(command[0] ?? ''));
  assert.equal(found.length, 1, `nbdkit processes of ${instance.InstanceId}`);
  return found[0]!.pid;
};

describe('recovery', () => {
  after(() => terminateLaunched());

  test('the daemon, killed and started again, answers with the same state', async () => {
    await baseImage();
    const before = await settled();
    await restartDaemon('SIGKILL');
    assert.deepEqual(await everything(), before);
    await restartDaemon('SIGTERM');
    assert.deepEqual(await everything(), before);
  });

  test('a second daemon on the same data is refused', async () => {
    const second = await run([`${process.env.KILN_BUILD ?? `${import.meta.dirname}/../../build/release`}/bin/kilnd`, '--data', data, '--port', '0', '--hypervisor', 'fake'], { seconds: 30 });
    assert.notEqual(second.status, 0);
    assert.match(second.stderr + second.stdout, /LOCK|already|in use|another/i);
  });

  test('a launch that the kill of the daemon interrupts ends running or terminated', async () => {
    const [made] = await launch();
    await restartDaemon('SIGKILL');
    const settled = await waitFor(`${made!.InstanceId} settling`, 90, async () => {
      const found = await ec2().send(new DescribeInstancesCommand({ InstanceIds: [made!.InstanceId] }));
      const state = found.Reservations![0]!.Instances![0]!.State!.Name!;
      return /^(running|terminated)$/.test(state) && state;
    });
    if (settled === 'running') await terminate([made!.InstanceId]);
  });

  test('an image that the kill of the daemon interrupts becomes available or failed', async () => {
    const [made] = await launch();
    await waitForInstance(made!.InstanceId);
    const answer = await ec2().send(new CreateImageCommand({ InstanceId: made!.InstanceId, Name: uniqueName('cut'), NoReboot: true }));
    await restartDaemon('SIGKILL');
    await waitFor(`${answer.ImageId} settling`, 90, async () => {
      const state = (await image(answer.ImageId!))?.State;
      return state === 'available' || state === 'failed';
    });
    await terminate([made!.InstanceId]);
  });

  describe('with a guest', { skip: noGuests }, () => {
    let guest: Instance;
    const bootId = () => sshOutput(guest, 'cat /proc/sys/kernel/random/boot_id');

    test('a guest does not notice that the daemon is killed, is away and comes back', async () => {
      // One of its disks is encrypted: its keys are in the disk server's memory alone.
      const [made] = await launch({
        KeyName: (await userKey()).name,
        BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 1, Encrypted: true, DeleteOnTermination: true } }],
      });
      guest = await waitForInstance(made!.InstanceId);
      await waitForSsh(guest);
      const boot = await bootId();
      const server = diskServer(guest);
      await stopDaemon('SIGKILL');
      await sshOutput(guest, 'echo without-daemon > /root/note && sync && cat /root/note');
      assert.ok(isAlive(server), 'the disk server ended with the daemon');
      await startDaemon();
      assert.equal((await waitForInstance(guest.InstanceId!)).PrivateIpAddress, guest.PrivateIpAddress);
      assert.equal(await bootId(), boot);
      assert.equal(diskServer(guest), server);
      assert.equal(await sshOutput(guest, 'imds meta-data/instance-id'), guest.InstanceId);
    });

    test('a guest that powered off while the daemon was away is stopped when it is back', async () => {
      const [made] = await launch({ KeyName: (await userKey()).name });
      const second = await waitForInstance(made!.InstanceId);
      await waitForSsh(second);
      await stopDaemon('SIGKILL');
      await ssh(second, 'poweroff');
      await waitFor('the domain ending', 60, async () => {
        const ran = await run(inHost(['virsh', '-q', '-c', 'qemu:///system', 'list', '--name']));
        return !ran.stdout.includes(second.InstanceId!);
      });
      await startDaemon();
      await waitForInstance(second.InstanceId!, 'stopped');
      await terminate([second.InstanceId!]);
    });

    test('a disk server killed under write load is restarted: the guest stalls, sees no error and loses nothing', async () => {
      const boot = await bootId();
      // Each line is on the disk before its number is printed, so what was printed has to be there afterwards.
      const encrypted = "printf '%08d' $i | dd of=/dev/vdb bs=8 seek=$i conv=notrunc,fsync 2>/dev/null";
      const writing = ssh(guest, `i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i >> /root/lines && sync && ${encrypted} || exit 1; echo $i; done`, '', 120);
      await waitFor('some lines', 60, async () => Number((await ssh(guest, 'wc -l < /root/lines')).stdout) > 20);
      const server = diskServer(guest);
      process.kill(server, 'SIGKILL');
      const ran = await writing;
      assert.equal(ran.status, 0, ran.stderr);
      assert.equal(await sshOutput(guest, 'wc -l < /root/lines'), '400');
      await sshOutput(guest, 'echo 3 > /proc/sys/vm/drop_caches');
      const numbers = await sshOutput(guest, 'dd if=/dev/vdb bs=8 skip=1 count=400 2>/dev/null');
      assert.equal(numbers, Array.from({ length: 400 }, (_, i) => String(i + 1).padStart(8, '0')).join(''));
      assert.equal(await bootId(), boot);
      assert.equal(await sshOutput(guest, 'dmesg | grep -ciE "I/O error|remount.*read-only" || true'), '0');
      assert.notEqual(diskServer(guest), server);
    });

    test('after termination no process, domain or socket of an instance is left', async () => {
      await terminate([guest.InstanceId!]);
      await waitFor('its processes ending', 30, () => processesWith(guest.InstanceId!).length === 0);
      const domains = await run(inHost(['virsh', '-q', '-c', 'qemu:///system', 'list', '--all', '--name']));
      assert.ok(!domains.stdout.includes(guest.InstanceId!), domains.stdout);
    });

    test('an image made of a guest after all this launches', async () => {
      const [made] = await launch({ KeyName: (await userKey()).name });
      const again = await waitForInstance(made!.InstanceId);
      await waitForSsh(again);
      const answer = await ec2().send(new CreateImageCommand({ InstanceId: again.InstanceId!, Name: uniqueName('after'), NoReboot: true }));
      await waitForImage(answer.ImageId!);
      await terminate([again.InstanceId!]);
    });
  });
});
