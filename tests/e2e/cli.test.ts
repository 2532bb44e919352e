// The AWS CLI that Debian has (2.9), as a script uses it: shorthand, files, waiters, paging, --query, --output text, dry
// runs, and what it prints of an error.
import * as assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { before, describe, test } from 'node:test';

import { ACCOUNT, aws, awsRun, OTHER_ACCOUNT, REGION, scratch } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';

const ec2 = (...words: string[]) => aws(['ec2', ...words]);
const text = async (words: string[]): Promise<string> => {
  const ran = await awsRun([...words, '--output', 'text']);
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout.trim();
};

// What the CLI prints of an API's refusal: "An error occurred (Code) when calling the Action operation: message".
async function refused(words: string[], code: string, message: RegExp, account?: string): Promise<void> {
  const ran = await awsRun(words, account);
  assert.equal(ran.status, 254, ran.stdout + ran.stderr);
  const said = /An error occurred \((\S+)\) when calling the (\w+) operation(?: \(.*\))?: (.*)/s.exec(ran.stderr);
  assert.ok(said, ran.stderr);
  assert.equal(said[1], code);
  assert.match(said[3]!, message);
}

describe('the AWS CLI', () => {
  const name = uniqueName('cli');
  let volumeId = '', snapshotId = '', imageId = '';

  before(async () => {
    const made = await ec2('create-volume', '--availability-zone', `${REGION}a`, '--snapshot-id', snapshotOf(await baseImage()), '--tag-specifications',
      `ResourceType=volume,Tags=[{Key=Name,Value=${name}}]`);
    volumeId = made.VolumeId;
    await ec2('wait', 'volume-available', '--volume-ids', volumeId);
  });

  test('from a volume to a snapshot to an image, with the waiters of each', async () => {
    snapshotId = await text(['ec2', 'create-snapshot', '--volume-id', volumeId, '--description', 'of the CLI', '--query', 'SnapshotId']);
    await ec2('wait', 'snapshot-completed', '--snapshot-ids', snapshotId);
    const shown = await text(['ec2', 'describe-snapshots', '--owner-ids', 'self', '--filters', `Name=volume-id,Values=${volumeId}`,
      '--query', 'Snapshots[*].[SnapshotId,State,Progress,Description]']);
    assert.equal(shown, `${snapshotId}\tcompleted\t100%\tof the CLI`);
    const mappings = path.join(scratch, `${name}.json`);
    fs.writeFileSync(mappings, JSON.stringify([{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId, VolumeType: 'gp3', DeleteOnTermination: true } }]));
    imageId = await text(['ec2', 'register-image', '--name', name, '--description', 'made by the CLI', '--architecture', 'x86_64', '--virtualization-type', 'hvm',
      '--root-device-name', '/dev/sda1', '--ena-support', '--boot-mode', 'uefi-preferred', '--block-device-mappings', `file://${mappings}`]);
    await ec2('wait', 'image-exists', '--image-ids', imageId);
    await ec2('wait', 'image-available', '--image-ids', imageId);
    const { Images } = await ec2('describe-images', '--image-ids', imageId);
    const { CreationDate, ...image } = Images[0];
    assert.match(CreationDate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(
      { ...image, BlockDeviceMappings: image.BlockDeviceMappings[0].Ebs.SnapshotId },
      {
        Architecture: 'x86_64', ImageId: imageId, ImageLocation: `${ACCOUNT}/${name}`, ImageType: 'machine', Public: false, OwnerId: ACCOUNT,
        PlatformDetails: 'Linux/UNIX', UsageOperation: 'RunInstances', State: 'available', BlockDeviceMappings: snapshotId, Description: 'made by the CLI',
        EnaSupport: true, Hypervisor: 'xen', Name: name, RootDeviceName: '/dev/sda1', RootDeviceType: 'ebs', VirtualizationType: 'hvm', BootMode: 'uefi-preferred',
        ...(image.SourceImageId ? { SourceImageId: image.SourceImageId } : {}), ...(image.Tags ? { Tags: image.Tags } : {}),
      });
  });

  test('tags are made, listed, filtered by and deleted', async () => {
    await ec2('create-tags', '--resources', imageId, snapshotId, '--tags', 'Key=team,Value=blue', 'Key="odd, key",Value=');
    const { Tags } = await ec2('describe-tags', '--filters', `Name=resource-id,Values=${imageId},${snapshotId}`, 'Name=key,Values=team');
    assert.deepEqual(new Set(Tags.map((tag: any) => `${tag.ResourceType} ${tag.ResourceId} ${tag.Value}`)),
      new Set([`image ${imageId} blue`, `snapshot ${snapshotId} blue`]));
    assert.equal(await text(['ec2', 'describe-images', '--filters', 'Name=tag:team,Values=bl?e', `Name=name,Values=${name}`, '--query', 'Images[].ImageId']), imageId);
    await ec2('delete-tags', '--resources', imageId, snapshotId, '--tags', 'Key="odd, key"', 'Key=team,Value=blue');
    assert.equal(await text(['ec2', 'describe-tags', '--filters', `Name=resource-id,Values=${imageId}`, '--query', 'Tags']), '');
  });

  test('an image is shared, described, deprecated, protected and disabled', async () => {
    await ec2('modify-image-attribute', '--image-id', imageId, '--launch-permission', `Add=[{UserId=${OTHER_ACCOUNT}}]`);
    await ec2('modify-image-attribute', '--image-id', imageId, '--attribute', 'launchPermission', '--operation-type', 'add', '--user-ids', '333333333333');
    await ec2('modify-image-attribute', '--image-id', imageId, '--description', 'Value=changed');
    const shared = await ec2('describe-image-attribute', '--image-id', imageId, '--attribute', 'launchPermission');
    assert.deepEqual(new Set(shared.LaunchPermissions.map((each: any) => each.UserId)), new Set([OTHER_ACCOUNT, '333333333333']));
    const seen = await aws(['ec2', 'describe-images', '--executable-users', 'self', '--owners', ACCOUNT, '--filters', `Name=name,Values=${name}`],
      { account: OTHER_ACCOUNT });
    assert.deepEqual(seen.Images.map((each: any) => [each.ImageId, each.Description]), [[imageId, 'changed']]);
    await ec2('modify-snapshot-attribute', '--snapshot-id', snapshotId, '--create-volume-permission', `Add=[{UserId=${OTHER_ACCOUNT}}]`);
    const permission = await ec2('describe-snapshot-attribute', '--snapshot-id', snapshotId, '--attribute', 'createVolumePermission');
    assert.deepEqual(permission.CreateVolumePermissions, [{ UserId: OTHER_ACCOUNT }]);
    await ec2('reset-snapshot-attribute', '--snapshot-id', snapshotId, '--attribute', 'createVolumePermission');
    await ec2('reset-image-attribute', '--image-id', imageId, '--attribute', 'launchPermission');
    const at = new Date(Date.now() + 90 * 86_400_000).toISOString().slice(0, 16) + ':00Z';
    await ec2('enable-image-deprecation', '--image-id', imageId, '--deprecate-at', at);
    const described = (await ec2('describe-images', '--image-ids', imageId)).Images[0];
    assert.equal(Date.parse(described.DeprecationTime), Date.parse(at));
    await ec2('disable-image-deprecation', '--image-id', imageId);
  });

  test('an image is copied, with what its shorthand and flags say', async () => {
    const copy = await text(['ec2', 'copy-image', '--name', `${name}-copy`, '--source-image-id', imageId, '--source-region', REGION, '--encrypted', '--copy-image-tags']);
    await ec2('wait', 'image-available', '--image-ids', copy);
    const { Images } = await ec2('describe-images', '--image-ids', copy);
    assert.equal(Images[0].BlockDeviceMappings[0].Ebs.Encrypted, true);
    await ec2('deregister-image', '--image-id', copy);
    const snapshot = Images[0].BlockDeviceMappings[0].Ebs.SnapshotId;
    await ec2('delete-snapshot', '--snapshot-id', snapshot);
    await refused(['ec2', 'describe-snapshots', '--snapshot-ids', snapshot], 'InvalidSnapshot.NotFound', new RegExp(`'${snapshot}' does not exist`));
  });

  test('pages: all of them by itself, one on demand, and on from its token', async () => {
    await ec2('create-tags', '--resources', imageId, '--tags', ...Array.from({ length: 12 }, (_, i) => `Key=key-${i},Value=${i}`));
    const list = (...words: string[]) => ec2('describe-tags', '--filters', `Name=resource-id,Values=${imageId}`, 'Name=key,Values=key-*', ...words);
    const keys = (page: any) => page.Tags.map((each: any) => each.Key);
    const all = keys(await list('--page-size', '5'));
    assert.deepEqual(new Set(all), new Set(Array.from({ length: 12 }, (_, i) => `key-${i}`)));
    assert.equal(all.length, 12);
    const first = await list('--max-items', '7', '--page-size', '5');
    assert.deepEqual(keys(first), all.slice(0, 7));
    assert.deepEqual(keys(await list('--starting-token', first.NextToken)), all.slice(7));
  });

  test('a dry run is an error that says what would be', async () => {
    await refused(['ec2', 'deregister-image', '--image-id', imageId, '--dry-run'], 'DryRunOperation', /^Request would have succeeded, but DryRun flag is set/);
  });

  test('errors have their code, their operation and their words', async () => {
    await refused(['ec2', 'describe-images', '--image-ids', 'ami-00000000000000000'], 'InvalidAMIID.NotFound', /^The image id '\[ami-0+\]' does not exist/);
    await refused(['ec2', 'register-image', '--name', name, '--architecture', 'x86_64', '--root-device-name', '/dev/sda1', '--virtualization-type', 'hvm',
      '--block-device-mappings', `DeviceName=/dev/sda1,Ebs={SnapshotId=${snapshotId}}`], 'InvalidAMIName.Duplicate', /is already in use by AMI/);
    await refused(['ec2', 'deregister-image', '--image-id', imageId], 'InvalidAMIID.NotFound', /does not exist/, OTHER_ACCOUNT);
    await refused(['iam', 'get-user', '--user-name', 'nobody-at-all'], 'NoSuchEntity', /The user with name nobody-at-all cannot be found/);
    await refused(['kms', 'describe-key', '--key-id', 'alias/none'], 'NotFoundException', /alias\/none/);
    await refused(['rbin', 'get-rule', '--identifier', 'abcdefghijk'], 'ResourceNotFoundException', /./);
    await refused(['ebs', 'list-snapshot-blocks', '--snapshot-id', 'snap-00000000000000000'], 'ResourceNotFoundException', /./);
    await refused(['ec2', 'describe-vpc-endpoints'], 'InvalidAction', /DescribeVpcEndpoints is not valid/);
  });

  test('blocks of a snapshot go to a file', async () => {
    const { Blocks, BlockSize } = await aws(['ebs', 'list-snapshot-blocks', '--snapshot-id', snapshotId, '--max-results', '100']);
    const file = path.join(scratch, `${name}.block`);
    const got = await aws(['ebs', 'get-snapshot-block', '--snapshot-id', snapshotId, '--block-index', `${Blocks[0].BlockIndex}`, '--block-token', Blocks[0].BlockToken, file]);
    assert.equal(fs.statSync(file).size, BlockSize);
    assert.equal(got.Checksum, createHash('sha256').update(fs.readFileSync(file)).digest('base64'));
  });

  test('who calls, and a user with a role that it takes', async () => {
    assert.equal(await text(['sts', 'get-caller-identity', '--query', 'Arn']), `arn:aws:iam::${ACCOUNT}:root`);
    const role = uniqueName('cli-role');
    const trust = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'sts:AssumeRole' }] });
    const made = await aws(['iam', 'create-role', '--role-name', role, '--assume-role-policy-document', trust, '--tags', 'Key=a,Value=1']);
    assert.equal(made.Role.AssumeRolePolicyDocument.Statement[0].Principal.AWS, `arn:aws:iam::${ACCOUNT}:root`);
    await aws(['iam', 'put-role-policy', '--role-name', role, '--policy-name', 'look', '--policy-document',
      JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' } })]);
    await aws(['iam', 'wait', 'role-exists', '--role-name', role]);
    const user = uniqueName('cli-user');
    await aws(['iam', 'create-user', '--user-name', user]);
    await aws(['iam', 'put-user-policy', '--user-name', user, '--policy-name', 'take', '--policy-document',
      JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: made.Role.Arn } })]);
    const key = (await aws(['iam', 'create-access-key', '--user-name', user])).AccessKey;
    const profile = path.join(scratch, `${user}.credentials`);
    fs.writeFileSync(profile, [`[taker]`, `aws_access_key_id = ${key.AccessKeyId}`, `aws_secret_access_key = ${key.SecretAccessKey}`, ''].join('\n'));
    const as = { AWS_SHARED_CREDENTIALS_FILE: profile, AWS_PROFILE: 'taker' };
    const session = JSON.parse((await awsRun(['sts', 'assume-role', '--role-arn', made.Role.Arn, '--role-session-name', 'cli', '--output', 'json'], ACCOUNT, as)).stdout);
    assert.match(session.AssumedRoleUser.Arn, new RegExp(`:assumed-role/${role}/cli$`));
    const given = {
      AWS_ACCESS_KEY_ID: session.Credentials.AccessKeyId, AWS_SECRET_ACCESS_KEY: session.Credentials.SecretAccessKey,
      AWS_SESSION_TOKEN: session.Credentials.SessionToken, AWS_PROFILE: undefined,
    };
    assert.equal((await awsRun(['ec2', 'describe-images', '--image-ids', imageId], ACCOUNT, given)).status, 0);
    const denied = await awsRun(['ec2', 'deregister-image', '--image-id', imageId], ACCOUNT, given);
    assert.match(denied.stderr, /An error occurred \(UnauthorizedOperation\).*Encoded authorization failure message: \S+/s);
    const encoded = /failure message: (\S+)/.exec(denied.stderr)![1]!;
    const decoded = JSON.parse((await aws(['sts', 'decode-authorization-message', '--encoded-message', encoded])).DecodedMessage);
    assert.equal(decoded.context.action, 'ec2:DeregisterImage');
  });

  test('what was made is taken away', async () => {
    await ec2('deregister-image', '--image-id', imageId);
    await refused(['ec2', 'deregister-image', '--image-id', imageId], 'InvalidAMIID.Unavailable', /no longer available/);
    await ec2('delete-volume', '--volume-id', volumeId);
    await ec2('wait', 'volume-deleted', '--volume-ids', volumeId);
  });
});
