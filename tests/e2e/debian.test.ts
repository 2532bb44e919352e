// A real Debian 12 with cloud-init: an image of it launches, configures itself from the metadata service, and an image
// made of that machine launches as somebody new. One guest at a time, because its boot is what takes the time.
import { CreateImageCommand, type Instance } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { consoleOutput, sshOutput, waitForSsh } from './guest.ts';
import { ec2, kilnOutput, noGuests } from './region.ts';
import {
  debianDisk, imageNamed, launch, type LaunchOptions, terminate, terminateLaunched, uniqueName, userKey, waitForImage, waitForInstance,
} from './things.ts';
import { waitFor } from './wait.ts';

const BOOT_SECONDS = 600; // half a minute to a minute and a half without hardware virtualisation, unless the machine is busy

const VOLUME_GIB = 4; // one more than the disk has

const USER_DATA = `#cloud-config
write_files:
- path: /root/from-user-data
  content: |
    written by cloud-init
runcmd:
- [sh, -c, 'echo ran >> /root/runs']
`;

// What cloud-init and OpenSSH made of this machine and of no other.
interface Identity {
  instanceId: string;
  hostname: string;
  hostKey: string;
}

async function identity(guest: Instance): Promise<Identity> {
  return {
    instanceId: await sshOutput(guest, 'cloud-init query instance_id'),
    hostname: await sshOutput(guest, 'hostname'),
    hostKey: await sshOutput(guest, 'cut -d" " -f2 /etc/ssh/ssh_host_ed25519_key.pub'),
  };
}

async function boot(ImageId: string, options: LaunchOptions = {}): Promise<Instance> {
  const [made] = await launch({ ImageId, InstanceType: 't3.small', KeyName: (await userKey()).name, ...options });
  const guest = await waitForInstance(made!.InstanceId);
  await waitForSsh(guest, BOOT_SECONDS);
  // ssh answers before cloud-init's last stage is done.
  await sshOutput(guest, 'cloud-init status --wait', BOOT_SECONDS);
  return guest;
}

describe('a Debian with cloud-init', { skip: noGuests }, () => {
  let first: Instance;
  let made: Identity;
  let changed = '';

  before(async () => {
    const name = uniqueName('debian');
    await kilnOutput(['import', await debianDisk(), '--name', name]);
    const image = await imageNamed(name);
    first = await boot(image.ImageId, {
      UserData: Buffer.from(USER_DATA).toString('base64'),
      BlockDeviceMappings: [{ DeviceName: image.RootDeviceName!, Ebs: { VolumeSize: VOLUME_GIB } }],
    });
    made = await identity(first);
  });
  after(() => terminateLaunched());

  test('cloud-init takes its identity, the key and the user data from the metadata service', async () => {
    assert.equal(await sshOutput(first, 'cloud-init query cloud_name'), 'aws');
    assert.equal(made.instanceId, first.InstanceId);
    assert.equal(`${made.hostname}.`, first.PrivateDnsName?.slice(0, made.hostname.length + 1), 'the first label of its name');
    assert.equal(await sshOutput(first, 'cat /root/from-user-data /root/runs'), 'written by cloud-init\nran');
    await waitFor('the console showing cloud-init', 60, async () => (await consoleOutput(first.InstanceId!)).includes('Cloud-init'));
  });

  test('its root file system has grown to the size of its volume', async () => {
    const bytes = Number(await sshOutput(first, 'df -B1 --output=size / | tail -n 1'));
    assert.ok(bytes > VOLUME_GIB * 0.95 * 1024 ** 3, `${bytes} bytes`);
  });

  test('an image of it is made while it runs', async () => {
    await sshOutput(first, 'echo kept > /root/note && sync');
    const boot_id = await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id');
    changed = (await ec2().send(new CreateImageCommand({ InstanceId: first.InstanceId!, Name: uniqueName('debian'), NoReboot: true }))).ImageId!;
    await waitForImage(changed, 'available', 120);
    assert.equal(await sshOutput(first, 'cat /proc/sys/kernel/random/boot_id'), boot_id, 'the guest was rebooted');
    await terminate([first.InstanceId!]);
  });

  test('a launch of that image is a new instance to cloud-init, with host keys of its own', async () => {
    const second = await boot(changed);
    const now = await identity(second);
    assert.equal(now.instanceId, second.InstanceId);
    assert.notEqual(now.instanceId, made.instanceId);
    assert.notEqual(now.hostname, made.hostname);
    assert.notEqual(now.hostKey, made.hostKey);
    assert.equal(await sshOutput(second, 'cat /root/note /root/from-user-data /root/runs'), 'kept\nwritten by cloud-init\nran',
      'what was written is there, and the first one\'s user data ran once');
  });
});
