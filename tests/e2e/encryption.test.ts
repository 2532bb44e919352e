// Encryption as AWS has it, row by row: what a volume, a snapshot, a copy or an image is encrypted by, of what it is made
// from, what is asked for, and what the account wants by default. And what becomes of it when the key goes.
import {
  GetSnapshotBlockCommand, ListChangedBlocksCommand, ListSnapshotBlocksCommand, StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
import {
  CopyImageCommand, CopySnapshotCommand, CreateImageCommand,
  CreateSnapshotCommand, CreateVolumeCommand, DeleteSnapshotCommand, DescribeImagesCommand, DescribeSnapshotsCommand,
  DescribeVolumesCommand, DisableEbsEncryptionByDefaultCommand, type EC2Client, EnableEbsEncryptionByDefaultCommand,
  ModifyEbsDefaultKmsKeyIdCommand, ModifyImageAttributeCommand, ModifySnapshotAttributeCommand, RegisterImageCommand, ResetEbsDefaultKmsKeyIdCommand,
  RunInstancesCommand, StartInstancesCommand, StopInstancesCommand, TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import {
  CreateAliasCommand, CreateKeyCommand, DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { after, describe, test } from 'node:test';

import { BLOCK, download, putBlock, upload } from './block_client.ts';
import { sshOutput, waitForSsh } from './guest.ts';
import { assertRefused, refusal } from './refusals.ts';
import { ACCOUNT, data, ebs, ec2, kilnOutput, kms, noGuests, OTHER_ACCOUNT, REGION, restartDaemon, SECOND_REGION } from './region.ts';
import { instances, launch, once, terminate, uniqueName, userKey, waitForInstance } from './things.ts';
import { waitFor } from './wait.ts';

const INACCESSIBLE = 'Given key ID is not accessible';
const MARKER = `marker-${randomBytes(24).toString('hex')}-`;
const CONTENT = Buffer.concat([randomBytes(2 * BLOCK), Buffer.alloc(BLOCK), Buffer.alloc(BLOCK, MARKER)]);

// The files below the data directory that hold a text, by their data alone: disks are sparse, and of a GiB each.
const SEARCH = `
import os, sys
text = sys.argv[2].encode()
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(folder, name)
        if not os.path.isfile(path): continue
        with open(path, 'rb') as file:
            end, at = os.fstat(file.fileno()).st_size, 0
            while at < end:
                try: at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError: break
                hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                if text in os.pread(file.fileno(), hole - at, at):
                    print(path)
                    break
                at = hole
`;
const filesWith = (text: string): string => execFileSync('/usr/bin/python3', ['-c', SEARCH, data, text]).toString();

// --- things of one account in one region

interface Place { account: string; region: string }
const HOME: Place = { account: ACCOUNT, region: REGION };
const ec2At = (at: Place): EC2Client => ec2(at.account, { region: at.region });
const ebsAt = (at: Place) => ebs(at.account, { region: at.region });
const kmsAt = (at: Place) => kms(at.account, { region: at.region });

async function newKey(at: Place): Promise<string> {
  return (await kmsAt(at).send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
}
async function snapshotOf(at: Place, id: string) {
  return (await ec2At(at).send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }))).Snapshots![0]!;
}
async function settled(at: Place, id: string) {
  return waitFor(`${id} being settled`, 60, async () => {
    const found = await snapshotOf(at, id);
    return found.State !== 'pending' && found;
  });
}
async function completed(at: Place, id: string) {
  const found = await settled(at, id);
  assert.equal(found.State, 'completed', found.StateMessage);
  return found;
}
async function settledVolume(at: Place, id: string) {
  return waitFor(`${id} being made`, 60, async () => {
    const found = (await ec2At(at).send(new DescribeVolumesCommand({ VolumeIds: [id] }))).Volumes![0]!;
    return found.State !== 'creating' && found;
  });
}
async function settledImage(at: Place, id: string) {
  return waitFor(`${id} being settled`, 60, async () => {
    const found = (await ec2At(at).send(new DescribeImagesCommand({ ImageIds: [id] }))).Images![0]!;
    return found.State !== 'pending' && found;
  });
}
async function uploaded(at: Place, start = {}, content = CONTENT): Promise<string> {
  const id = await upload({ client: () => ebsAt(at), content, start: { VolumeSize: 1, ...start } });
  await completed(at, id);
  return id;
}
const contentOf = (at: Place, id: string) => download(() => ebsAt(at), id, CONTENT.length);
async function reads(at: Place, id: string): Promise<void> {
  assert.ok((await contentOf(at, id)).equals(CONTENT), `${id} has another content`);
}
async function registered(at: Place, snapshot: string): Promise<string> {
  const made = await ec2At(at).send(new RegisterImageCommand({
    Name: uniqueName('encryption'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshot } }],
  }));
  return made.ImageId!;
}

// What the rows are made of. Encryption by default is switched on when they are there.
interface Kit extends Place { plain: string; encrypted: string; key: string; other: string; defaultKey: string }
async function kit(at: Place): Promise<Kit> {
  const [key, other] = [await newKey(at), await newKey(at)];
  const defaultKey = (await kmsAt(at).send(new DescribeKeyCommand({ KeyId: 'alias/aws/ebs' }))).KeyMetadata!.Arn!;
  return { ...at, plain: await uploaded(at), encrypted: await uploaded(at, { Encrypted: true, KmsKeyArn: key }), key, other, defaultKey };
}
const usual = once(() => kit(HOME));
const byDefault = once(async () => {
  const made = await kit({ account: OTHER_ACCOUNT, region: SECOND_REGION });
  await ec2At(made).send(new EnableEbsEncryptionByDefaultCommand({}));
  return made;
});

// --- rows: encryption by default, the source, Encrypted, KmsKeyId; what comes of it

type Source = 'zeros' | 'plain' | 'encrypted';
type Outcome = 'not' | 'default' | 'named' | 'source' | `refused ${string}`;
type Row = [byDefault: boolean, source: Source, encrypted: boolean | undefined, key: boolean, outcome: Outcome];
type Wish = { Encrypted?: boolean; KmsKeyId?: string };

const nameOf = ([on, source, encrypted, key, outcome]: Row): string =>
  `by default ${on ? 'on' : 'off'}, from ${source}, Encrypted ${encrypted ?? '-'}, ${key ? 'a key' : 'no key'}: ${outcome}`;

function rows(what: string, table: Row[], make: (kit: Kit, source: string | undefined, wish: Wish) => Promise<{ encrypted?: boolean; key?: string }>): void {
  for (const row of table) {
    const [on, source, encrypted, key, outcome] = row;
    test(`${what}, ${nameOf(row)}`, async () => {
      const from = await (on ? byDefault() : usual());
      const wish: Wish = { ...(encrypted === undefined ? {} : { Encrypted: encrypted }), ...(key ? { KmsKeyId: from.other } : {}) };
      const made = make(from, source === 'zeros' ? undefined : from[source], wish);
      if (outcome.startsWith('refused ')) return assertRefused(made, outcome.slice(8));
      const found = await made;
      const expected = { not: undefined, default: from.defaultKey, named: from.other, source: from.key }[outcome as 'not'];
      assert.deepEqual([found.encrypted, found.key], [outcome !== 'not', expected]);
    });
  }
}

const VOLUMES: Row[] = [
  [false, 'zeros', undefined, false, 'not'],
  [false, 'zeros', false, false, 'not'],
  [false, 'zeros', true, false, 'default'],
  [false, 'zeros', true, true, 'named'],
  [false, 'zeros', undefined, true, 'refused InvalidParameterDependency'],
  [false, 'zeros', false, true, 'refused InvalidParameterDependency'],
  [false, 'plain', undefined, false, 'not'],
  [false, 'plain', true, false, 'default'],
  [false, 'plain', true, true, 'named'],
  [false, 'encrypted', undefined, false, 'source'],
  [false, 'encrypted', true, false, 'source'],
  [false, 'encrypted', true, true, 'named'],
  [false, 'encrypted', false, false, 'refused InvalidRequest'],
  [true, 'zeros', undefined, false, 'default'],
  [true, 'zeros', false, false, 'default'],
  [true, 'zeros', true, true, 'named'],
  [true, 'plain', undefined, false, 'default'],
  [true, 'plain', true, true, 'named'],
  [true, 'encrypted', undefined, false, 'source'],
  [true, 'encrypted', true, true, 'named'],
];

const COPIES: Row[] = [
  [false, 'plain', undefined, false, 'not'],
  [false, 'plain', true, false, 'default'],
  [false, 'plain', true, true, 'named'],
  [false, 'plain', undefined, true, 'refused InvalidParameterDependency'],
  [false, 'encrypted', undefined, false, 'default'],
  [false, 'encrypted', true, false, 'default'],
  [false, 'encrypted', true, true, 'named'],
  [false, 'encrypted', false, false, 'refused InvalidRequest'],
  [true, 'plain', undefined, false, 'default'],
  [true, 'plain', true, true, 'named'],
  [true, 'encrypted', undefined, false, 'default'],
  [true, 'encrypted', true, true, 'named'],
];

describe('encryption', () => {
  after(async () => {
    const at = await byDefault();
    await ec2At(at).send(new DisableEbsEncryptionByDefaultCommand({}));
  });

  rows('CreateVolume', VOLUMES, async (at, source, wish) => {
    const made = await ec2At(at).send(new CreateVolumeCommand({
      AvailabilityZone: `${at.region}a`, ...(source ? { SnapshotId: source } : { Size: 1 }), ...wish,
    }));
    const volume = await settledVolume(at, made.VolumeId!);
    assert.equal(volume.State, 'available');
    assert.deepEqual([made.Encrypted, made.KmsKeyId], [volume.Encrypted, volume.KmsKeyId]);
    const cut = await ec2At(at).send(new CreateSnapshotCommand({ VolumeId: made.VolumeId! }));
    const snapshot = await completed(at, cut.SnapshotId!);
    assert.deepEqual([snapshot.Encrypted, snapshot.KmsKeyId], [volume.Encrypted, volume.KmsKeyId], 'a snapshot is as its volume');
    if (source) await reads(at, cut.SnapshotId!);
    return { encrypted: volume.Encrypted, key: volume.KmsKeyId };
  });

  rows('CopySnapshot', COPIES, async (at, source, wish) => {
    const copy = await ec2At(at).send(new CopySnapshotCommand({ SourceRegion: at.region, SourceSnapshotId: source!, ...wish }));
    const made = await completed(at, copy.SnapshotId!);
    await reads(at, copy.SnapshotId!);
    return { encrypted: made.Encrypted, key: made.KmsKeyId };
  });

  const imageCopies = COPIES.map((row): Row => (row[1] === 'encrypted' && row[2] === undefined ? [row[0], row[1], row[2], row[3], 'source'] : row));
  rows('CopyImage', imageCopies, async (at, source, wish) => {
    const copy = await ec2At(at).send(new CopyImageCommand({
      SourceRegion: at.region, SourceImageId: await registered(at, source!), Name: uniqueName('copied'), ...wish,
    }));
    const image = await settledImage(at, copy.ImageId!);
    assert.equal(image.State, 'available', image.StateReason?.Message);
    const device = image.BlockDeviceMappings![0]!.Ebs!;
    const snapshot = await snapshotOf(at, device.SnapshotId!);
    assert.equal(device.Encrypted, snapshot.Encrypted);
    await reads(at, device.SnapshotId!);
    return { encrypted: snapshot.Encrypted, key: snapshot.KmsKeyId };
  });

  const launches = VOLUMES.map((row): Row =>
    (row[4] === 'refused InvalidRequest' ? [row[0], row[1], row[2], row[3], 'refused InvalidBlockDeviceMapping'] : row));
  rows('RunInstances', launches, async (at, source, wish) => {
    // The root for a snapshot, and a second device for zeros.
    const ImageId = await registered(at, source ?? at.encrypted);
    const Ebs = { ...(source ? {} : { VolumeSize: 1 }), ...wish };
    const DeviceName = source ? '/dev/sda1' : '/dev/sdf';
    const ran = await ec2At(at).send(new RunInstancesCommand({
      ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1,
      ...(Object.keys(Ebs).length > 0 ? { BlockDeviceMappings: [{ DeviceName, Ebs }] } : {}),
    }));
    const InstanceIds = [ran.Instances![0]!.InstanceId!];
    const volume = (await ec2At(at).send(new DescribeVolumesCommand({
      Filters: [{ Name: 'attachment.instance-id', Values: InstanceIds }, { Name: 'attachment.device', Values: [DeviceName] }],
    }))).Volumes![0]!;
    await ec2At(at).send(new TerminateInstancesCommand({ InstanceIds }));
    return { encrypted: volume.Encrypted, key: volume.KmsKeyId };
  });

  // A parent says how the new one is encrypted; asking for more is refused.
  const starts: Row[] = [
    [false, 'zeros', undefined, false, 'not'], [false, 'zeros', true, false, 'default'], [false, 'zeros', true, true, 'named'],
    [false, 'zeros', undefined, true, 'refused ValidationException'],
    [false, 'plain', undefined, false, 'not'], [false, 'plain', true, false, 'refused ValidationException'],
    [false, 'plain', undefined, true, 'refused ValidationException'], [false, 'plain', false, false, 'refused ValidationException'],
    [false, 'encrypted', undefined, false, 'source'], [false, 'encrypted', true, false, 'refused ValidationException'],
    [false, 'encrypted', undefined, true, 'refused ValidationException'],
    [true, 'zeros', undefined, false, 'default'], [true, 'zeros', true, true, 'named'],
    [true, 'plain', undefined, false, 'refused ValidationException'], [true, 'encrypted', undefined, false, 'source'],
  ];
  rows('StartSnapshot', starts, async (at, source, wish) => {
    const start = {
      ...(source ? { ParentSnapshotId: source } : {}), ...('Encrypted' in wish ? { Encrypted: wish.Encrypted } : {}),
      ...(wish.KmsKeyId ? { KmsKeyArn: wish.KmsKeyId } : {}),
    };
    const id = await uploaded(at, start);
    await reads(at, id);
    const made = await snapshotOf(at, id);
    return { encrypted: made.Encrypted, key: made.KmsKeyId };
  });

  test('a key is named by its id, its ARN, an alias and the ARN of one', async () => {
    const at = await usual();
    const alias = `alias/${uniqueName('disks')}`;
    await kms().send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: at.other }));
    for (const KmsKeyId of [at.other, at.other.split('/')[1]!, alias, `arn:aws:kms:${REGION}:${ACCOUNT}:${alias}`]) {
      const made = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1, Encrypted: true, KmsKeyId }));
      assert.equal(made.KmsKeyId, at.other, KmsKeyId);
    }
  });

  test('the default key is the one that the account says', async () => {
    const at = await byDefault();
    await ec2At(at).send(new ModifyEbsDefaultKmsKeyIdCommand({ KmsKeyId: at.other }));
    const made = await ec2At(at).send(new CreateVolumeCommand({ AvailabilityZone: `${at.region}a`, Size: 1 }));
    assert.equal(made.KmsKeyId, at.other);
    await ec2At(at).send(new ResetEbsDefaultKmsKeyIdCommand({}));
  });

  test('RegisterImage and CreateImage show what their snapshots are', async () => {
    const at = await usual();
    const ImageId = await registered(at, at.encrypted);
    assert.equal((await settledImage(at, ImageId)).BlockDeviceMappings![0]!.Ebs!.Encrypted, true);
    const ran = await ec2().send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 }));
    const InstanceId = ran.Instances![0]!.InstanceId!;
    await waitFor('the instance running', 60, async () => {
      const volumes = (await ec2().send(new DescribeVolumesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [InstanceId] }] }))).Volumes!;
      return volumes.length > 0 && volumes.every((volume) => volume.State === 'in-use');
    });
    const image = await waitFor('an image of it', 60, async () => {
      try {
        return await ec2().send(new CreateImageCommand({ InstanceId, Name: uniqueName('of-encrypted'), NoReboot: true }));
      } catch (error) {
        if ((error as Error).name === 'IncorrectInstanceState') return false; // it still starts
        throw error;
      }
    });
    const described = await settledImage(at, image.ImageId!);
    const snapshot = await snapshotOf(at, described.BlockDeviceMappings![0]!.Ebs!.SnapshotId!);
    assert.deepEqual([described.BlockDeviceMappings![0]!.Ebs!.Encrypted, snapshot.Encrypted, snapshot.KmsKeyId], [true, true, at.key]);
    await ec2().send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
    await reads(at, snapshot.SnapshotId!);
  });

  test('an encrypted snapshot goes to another region by a key of that region', async () => {
    const at = await usual();
    const away = { account: ACCOUNT, region: SECOND_REGION };
    const there = await newKey(away);
    for (const [source, wish] of [[at.encrypted, {}], [at.encrypted, { Encrypted: true, KmsKeyId: there }], [at.plain, { Encrypted: true, KmsKeyId: there }]] as const) {
      const copy = await ec2At(away).send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: source, ...wish }));
      const made = await completed(away, copy.SnapshotId!);
      assert.equal(made.Encrypted, true);
      if ('KmsKeyId' in wish) assert.equal(made.KmsKeyId, there);
      else assert.match(made.KmsKeyId!, new RegExp(`^arn:aws:kms:${SECOND_REGION}:${ACCOUNT}:key/`));
      await reads(away, copy.SnapshotId!);
    }
    await assertRefused(ec2At(away).send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: at.encrypted, Encrypted: false })), 'InvalidRequest', /is encrypted/);
    const image = await ec2At(away).send(new CopyImageCommand({ SourceRegion: REGION, SourceImageId: await registered(at, at.encrypted), Name: uniqueName('away') }));
    const copied = await settledImage(away, image.ImageId!);
    assert.equal(copied.State, 'available', copied.StateReason?.Message);
    assert.equal(copied.BlockDeviceMappings![0]!.Ebs!.Encrypted, true);
  });

  test('an import is encrypted when the account wants that by default', async () => {
    const at = await byDefault();
    const file = `${data}/../scratch/import-${process.pid}.raw`;
    execFileSync('/bin/sh', ['-c', 'head -c 1048576 /dev/urandom >"$0"', file]);
    const id = (await kilnOutput(['import', file, '--name', uniqueName('imported'), '--region', at.region, '--account', at.account])).trim();
    const image = await settledImage(at, id);
    const snapshot = await snapshotOf(at, image.BlockDeviceMappings![0]!.Ebs!.SnapshotId!);
    assert.deepEqual([snapshot.Encrypted, snapshot.KmsKeyId], [true, at.defaultKey]);
  });

  test('ListChangedBlocks compares snapshots of one key, and shows all between two keys', async () => {
    const at = await usual();
    const changed = Buffer.from(CONTENT);
    randomBytes(BLOCK).copy(changed, BLOCK);
    const next = await uploaded(at, { Encrypted: true, KmsKeyArn: at.key }, changed);
    const blocks = async (FirstSnapshotId: string) =>
      (await ebs().send(new ListChangedBlocksCommand({ FirstSnapshotId, SecondSnapshotId: next }))).ChangedBlocks!.map((each) => each.BlockIndex);
    assert.deepEqual(await blocks(at.encrypted), [1]);
    assert.deepEqual(await blocks(at.plain), [0, 1, 3]);
  });
});

describe('encryption with a bad key', () => {
  const absent = '00000000-0000-4000-8000-000000000000';
  const bad = once(async () => {
    const disabled = await newKey(HOME);
    await kms().send(new DisableKeyCommand({ KeyId: disabled }));
    const foreign = (await kms(OTHER_ACCOUNT).send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
    return { absent, alias: 'alias/none', disabled, foreign };
  });

  for (const which of ['absent', 'alias', 'disabled', 'foreign'] as const) {
    test(`CopySnapshot, ${which}: accepted, and the copy fails`, async () => {
      const at = await usual();
      const copy = await ec2().send(new CopySnapshotCommand({
        SourceRegion: REGION, SourceSnapshotId: at.plain, Encrypted: true, KmsKeyId: (await bad())[which],
      }));
      const made = await settled(at, copy.SnapshotId!);
      assert.deepEqual([made.State, made.StateMessage], ['error', INACCESSIBLE]);
      await ec2().send(new DeleteSnapshotCommand({ SnapshotId: copy.SnapshotId! }));
    });

    test(`CopyImage, ${which}: accepted, and the image fails`, async () => {
      const at = await usual();
      const copy = await ec2().send(new CopyImageCommand({
        SourceRegion: REGION, SourceImageId: await registered(at, at.plain), Name: uniqueName('bad'), Encrypted: true, KmsKeyId: (await bad())[which],
      }));
      const image = await settledImage(at, copy.ImageId!);
      assert.deepEqual([image.State, image.StateReason?.Message], ['failed', INACCESSIBLE]);
    });

    test(`CreateVolume, ${which}: accepted, and the volume fails`, async () => {
      const made = await ec2().send(new CreateVolumeCommand({
        AvailabilityZone: `${REGION}a`, Size: 1, Encrypted: true, KmsKeyId: (await bad())[which],
      }));
      assert.equal((await settledVolume(HOME, made.VolumeId!)).State, 'error');
    });

    test(`StartSnapshot, ${which}: refused`, async () => {
      const KmsKeyArn = (await bad())[which];
      const refused = await refusal(ebs().send(new StartSnapshotCommand({ VolumeSize: 1, Encrypted: true, KmsKeyArn })));
      assert.equal(refused.code, 'ValidationException');
    });
  }

  test('RunInstances: accepted, and the instance is terminated', async () => {
    const at = await usual();
    const ran = await ec2().send(new RunInstancesCommand({
      ImageId: await registered(at, at.plain), InstanceType: 't3.nano', MinCount: 1, MaxCount: 1,
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { Encrypted: true, KmsKeyId: (await bad()).disabled } }],
    }));
    const made = await waitForInstance(ran.Instances![0]!.InstanceId!, 'terminated');
    assert.deepEqual([made.StateReason?.Code, made.StateReason?.Message], ['Client.InternalError', 'Client.InternalError: Client error on launch']);
  });

  test("another account's key serves whom its policy names", async () => {
    const at = await usual();
    const other = kms(OTHER_ACCOUNT);
    const KeyId = (await other.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
    const statement = (account: string, Action: string | string[]) => ({ Effect: 'Allow', Principal: { AWS: account }, Action, Resource: '*' });
    await other.send(new PutKeyPolicyCommand({
      KeyId,
      Policy: JSON.stringify({ Statement: [statement(OTHER_ACCOUNT, 'kms:*'), statement(ACCOUNT, ['kms:Decrypt', 'kms:GenerateDataKey*', 'kms:CreateGrant', 'kms:DescribeKey'])] }),
    }));
    const copy = await ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: at.plain, Encrypted: true, KmsKeyId: KeyId }));
    assert.equal((await completed(at, copy.SnapshotId!)).KmsKeyId, KeyId);
    await reads(at, copy.SnapshotId!);
  });

  test('an image with the AWS managed key is shared with nobody, an encrypted one not with everybody', async () => {
    const at = await usual();
    const managed = await registered(at, await uploaded(at, { Encrypted: true }));
    const share = (ImageId: string, who: object) => ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [who] } }));
    await assertRefused(share(managed, { UserId: OTHER_ACCOUNT }), 'InvalidParameter', /AWS Managed CMK/);
    const own = await registered(at, at.encrypted);
    await assertRefused(share(own, { Group: 'all' }), 'InvalidParameter');
    await share(own, { UserId: OTHER_ACCOUNT });
    await ec2().send(new ModifyImageAttributeCommand({ ImageId: own, LaunchPermission: { Remove: [{ UserId: OTHER_ACCOUNT }] } }));
  });

  test("a shared encrypted snapshot is copied by whom its key is shared with, by that account's default key", async () => {
    const client = ec2(OTHER_ACCOUNT);
    const KeyId = await newKey(HOME);
    const SnapshotId = await uploaded(HOME, { Encrypted: true, KmsKeyArn: KeyId });
    await ec2().send(new ModifySnapshotAttributeCommand({ SnapshotId, CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    const there: Place = { account: OTHER_ACCOUNT, region: REGION };
    const copy = async (): Promise<string> =>
      (await client.send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: SnapshotId }))).SnapshotId!;
    const failed = await settled(there, await copy());
    assert.deepEqual([failed.State, failed.StateMessage], ['error', INACCESSIBLE]);
    const statement = (account: string, Action: string | string[]) => ({ Effect: 'Allow', Principal: { AWS: account }, Action, Resource: '*' });
    await kms().send(new PutKeyPolicyCommand({
      KeyId, Policy: JSON.stringify({ Statement: [statement(ACCOUNT, 'kms:*'), statement(OTHER_ACCOUNT, ['kms:Decrypt', 'kms:DescribeKey'])] }),
    }));
    const made = await completed(there, await copy());
    const byDefaultKey = (await kmsAt(there).send(new DescribeKeyCommand({ KeyId: 'alias/aws/ebs' }))).KeyMetadata!.Arn!;
    assert.deepEqual([made.KmsKeyId, made.OwnerId], [byDefaultKey, OTHER_ACCOUNT]);
    await reads(there, made.SnapshotId!);
  });

  test("a shared encrypted image launches for whom its key is shared with, by that account's default key", async () => {
    const client = ec2(OTHER_ACCOUNT);
    const KeyId = await newKey(HOME);
    const ImageId = await registered(HOME, await uploaded(HOME, { Encrypted: true, KmsKeyArn: KeyId }));
    await ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    const run = async (): Promise<string> => {
      const ran = await client.send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 }));
      return ran.Instances![0]!.InstanceId!;
    };
    const settledState = async (id: string) => waitFor(`${id} being settled`, 60, async () => {
      const found = (await instances([id], client))[0]!;
      return found.State!.Name !== 'pending' && found;
    });
    const refused = await settledState(await run());
    assert.deepEqual([refused.State!.Name, refused.StateReason?.Message], ['terminated', 'Client.InternalError: Client error on launch']);
    const statement = (account: string, Action: string | string[]) => ({ Effect: 'Allow', Principal: { AWS: account }, Action, Resource: '*' });
    await kms().send(new PutKeyPolicyCommand({
      KeyId, Policy: JSON.stringify({ Statement: [statement(ACCOUNT, 'kms:*'), statement(OTHER_ACCOUNT, ['kms:Decrypt', 'kms:DescribeKey'])] }),
    }));
    const id = await run();
    assert.equal((await settledState(id)).State!.Name, 'running');
    const [volume] = (await client.send(new DescribeVolumesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [id] }] }))).Volumes!;
    const own = (await kms(OTHER_ACCOUNT).send(new DescribeKeyCommand({ KeyId: 'alias/aws/ebs' }))).KeyMetadata!.Arn;
    assert.deepEqual([volume!.Encrypted, volume!.KmsKeyId], [true, own]);
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Remove: [{ UserId: OTHER_ACCOUNT }] } }));
  });
});

describe('encryption when the key goes', () => {
  const list = (SnapshotId: string) => ebs().send(new ListSnapshotBlocksCommand({ SnapshotId }));

  test('a disabled key makes its snapshots unreadable, and enabling it readable again', async () => {
    const key = await newKey(HOME);
    const id = await uploaded(HOME, { Encrypted: true, KmsKeyArn: key });
    const blocks = await list(id);
    const get = () => ebs().send(new GetSnapshotBlockCommand({ SnapshotId: id, BlockIndex: 0, BlockToken: blocks.Blocks![0]!.BlockToken! }));
    await get();
    await kms().send(new DisableKeyCommand({ KeyId: key }));
    await assertRefused(get(), 'AccessDeniedException', /not accessible/);
    await assertRefused(list(id), 'AccessDeniedException');
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id }));
    assert.equal((await settledVolume(HOME, volume.VolumeId!)).State, 'error');
    await kms().send(new EnableKeyCommand({ KeyId: key }));
    await reads(HOME, id);
  });

  test('a volume whose key is disabled cannot be snapshotted', async () => {
    const key = await newKey(HOME);
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1, Encrypted: true, KmsKeyId: key }));
    await settledVolume(HOME, volume.VolumeId!);
    await kms().send(new DisableKeyCommand({ KeyId: key }));
    const cut = await ec2().send(new CreateSnapshotCommand({ VolumeId: volume.VolumeId! }));
    const made = await settled(HOME, cut.SnapshotId!);
    assert.deepEqual([made.State, made.StateMessage], ['error', INACCESSIBLE]);
  });

  test('an instance whose key is disabled runs on, and starts again only when it is enabled', async () => {
    const at = await usual();
    const key = await newKey(HOME);
    const ran = await ec2().send(new RunInstancesCommand({
      ImageId: await registered(at, at.plain), InstanceType: 't3.nano', MinCount: 1, MaxCount: 1,
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { Encrypted: true, KmsKeyId: key } }],
    }));
    const InstanceIds = [ran.Instances![0]!.InstanceId!];
    await waitForInstance(InstanceIds[0]!);
    await kms().send(new DisableKeyCommand({ KeyId: key }));
    await restartDaemon('SIGKILL');
    assert.equal((await instances(InstanceIds))[0]!.State!.Name, 'running');
    await ec2().send(new StopInstancesCommand({ InstanceIds, Force: true }));
    await waitForInstance(InstanceIds[0]!, 'stopped');
    await ec2().send(new StartInstancesCommand({ InstanceIds }));
    const refused = await waitForInstance(InstanceIds[0]!, 'stopped');
    assert.equal(refused.StateReason?.Message, 'Client.InternalError: Client error on launch');
    await kms().send(new EnableKeyCommand({ KeyId: key }));
    await ec2().send(new StartInstancesCommand({ InstanceIds }));
    await waitForInstance(InstanceIds[0]!);
    await ec2().send(new TerminateInstancesCommand({ InstanceIds }));
  });

  test('what a deleted key encrypted is unreadable for good, after a restart too, and can be deleted', async () => {
    const key = await newKey(HOME);
    const id = await uploaded(HOME, { Encrypted: true, KmsKeyArn: key });
    await kms().send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
    await assertRefused(list(id), 'AccessDeniedException');
    await kilnOutput(['keys', 'delete', key, '--now', '--yes', '--region', REGION]);
    await assertRefused(list(id), 'AccessDeniedException');
    await restartDaemon('SIGKILL');
    await assertRefused(list(id), 'AccessDeniedException', /not accessible/);
    assert.equal((await snapshotOf(HOME, id)).KmsKeyId, key);
    const copy = await ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id }));
    assert.equal((await settled(HOME, copy.SnapshotId!)).StateMessage, INACCESSIBLE);
    await ec2().send(new DeleteSnapshotCommand({ SnapshotId: id }));
    await kilnOutput(['gc', '--grace', '0', '--region', REGION]);
  });

  test('nothing of an encrypted snapshot is in the data directory in plain, and of a plain one it is', async () => {
    const secret = `secret-${randomBytes(24).toString('hex')}-`;
    const content = Buffer.concat([Buffer.alloc(BLOCK, secret), randomBytes(BLOCK), Buffer.alloc(BLOCK, secret)]);
    const id = await uploaded(HOME, { Encrypted: true }, content);
    const volume = await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, SnapshotId: id }));
    await settledVolume(HOME, volume.VolumeId!);
    const copy = await ec2().send(new CopySnapshotCommand({ SourceRegion: REGION, SourceSnapshotId: id, Encrypted: true, KmsKeyId: await newKey(HOME) }));
    await completed(HOME, copy.SnapshotId!);
    assert.ok((await download(() => ebs(), copy.SnapshotId!, content.length)).equals(content));
    const found = (text: string): string => filesWith(text);
    assert.equal(found(secret), '');
    const plain = await ebs().send(new StartSnapshotCommand({ VolumeSize: 1 }));
    await putBlock(ebs(), plain.SnapshotId!, 0, content.subarray(0, BLOCK));
    assert.notEqual(found(secret), '', 'the search finds what is there');
  });

  test('what a guest writes to its encrypted disks is on no disk of the host in plain, before and after a snapshot', { skip: noGuests }, async () => {
    const secret = `guest-${randomBytes(24).toString('hex')}-`;
    const [made] = await launch({
      KeyName: (await userKey()).name,
      BlockDeviceMappings: [
        { DeviceName: '/dev/sda1', Ebs: { Encrypted: true } },
        { DeviceName: '/dev/sdb', Ebs: { VolumeSize: 1, Encrypted: true, DeleteOnTermination: true } },
      ],
    });
    const guest = await waitForInstance(made!.InstanceId);
    await waitForSsh(guest);
    const text = `i=0; while [ $i -lt 4000 ]; do echo ${secret}; i=$((i+1)); done`;
    await sshOutput(guest, `(${text}) > /root/note && dd if=/root/note of=/dev/vdb bs=65536 conv=fsync 2>/dev/null && sync`);
    assert.equal(filesWith(secret), '', 'heads');
    for (const mapping of guest.BlockDeviceMappings!) {
      const cut = await ec2().send(new CreateSnapshotCommand({ VolumeId: mapping.Ebs!.VolumeId! }));
      assert.equal((await completed(HOME, cut.SnapshotId!)).Encrypted, true);
    }
    assert.equal(filesWith(secret), '', 'snapshots');
    // A daemon that starts again takes its keys from the key store.
    await restartDaemon('SIGKILL');
    await sshOutput(guest, 'sync; echo 3 > /proc/sys/vm/drop_caches');
    assert.equal(await sshOutput(guest, 'sort -u /root/note'), secret);
    assert.equal(await sshOutput(guest, 'dd if=/dev/vdb bs=65536 count=1 2>/dev/null | head -n 1'), secret);
    await terminate([made!.InstanceId]);
  });
});
