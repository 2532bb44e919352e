// A host without space: the guest waits, and goes on when there is some, with nothing lost. Its volume is on a tmpfs of
// its own, so that a disk can be filled without harm.
import { StartInstancesCommand, StopInstancesCommand, type Instance } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, test } from 'node:test';

import { sshOutput, waitForSsh } from './guest.ts';
import { output, run } from './processes.ts';
import { daemonLog, data, ec2, inHost, noGuests, REGION } from './region.ts';
import { launch, terminate, terminateLaunched, userKey, waitForInstance } from './things.ts';
import { waitFor } from './wait.ts';

const WRITTEN_BYTES = 12 << 20;

// What the guest writes: "1\n2\n3\n" and so on.
const numbers = (): string => {
  let text = '';
  for (let i = 1; text.length < WRITTEN_BYTES; ++i) text += `${i}\n`;
  return text.slice(0, WRITTEN_BYTES);
};

describe('a host without space', { skip: noGuests }, () => {
  let guest: Instance;
  let directory: string;
  const host = (...command: string[]) => output(inHost(command));
  const setState = async (command: StopInstancesCommand | StartInstancesCommand, state: string) => {
    await ec2().send(command as StopInstancesCommand);
    guest = await waitForInstance(guest.InstanceId!, state);
  };

  after(() => terminateLaunched());

  test('pauses a guest that finds no space, says so, and lets it go on when there is some', async () => {
    const [made] = await launch({ KeyName: (await userKey()).name });
    guest = await waitForInstance(made!.InstanceId);
    const ids = { InstanceIds: [guest.InstanceId!] };
    await setState(new StopInstancesCommand({ ...ids, Force: true }), 'stopped');
    directory = `${data}/regions/${REGION}/volumes/${guest.BlockDeviceMappings![0]!.Ebs!.VolumeId}`;
    await host('cp', '-a', '--sparse=always', directory, `${directory}.aside`);
    await host('mount', '-t', 'tmpfs', '-o', 'size=64m', 'none', directory);
    await host('sh', '-c', `cp -a --sparse=always ${directory}.aside/. ${directory}/ && rm -r ${directory}.aside`);
    await setState(new StartInstancesCommand(ids), 'running');
    await waitForSsh(guest);
    const boot = await sshOutput(guest, 'cat /proc/sys/kernel/random/boot_id');
    await sshOutput(guest, 'sync');
    const used = Number((await host('df', '--output=used', '-k', directory)).split('\n')[1]);
    await host('mount', '-o', `remount,size=${used + 6 * 1024}k`, directory);

    const writing = sshOutput(
      guest, `seq 1 4000000 | head -c ${WRITTEN_BYTES} > /root/numbers && sync && echo 3 > /proc/sys/vm/drop_caches && sha256sum /root/numbers`, 240,
    );
    const domain = () => run(inHost(['virsh', '-q', '-c', 'qemu:///system', 'domstate', '--reason', guest.InstanceId!]));
    await waitFor('the guest being paused', 120, async () => /paused \(I\/O error\)/.test((await domain()).stdout));
    await waitFor('the log saying why', 30, () => daemonLog().includes(`${guest.InstanceId} is paused: no space left on the host for disk vda`));
    await host('mount', '-o', 'remount,size=128m', directory);
    const sum = await writing;
    assert.equal(sum.split(' ')[0], createHash('sha256').update(numbers()).digest('hex'));
    assert.equal(await sshOutput(guest, 'cat /proc/sys/kernel/random/boot_id'), boot);
    assert.equal(await sshOutput(guest, 'dmesg | grep -ciE "I/O error|remount.*read-only" || true'), '0');
    assert.match(daemonLog(), new RegExp(`${guest.InstanceId} goes on`));

    await setState(new StopInstancesCommand({ ...ids, Force: true }), 'stopped');
    await host('umount', directory);
    await terminate([guest.InstanceId!]);
  });
});
