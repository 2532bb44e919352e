// What policies allow, resource by resource: launches, volumes, sharing, keys, blocks. Dry runs say what would be.
import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import {
  CopyImageCommand, CreateImageCommand, CreateKeyPairCommand, CreateSnapshotCommand, CreateTagsCommand, CreateVolumeCommand, DeleteTagsCommand,
  DeleteVolumeCommand, DeregisterImageCommand, DescribeImagesCommand, ModifyImageAttributeCommand, RunInstancesCommand, type RunInstancesCommandInput,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { CreateKeyCommand, DescribeKeyCommand, DecryptCommand, EncryptCommand, PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { DecodeAuthorizationMessageCommand, GetCallerIdentityCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused, refusal } from './refusals.ts';
import { ACCOUNT, aws, awsRun, ebs, ec2, iam, keysOf, kms, type Keys, OTHER_ACCOUNT, REGION, sts } from './region.ts';
import { baseImage, snapshotOf, uniqueName, waitForVolume } from './things.ts';

type Statement = Record<string, unknown>;
const policy = (...statements: Statement[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allow = (action: string | string[], resource: string | string[] = '*', conditions?: Statement): Statement => (
  { Effect: 'Allow', Action: action, Resource: resource, ...(conditions ? { Condition: conditions } : {}) });
const deny = (action: string | string[], resource: string | string[] = '*', conditions?: Statement): Statement => (
  { Effect: 'Deny', Action: action, Resource: resource, ...(conditions ? { Condition: conditions } : {}) });
const mine = (type: string): string => `arn:aws:ec2:${REGION}:${ACCOUNT}:${type}`;

describe('authorisation', () => {
  let user = '', keys: Keys, imageId = '', snapshotId = '';
  const client = () => ec2(ACCOUNT, { keys });
  const may = (...statements: Statement[]) =>
    iam().send(new iamApi.PutUserPolicyCommand({ UserName: user, PolicyName: 'its', PolicyDocument: policy(...statements) }));

  before(async () => {
    user = uniqueName('user');
    await iam().send(new iamApi.CreateUserCommand({ UserName: user, Tags: [{ Key: 'team', Value: 'red' }] }));
    const made = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName: user }))).AccessKey!;
    keys = { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
    const image = await baseImage();
    imageId = image.ImageId;
    snapshotId = snapshotOf(image);
  });

  const run = (more: Partial<RunInstancesCommandInput> = {}) => client().send(new RunInstancesCommand({
    ImageId: imageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, DryRun: true, ...more }));
  const LAUNCH = ['instance', 'volume', 'network-interface', 'subnet', 'security-group', 'key-pair'].map((type) => mine(`${type}/*`));

  test('a launch is judged by every resource that it uses', async () => {
    await may(allow('ec2:RunInstances', [...LAUNCH, `arn:aws:ec2:${REGION}::image/${imageId}`]));
    await assertRefused(run(), 'DryRunOperation');
    await assertRefused(run({ ImageId: 'ami-0123456789abcdef0' }), 'UnauthorizedOperation', new RegExp(`on resource: arn:aws:ec2:${REGION}::image/ami-0123456789abcdef0 `));
    for (const left of LAUNCH.filter((arn) => !arn.includes('key-pair'))) {
      await may(allow('ec2:RunInstances', [...LAUNCH.filter((arn) => arn !== left), `arn:aws:ec2:*::image/*`]));
      await assertRefused(run(), 'UnauthorizedOperation', new RegExp(left.slice(0, -1)));
    }
    await may(allow('ec2:RunInstances', [...LAUNCH.slice(0, -1), 'arn:aws:ec2:*::image/*']));
    const KeyName = uniqueName('key');
    await ec2().send(new CreateKeyPairCommand({ KeyName }));
    await assertRefused(run(), 'DryRunOperation');
    await assertRefused(run({ KeyName }), 'UnauthorizedOperation', new RegExp(`key-pair/${KeyName}`));
  });

  test('a pattern with an account is of no image', async () => {
    await may(allow('ec2:RunInstances', [...LAUNCH, mine(`image/${imageId}`)]));
    await assertRefused(run(), 'UnauthorizedOperation', /image/);
  });

  test('images by their owner, and whether they are public', async () => {
    const images = 'arn:aws:ec2:*::image/*';
    await may(allow('ec2:RunInstances', LAUNCH), allow('ec2:RunInstances', images, { StringEquals: { 'ec2:Owner': ACCOUNT }, Bool: { 'ec2:Public': 'false' } }));
    await assertRefused(run(), 'DryRunOperation');
    await may(allow('ec2:RunInstances', LAUNCH), allow('ec2:RunInstances', images, { StringEquals: { 'ec2:Owner': OTHER_ACCOUNT } }));
    await assertRefused(run(), 'UnauthorizedOperation');
  });

  test('instances by their type', async () => {
    await may(allow('ec2:RunInstances'), deny('ec2:RunInstances', mine('instance/*'), { StringNotLike: { 'ec2:InstanceType': 't3.*' } }));
    await assertRefused(run(), 'DryRunOperation');
    await assertRefused(run({ InstanceType: 'm5.large' }), 'UnauthorizedOperation', /explicit deny in an identity-based policy/);
  });

  test('subnets and groups that the request leaves out are judged too', async () => {
    await may(allow('ec2:RunInstances'), deny('ec2:RunInstances', mine('subnet/*'), { StringEquals: { 'ec2:AvailabilityZone': `${REGION}a` } }));
    await assertRefused(run(), 'UnauthorizedOperation', /subnet/);
    await assertRefused(run({ Placement: { AvailabilityZone: `${REGION}b` } }), 'DryRunOperation');
    await may(allow('ec2:RunInstances'), deny('ec2:RunInstances', mine('security-group/*')));
    await assertRefused(run(), 'UnauthorizedOperation', /security-group/);
  });

  test('tags at launch need ec2:CreateTags, and can be demanded', async () => {
    const TagSpecifications = (value: string) => [{ ResourceType: 'instance' as const, Tags: [{ Key: 'team', Value: value }] }];
    await may(allow('ec2:RunInstances'));
    await assertRefused(run({ TagSpecifications: TagSpecifications('red') }), 'UnauthorizedOperation', /ec2:CreateTags/);
    await may(
      allow('ec2:RunInstances'), deny('ec2:RunInstances', mine('instance/*'), { StringNotEquals: { 'aws:RequestTag/team': '${aws:PrincipalTag/team}' } }),
      allow('ec2:CreateTags', mine('instance/*'), { StringEquals: { 'ec2:CreateAction': 'RunInstances' }, 'ForAllValues:StringEquals': { 'aws:TagKeys': ['team'] } }));
    await assertRefused(run({ TagSpecifications: TagSpecifications('red') }), 'DryRunOperation');
    await assertRefused(run({ TagSpecifications: TagSpecifications('blue') }), 'UnauthorizedOperation');
    await assertRefused(run(), 'UnauthorizedOperation');
    const more = [{ ResourceType: 'instance' as const, Tags: [{ Key: 'team', Value: 'red' }, { Key: 'x', Value: 'y' }] }];
    await assertRefused(run({ TagSpecifications: more }), 'UnauthorizedOperation', /ec2:CreateTags/);
    await assertRefused(client().send(new CreateTagsCommand({ Resources: [imageId], Tags: [{ Key: 'team', Value: 'red' }] })), 'UnauthorizedOperation');
  });

  test('volumes that would not be encrypted can be denied', async () => {
    const plain = deny(['ec2:RunInstances', 'ec2:CreateVolume'], mine('volume/*'), { Bool: { 'ec2:Encrypted': 'false' } });
    await may(allow(['ec2:RunInstances', 'ec2:CreateVolume']), plain);
    await assertRefused(run(), 'UnauthorizedOperation', /volume/);
    const root = (await ec2().send(new DescribeImagesCommand({ ImageIds: [imageId] }))).Images![0]!.RootDeviceName!;
    await assertRefused(run({ BlockDeviceMappings: [{ DeviceName: root, Ebs: { Encrypted: true } }] }), 'DryRunOperation');
    const create = (more: object) => client().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1, DryRun: true, ...more }));
    await assertRefused(create({}), 'UnauthorizedOperation');
    await assertRefused(create({ Encrypted: true }), 'DryRunOperation');
    await may(allow('ec2:CreateVolume', '*', { NumericLessThanEquals: { 'ec2:VolumeSize': 10 } }));
    await assertRefused(create({}), 'DryRunOperation');
    await assertRefused(create({ Size: 11 }), 'UnauthorizedOperation');
  });

  test('what is there by its tags, and what is not there tells nothing', async () => {
    const VolumeId = (await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }))).VolumeId!;
    await waitForVolume(VolumeId);
    await may(allow(['ec2:DeleteVolume', 'ec2:CreateSnapshot'], mine('volume/*'), { StringEquals: { 'aws:ResourceTag/team': 'red' } }), allow('ec2:CreateSnapshot', 'arn:aws:ec2:*::snapshot/*'));
    const remove = (id: string) => client().send(new DeleteVolumeCommand({ VolumeId: id }));
    const there = await refusal(remove(VolumeId)), not = await refusal(remove('vol-0123456789abcdef0'));
    assert.deepEqual([there.code, not.code], ['UnauthorizedOperation', 'UnauthorizedOperation']);
    const strip = (text: string, id: string) => text.replaceAll(id, 'ID').replace(/message: \S+$/, '');
    assert.equal(strip(there.message, VolumeId), strip(not.message, 'vol-0123456789abcdef0'));
    await ec2().send(new CreateTagsCommand({ Resources: [VolumeId], Tags: [{ Key: 'team', Value: 'red' }] }));
    await assertRefused(client().send(new CreateSnapshotCommand({ VolumeId, DryRun: true })), 'DryRunOperation');
    await remove(VolumeId);
  });

  test('tags by their keys', async () => {
    await may(allow(['ec2:CreateTags', 'ec2:DeleteTags'], `arn:aws:ec2:*::image/*`, { 'ForAllValues:StringEquals': { 'aws:TagKeys': ['note'] } }));
    const of = (Key: string) => ({ Resources: [imageId], Tags: [{ Key, Value: 'x' }] });
    await client().send(new CreateTagsCommand(of('note')));
    await assertRefused(client().send(new CreateTagsCommand(of('team'))), 'UnauthorizedOperation');
    await assertRefused(client().send(new CreateTagsCommand({ ...of('note'), Resources: [imageId, snapshotId] })), 'UnauthorizedOperation', /snapshot/);
    await assertRefused(client().send(new DeleteTagsCommand(of('team'))), 'UnauthorizedOperation');
    await client().send(new DeleteTagsCommand(of('note')));
  });

  test('sharing by the account that it is shared with', async () => {
    await may(allow('ec2:ModifyImageAttribute', 'arn:aws:ec2:*::image/*', { StringEquals: { 'ec2:Add/userId': OTHER_ACCOUNT } }));
    const share = (UserId: string) =>
      client().send(new ModifyImageAttributeCommand({ ImageId: imageId, LaunchPermission: { Add: [{ UserId }] }, DryRun: true }));
    await assertRefused(share(OTHER_ACCOUNT), 'DryRunOperation');
    await assertRefused(share('333333333333'), 'UnauthorizedOperation');
    const flat = { ImageId: imageId, Attribute: 'launchPermission', OperationType: 'add' as const, DryRun: true };
    await assertRefused(client().send(new ModifyImageAttributeCommand({ ...flat, UserIds: [OTHER_ACCOUNT] })), 'DryRunOperation');
    await assertRefused(client().send(new ModifyImageAttributeCommand({ ...flat, UserIds: ['333333333333'] })), 'UnauthorizedOperation');
    await assertRefused(client().send(new ModifyImageAttributeCommand({ ...flat, UserGroups: ['all'] })), 'UnauthorizedOperation');
  });

  test('making images needs the image, its snapshots and what it is made of', async () => {
    const instance = 'i-0123456789abcdef0';
    const create = () => client().send(new CreateImageCommand({ InstanceId: instance, Name: uniqueName('image'), DryRun: true }));
    await may(allow('ec2:CreateImage', [mine('instance/*'), 'arn:aws:ec2:*::image/*']));
    await assertRefused(create(), 'UnauthorizedOperation', /::snapshot\/\*/);
    await may(allow('ec2:CreateImage', [mine('instance/*'), 'arn:aws:ec2:*::image/*', 'arn:aws:ec2:*::snapshot/*']));
    await assertRefused(create(), 'DryRunOperation');
    await may(allow('ec2:CopyImage', 'arn:aws:ec2:*::image/*'));
    await assertRefused(
      client().send(new CopyImageCommand({ SourceImageId: imageId, SourceRegion: REGION, Name: uniqueName('copy'), DryRun: true })), 'DryRunOperation');
    await assertRefused(client().send(new DeregisterImageCommand({ ImageId: imageId, DryRun: true })), 'UnauthorizedOperation');
    await assertRefused(client().send(new StopInstancesCommand({ InstanceIds: [instance] })), 'UnauthorizedOperation');
  });

  test('blocks by their snapshot', async () => {
    const direct = ebs(ACCOUNT, { keys });
    await may(allow('ebs:*', `arn:aws:ec2:${REGION}::snapshot/${snapshotId}`));
    const listed = await direct.send(new ListSnapshotBlocksCommand({ SnapshotId: snapshotId }));
    const { BlockIndex, BlockToken } = listed.Blocks![0]!;
    await direct.send(new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken }));
    await may(allow('ebs:*', `arn:aws:ec2:${REGION}::snapshot/snap-0123456789abcdef0`));
    await assertRefused(direct.send(new ListSnapshotBlocksCommand({ SnapshotId: snapshotId })), 'AccessDeniedException');
    await assertRefused(direct.send(new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex, BlockToken })), 'AccessDeniedException');
  });

  test('keys by their own policy and the policies of who uses them', async () => {
    const key = (await kms().send(new CreateKeyCommand({}))).KeyMetadata!;
    const theirs = kms(ACCOUNT, { keys });
    const encrypt = () => theirs.send(new EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from('x') }));
    await may(allow('kms:DescribeKey', key.Arn!));
    await theirs.send(new DescribeKeyCommand({ KeyId: key.KeyId }));
    await assertRefused(encrypt(), 'AccessDeniedException', /no identity-based policy allows the kms:Encrypt action/);
    await assertRefused(theirs.send(new DescribeKeyCommand({ KeyId: 'alias/none' })), 'AccessDeniedException');
    await may(allow('kms:*', key.Arn!));
    const text = (await encrypt()).CiphertextBlob!;
    await theirs.send(new DecryptCommand({ CiphertextBlob: text })); // the text says of which key it is
    const root = { ...allow('kms:*'), Principal: { AWS: ACCOUNT } };
    const not = { ...deny('kms:Decrypt'), Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/${user}` } };
    await kms().send(new PutKeyPolicyCommand({ KeyId: key.KeyId, Policy: policy(root, not) }));
    await assertRefused(theirs.send(new DecryptCommand({ CiphertextBlob: text })), 'AccessDeniedException');
    await kms().send(new DecryptCommand({ CiphertextBlob: text }));
    await encrypt();
  });

  test('a key that names a user needs no policy of its own account, and one of another account does', async () => {
    const key = (await kms().send(new CreateKeyCommand({}))).KeyMetadata!;
    const theirs = kms(ACCOUNT, { keys });
    const encrypt = () => theirs.send(new EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from('x') }));
    await may(allow('ec2:DescribeImages'));
    await assertRefused(encrypt(), 'AccessDeniedException');
    const named = { ...allow('kms:Encrypt'), Principal: { AWS: `arn:aws:iam::${ACCOUNT}:user/${user}` } };
    await kms().send(new PutKeyPolicyCommand({ KeyId: key.KeyId, Policy: policy({ ...allow('kms:*'), Principal: { AWS: ACCOUNT } }, named) }));
    const text = (await encrypt()).CiphertextBlob!;
    await assertRefused(theirs.send(new DecryptCommand({ CiphertextBlob: text })), 'AccessDeniedException');
    await may(deny('kms:Encrypt'));
    await assertRefused(encrypt(), 'AccessDeniedException', /explicit deny in an identity-based policy/);

    const other = (await kms(OTHER_ACCOUNT).send(new CreateKeyCommand({}))).KeyMetadata!;
    await kms(OTHER_ACCOUNT).send(new PutKeyPolicyCommand({
      KeyId: other.KeyId, Policy: policy({ ...allow('kms:*'), Principal: { AWS: OTHER_ACCOUNT } }, named) }));
    const across = () => theirs.send(new EncryptCommand({ KeyId: other.Arn, Plaintext: Buffer.from('x') }));
    await may(allow('ec2:DescribeImages'));
    await assertRefused(across(), 'AccessDeniedException');
    await may(allow('kms:Encrypt', other.Arn!));
    await across();
  });

  test('rules of the recycle bin by their ARN, their tags and what they are for', async () => {
    const rule = async (words: string[]) => aws(['rbin', ...words]);
    const made = await rule(['create-rule', '--retention-period', 'RetentionPeriodValue=1,RetentionPeriodUnit=DAYS', '--resource-type', 'EC2_IMAGE',
      '--resource-tags', `ResourceTagKey=${uniqueName('key')}`, '--tags', 'Key=team,Value=red']);
    const as = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey, AWS_PROFILE: undefined };
    const get = async (id: string) => (await awsRun(['rbin', 'get-rule', '--identifier', id], ACCOUNT, as)).stderr.trim();
    const arn = (id: string) => `arn:aws:rbin:${REGION}:${ACCOUNT}:rule/${id}`;
    await may(allow('rbin:GetRule', arn(made.Identifier)));
    assert.equal(await get(made.Identifier), '');
    assert.match(await get('abcdefghijk'), new RegExp(`AccessDeniedException.* on resource: ${arn('abcdefghijk')} `));
    await may(allow('rbin:GetRule', arn('*'), { StringEquals: { 'aws:ResourceTag/team': 'red', 'rbin:Attribute/ResourceType': 'EC2_IMAGE' } }));
    assert.equal(await get(made.Identifier), '');
    await may(allow('rbin:GetRule', arn('*'), { StringEquals: { 'aws:ResourceTag/team': 'blue' } }));
    assert.match(await get(made.Identifier), /AccessDeniedException/);
    await may(allow('rbin:CreateRule', arn('*'), { StringEquals: { 'rbin:Request/ResourceType': 'EBS_SNAPSHOT' } }));
    const create = await awsRun(['rbin', 'create-rule', '--retention-period', 'RetentionPeriodValue=1,RetentionPeriodUnit=DAYS', '--resource-type', 'EC2_IMAGE',
      '--resource-tags', 'ResourceTagKey=never'], ACCOUNT, as);
    assert.match(create.stderr, /AccessDeniedException/);
    await rule(['delete-rule', '--identifier', made.Identifier]);
  });

  test('credentials of GetSessionToken are not for IAM, and of STS for two operations alone', async () => {
    const policies = [allow('*')];
    await may(...policies);
    for (const own of [keys, keysOf(ACCOUNT)]) {
      const made = (await sts(ACCOUNT, { keys: own }).send(new GetSessionTokenCommand({}))).Credentials!;
      const session = { keys: { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey!, sessionToken: made.SessionToken! } };
      await ec2(ACCOUNT, session).send(new DescribeImagesCommand({ ImageIds: [imageId] }));
      await assertRefused(iam(ACCOUNT, session).send(new iamApi.ListUsersCommand({})), 'InvalidClientTokenId');
      await assertRefused(sts(ACCOUNT, session).send(new GetSessionTokenCommand({})), 'AccessDenied', /with session credentials/);
      await assertRefused(sts(ACCOUNT, session).send(new DecodeAuthorizationMessageCommand({ EncodedMessage: 'x' })), 'AccessDenied');
      assert.equal((await sts(ACCOUNT, session).send(new GetCallerIdentityCommand({}))).Account, ACCOUNT);
    }
  });
});
