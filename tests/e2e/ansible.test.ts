// Ansible's collection amazon.aws, as Debian has it: playbooks of ec2_ami, ec2_ami_info, ec2_snapshot, ec2_snapshot_info
// and ec2_key that change what they say the first time, and nothing the second time.
import { CreateVolumeCommand, DescribeKeyPairsCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { output, run } from './processes.ts';
import { ACCOUNT, awsEnvironment, ec2, endpoint, OTHER_ACCOUNT, REGION, scratch } from './region.ts';
import {
  baseImage, image, launch, snapshotOf, terminateLaunched, uniqueName, waitForImage, waitForInstance, waitForSnapshot, waitForVolume,
} from './things.ts';

const PLAYBOOK = '/usr/bin/ansible-playbook';
const missing = fs.existsSync(PLAYBOOK) ? false : 'ansible is not installed; ./dev deps installs it';

type Task = Record<string, any> & { changed?: boolean };

// What each task of a playbook answered, by its name. A failed task fails the test, with what it said.
async function play(playbook: string, values: Record<string, string>): Promise<Map<string, Task>> {
  const home = path.join(scratch, 'ansible');
  fs.mkdirSync(home, { recursive: true });
  const configuration = path.join(home, 'ansible.cfg');
  fs.writeFileSync(configuration, ''); // instead of the host's own
  const ran = await run([
    PLAYBOOK, '-i', 'localhost,', '-c', 'local', '-e', JSON.stringify({
      ansible_python_interpreter: '/usr/bin/python3', endpoint: endpoint(), region: REGION, account: ACCOUNT, ...values }),
    path.join(import.meta.dirname, 'clients', playbook),
  ], {
    env: {
      ...awsEnvironment(ACCOUNT, REGION), HOME: home, ANSIBLE_HOME: home, ANSIBLE_LOCAL_TEMP: path.join(home, 'tmp'), ANSIBLE_REMOTE_TEMP: path.join(home, 'tmp'),
      ANSIBLE_STDOUT_CALLBACK: 'ansible.posix.json', ANSIBLE_CONFIG: configuration, ANSIBLE_LOCALHOST_WARNING: 'False', LC_ALL: 'C.UTF-8',
    },
    seconds: 300,
  });
  let answer: any;
  try {
    answer = JSON.parse(ran.stdout.slice(ran.stdout.indexOf('{')));
  } catch {
    assert.fail(`${playbook} ended with ${ran.status}:\n${ran.stderr}${ran.stdout}`);
  }
  const tasks = new Map<string, Task>();
  for (const { task, hosts } of answer.plays.flatMap((each: any) => each.tasks)) {
    assert.ok(!hosts.localhost.failed, `${playbook}, ${task.name}: ${JSON.stringify(hosts.localhost, null, 1)}`);
    tasks.set(task.name, hosts.localhost);
  }
  assert.equal(ran.status, 0, ran.stderr);
  return tasks;
}

const changes = (tasks: Map<string, Task>): string[] => [...tasks].filter(([, task]) => task.changed).map(([name]) => name);

async function newPublicKey(): Promise<string> {
  const file = path.join(scratch, uniqueName('ansible-key'));
  await output(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return fs.readFileSync(`${file}.pub`, 'utf8').trim();
}

describe('ansible', { skip: missing }, () => {
  const name = uniqueName('ansible');
  const own = `${name}-own`;
  let volumeId = '', imageId = '', snapshotId = '';
  const key = async (KeyName: string) => (await ec2().send(new DescribeKeyPairsCommand({ KeyNames: [KeyName] }))).KeyPairs![0]!;

  before(async () => {
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: snapshotOf(await baseImage()) }));
    volumeId = volume.VolumeId!;
    await waitForVolume(volumeId);
  });
  after(() => terminateLaunched());

  test('a key, a snapshot and an image of it are made once', async () => {
    const values = { volume_id: volumeId, name, public_key: await newPublicKey(), shared_with: OTHER_ACCOUNT };
    const first = await play('image.yml', values);
    assert.deepEqual(changes(first), ['a key pair that is made', 'a key pair that is imported', 'a snapshot', 'the image']);
    imageId = first.get('the image')!.image_id;
    snapshotId = first.get('a snapshot')!.snapshot_id;
    const listed = first.get('the snapshot as it is listed')!.snapshots;
    assert.deepEqual(listed.map((each: any) => [each.snapshot_id, each.description, each.tags]), [[snapshotId, 'of ansible', { Name: name, team: 'blue' }]]);
    assert.deepEqual(first.get('the image with whom it is shared')!.images[0].launch_permissions, [{ user_id: OTHER_ACCOUNT }]);

    const made = await image(imageId);
    assert.deepEqual([made.Name, made.Description, made.RootDeviceName, made.BootMode, made.EnaSupport], [name, 'made by ansible', '/dev/sda1', 'uefi', true]);
    assert.deepEqual(made.BlockDeviceMappings!.map(({ DeviceName, Ebs }) => [DeviceName, Ebs?.SnapshotId, Ebs?.VolumeType]),
      [['/dev/sda1', snapshotId, 'gp3'], ['/dev/sdb', snapshotId, 'gp3']]);
    assert.deepEqual(made.Tags!.map((tag) => `${tag.Key}=${tag.Value}`).sort(), [`Name=${name}`, 'team=blue']);
    assert.equal((await key(name)).KeyType, 'ed25519');

    assert.deepEqual(changes(await play('image.yml', values)), []);
  });

  test('what is written otherwise is changed once', async () => {
    const before = (await key(own)).KeyFingerprint;
    const values = { image_id: imageId, name, public_key: await newPublicKey(), shared_with: '333333333333' };
    const first = await play('change.yml', values);
    assert.deepEqual(changes(first), [...first.keys()]);
    const made = await image(imageId);
    assert.deepEqual([made.Description, made.Public, made.Tags], ['changed by ansible', true, [{ Key: 'team', Value: 'red' }]]);
    assert.notEqual((await key(own)).KeyFingerprint, before);
    assert.deepEqual((await key(name)).Tags, [{ Key: 'team', Value: 'red' }]);
    assert.deepEqual(changes(await play('change.yml', values)), []);
  });

  test('an image of an instance is made once', async () => {
    const [instance] = await launch();
    const running = await waitForInstance(instance!.InstanceId);
    const values = { instance_id: instance!.InstanceId, name: uniqueName('ansible'), device_name: running.RootDeviceName! };
    const first = await play('instance.yml', values);
    assert.deepEqual(changes(first), ['a snapshot of its disk', 'the image']);
    const made = await waitForImage(first.get('the image')!.image_id);
    assert.equal((await waitForSnapshot(snapshotOf(made))).Tags![0]!.Value, 'blue');
    assert.deepEqual(changes(await play('instance.yml', values)), []);
  });

  test('what was made is removed once', async () => {
    const values = { image_id: imageId, snapshot_id: snapshotId, name };
    const first = await play('remove.yml', values);
    assert.deepEqual(changes(first), ['no image', 'no snapshot', 'no key pair']);
    assert.deepEqual(first.get('the snapshot as it is listed')!.snapshots, []);
    assert.deepEqual(changes(await play('remove.yml', values)), []);
  });
});
