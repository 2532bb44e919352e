// Every operation that is served, by its own word, and every kind of caller: nothing answers that should not, no refusal
// tells a stranger whether a thing is there, and what is no request is refused as one. An operation that is added is
// among them by itself.
import * as api from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { CreateKeyCommand } from '@aws-sdk/client-kms';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { allServed, type Served } from './model.ts';
import { type RawAnswer, type RawRequest, send } from './refusals.ts';
import { ec2, FAKE, iam, keysOf, kilnOutput, kms, type Keys, OTHER_ACCOUNT, REGION } from './region.ts';
import { uniqueName } from './things.ts';
import { waitFor } from './wait.ts';

const TARGETS: Record<string, string> = { kms: 'TrentService', ssm: 'AmazonSSM', organizations: 'AWSOrganizationsV20161128' };
// Of the services that are REST: where an operation is, with a label's name for each thing in it.
const ROUTES: Record<string, string> = {
  ListSnapshotBlocks: 'GET /snapshots/{SnapshotId}/blocks', ListChangedBlocks: 'GET /snapshots/{SnapshotId}/changedblocks?firstSnapshotId=snap-0fedcba9876543210',
  GetSnapshotBlock: 'GET /snapshots/{SnapshotId}/blocks/0?blockToken=x', StartSnapshot: 'POST /snapshots', PutSnapshotBlock: 'PUT /snapshots/{SnapshotId}/blocks/0',
  CompleteSnapshot: 'POST /snapshots/completion/{SnapshotId}',
  CreateRule: 'POST /rules', DeleteRule: 'DELETE /rules/abcdefghijk', GetRule: 'GET /rules/abcdefghijk', ListRules: 'POST /list-rules', LockRule: 'PATCH /rules/abcdefghijk/lock',
  UnlockRule: 'PATCH /rules/abcdefghijk/unlock', UpdateRule: 'PATCH /rules/abcdefghijk', ListTagsForResource: 'GET /tags/arn-x', TagResource: 'POST /tags/arn-x',
  UntagResource: 'DELETE /tags/arn-x?tagKeys=x',
};
type Values = Record<string, string>;

// A request with these values in those of its members that they name: of lists in their first element.
function requestOf({ service, operation, request }: Served, values: Values, more = ''): RawRequest {
  const has = (request.members ?? []).filter((member) => values[member.query] !== undefined);
  if (service === 'ebs' || service === 'rbin') {
    const route = ROUTES[operation];
    assert.ok(route, `${service} ${operation} has no route in this test`);
    const [method, template] = route.split(' ') as [string, string];
    const at = template.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? 'snap-0123456789abcdef0');
    return { service, method, path: at, body: method === 'GET' || method === 'DELETE' ? '' : more || '{}', contentType: 'application/json' };
  }
  if (TARGETS[service]) {
    const body = Object.fromEntries(has.map((member) => [member.query, member.shape.kind === 'list' ? [values[member.query]] : values[member.query]]));
    return { service, body: more || JSON.stringify(body), contentType: 'application/x-amz-json-1.1', headers: { 'x-amz-target': `${TARGETS[service]}.${operation}` } };
  }
  const form = new URLSearchParams({ Action: operation, Version: 'x' });
  for (const member of has) {
    form.set(member.query + (member.shape.kind !== 'list' ? '' : service === 'ec2' ? '.1' : '.member.1'), values[member.query]!);
  }
  return { service, body: form.toString() + more };
}

const REFUSED = /^(UnauthorizedOperation|AccessDenied|AccessDeniedException)$/;
const NOBODY = /^(AuthFailure|MissingAuthenticationToken|MissingAuthenticationTokenException|SignatureDoesNotMatch|InvalidClientTokenId|InvalidSignatureException|UnrecognizedClientException|IncompleteSignature|RequestExpired|SignatureExpired|ExpiredToken|ExpiredTokenException|AccessDeniedException)$/;
const told = ({ operation, service }: Served, answer: RawAnswer): string => `${service} ${operation}: ${answer.status} ${answer.code} ${answer.body.slice(0, 300)}`;

describe('every operation', () => {
  let all: Served[] = [], home: { id: string; keys: Keys }, denied: Keys, allowed: Keys, allowedName = '';
  const there: Values = {}, shared: Values = {};
  const mine = () => ec2(home.id, { keys: home.keys });
  const user = async (UserName: string): Promise<Keys> => {
    const client = iam(home.id, { keys: home.keys });
    await client.send(new iamApi.CreateUserCommand({ UserName }));
    const made = (await client.send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    return { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
  };
  const registered = async (SnapshotId: string): Promise<string> => (await mine().send(new api.RegisterImageCommand({
    Name: uniqueName('every'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }] }))).ImageId!;
  const snapshot = async (VolumeId: string): Promise<string> => {
    const { SnapshotId } = await mine().send(new api.CreateSnapshotCommand({ VolumeId }));
    await waitFor('a snapshot', 60, async () => (await mine().send(new api.DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId!] }))).Snapshots![0]!.State === 'completed');
    return SnapshotId!;
  };

  before(async () => {
    all = await allServed();
    const made = JSON.parse(await kilnOutput(['account', 'create', '--name', uniqueName('every'), '--output', 'json'])) as Values;
    home = { id: made.AccountId!, keys: { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! } };
    denied = await user('denied');
    allowed = await user((allowedName = 'allowed'));
    const VolumeId = (await mine().send(new api.CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }))).VolumeId!;
    await waitFor('a volume', 60, async () => (await mine().send(new api.DescribeVolumesCommand({ VolumeIds: [VolumeId] }))).Volumes![0]!.State === 'available');
    const SnapshotId = await snapshot(VolumeId);
    const ImageId = await registered(SnapshotId);
    const vpc = (await mine().send(new api.DescribeSubnetsCommand({}))).Subnets![0]!;
    const GroupId = (await mine().send(new api.DescribeSecurityGroupsCommand({}))).SecurityGroups![0]!.GroupId!;
    const key = (await kms(home.id, { keys: home.keys }).send(new CreateKeyCommand({}))).KeyMetadata!.Arn!;
    Object.assign(there, {
      ImageId, SourceImageId: ImageId, ResourceId: ImageId, SnapshotId, SourceSnapshotId: SnapshotId, VolumeId, GroupId, VpcId: vpc.VpcId, SubnetId: vpc.SubnetId,
      KeyId: key, TargetKeyId: key, SourceKeyId: key, DestinationKeyId: key,
      PolicyArn: (await iam(home.id, { keys: home.keys }).send(new iamApi.CreatePolicyCommand({ PolicyName: 'its',
        PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'ec2:*', Resource: '*' } }) }))).Policy!.Arn!,
    });
    shared.SnapshotId = shared.SourceSnapshotId = await snapshot(VolumeId);
    shared.ImageId = shared.SourceImageId = shared.ResourceId = await registered(shared.SnapshotId);
    await mine().send(new api.ModifyImageAttributeCommand({ ImageId: shared.ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    await mine().send(new api.ModifySnapshotAttributeCommand({
      SnapshotId: shared.SnapshotId, Attribute: 'createVolumePermission', CreateVolumePermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
    if (!FAKE) return;
    const [instance] = (await mine().send(new api.RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 }))).Instances!;
    there.InstanceId = instance!.InstanceId!;
  });

  test('answers nobody who proves nothing', async () => {
    const late = new Date(Date.now() - 20 * 60_000);
    for (const served of all) {
      const ways: [string, Partial<RawRequest>][] = [
        ['no signature', { keys: null }], ['a bad signature', { keys: { ...home.keys, secretAccessKey: 'wrong' } }],
        ['an unknown key', { keys: { ...home.keys, accessKeyId: 'AKIAIOSFODNN7EXAMPLE' } }], ['an old signature', { keys: home.keys, date: late }],
      ];
      for (const [way, more] of ways) {
        const request = requestOf(served, there);
        // Without a signature the service is known by its name in the host, which is not at hand, or its target.
        const answer = await send({ ...request, ...more });
        assert.ok(answer.status >= 400 && answer.status < 500, `${way}: ${told(served, answer)}`);
        if (way === 'no signature' && (served.service === 'ebs' || served.service === 'rbin')) continue;
        assert.match(answer.code, NOBODY, `${way}: ${told(served, answer)}`);
      }
    }
  });

  test('is refused to a user without policies, but for who one is', async () => {
    const open = new Set(['GetCallerIdentity', 'GetSessionToken']);
    for (const served of all) {
      if (open.has(served.operation)) continue;
      const values = served.operation === 'AssumeRole' ? { RoleArn: `arn:aws:iam::${home.id}:role/none`, RoleSessionName: 'name' } : there;
      const answer = await send({ ...requestOf(served, values), keys: denied });
      assert.match(answer.code, REFUSED, told(served, answer));
    }
  });

  test('is done for a user whose policy names it, as far as a dry run goes', async () => {
    for (const served of all.filter((each) => each.service === 'ec2')) {
      const Action = [`ec2:${served.operation}`, ...(served.operation === 'CreateTags' ? [] : ['ec2:CreateTags'])];
      await iam(home.id, { keys: home.keys }).send(new iamApi.PutUserPolicyCommand({
        UserName: allowedName, PolicyName: 'its', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action, Resource: '*' } }) }));
      const answer = await send({ ...requestOf(served, there, '&DryRun=true'), keys: allowed });
      assert.doesNotMatch(answer.code, REFUSED, told(served, answer));
      assert.ok(answer.status >= 400, told(served, answer));
    }
  });

  // The same request for what is another account's and for what is nobody's.
  test('tells a stranger nothing of what is there', async () => {
    const unknown = (value: string): string => {
      if (value.startsWith('arn:aws:kms')) return value.replace(/[0-9a-f]{12}$/, randomBytes(6).toString('hex'));
      return value.startsWith('arn:') ? `${value}none` : value.replace(/[0-9a-f]{17}$/, `0${randomBytes(8).toString('hex')}`);
    };
    const words: Values = {
      Name: uniqueName('stranger'), SourceRegion: REGION, MinCount: '1', MaxCount: '1', InstanceType: 't3.nano', AvailabilityZone: `${REGION}a`, LockMode: 'governance',
      LockDuration: '1', DeprecateAt: '2030-01-01T00:00:00Z', Value: 'eA==', Plaintext: 'eA==', AliasName: 'alias/stranger', KeySpec: 'AES_256', PolicyName: 'x', UserName: 'x', RoleName: 'x', GroupName: 'stranger', Description: 'x', GroupDescription: 'x', TemporaryRestoreDays: '1', UserId: '333333333333', OperationType: 'add',
      IpProtocol: 'tcp', FromPort: '1', ToPort: '1', CidrIp: '10.0.0.0/8', PolicyDocument: '{"Version":"2012-10-17","Statement":[]}',
    };
    const attribute = (name: string) => (name.includes('Snapshot') ? 'createVolumePermission' : name.includes('Instance') ? 'userData' : name.startsWith('Reset') ? 'launchPermission' : 'description');
    let compared = 0;
    for (const served of all) {
      const named = (served.request.members ?? []).filter((member) => there[member.query] !== undefined);
      if (named.length === 0 && !ROUTES[served.operation]?.includes('{')) continue;
      const values: Values = { ...words, ...there, Attribute: attribute(served.operation) };
      const none: Values = { ...values };
      for (const name of Object.keys(there)) none[name] = unknown(there[name]!);
      const ask = async (of: Values): Promise<string> => {
        const tags = served.operation.endsWith('Tags') ? '&Tag.1.Key=a&Tag.1.Value=b' : '';
        const answer = await send({ ...requestOf(served, of, served.service === 'ec2' ? tags : ''), keys: keysOf(OTHER_ACCOUNT) });
        assert.ok(answer.status < 500, told(served, answer));
        let text = `${answer.status} ${answer.code} ${answer.body}`;
        for (const value of new Set(Object.keys(there).map((name) => of[name]!))) text = text.replaceAll(value, 'ID');
        return text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID');
      };
      const [one, other] = [await ask(values), await ask(none)];
      assert.equal(one, other, `${served.service} ${served.operation}`);
      ++compared;
    }
    assert.ok(compared > 60, `${compared} operations name a thing`);
  });

  test('lets an account that something is shared with do what sharing is for, and no more', async () => {
    const may = new Set([
      'DescribeImages', 'RunInstances', 'CopyImage', 'CancelImageLaunchPermission', 'GetImageAncestry', 'DescribeSnapshots', 'CreateVolume', 'CopySnapshot',
      'CreateTags', 'DeleteTags', // which each account has of its own
      'DescribeTags', 'ListSnapshotBlocks', 'GetSnapshotBlock', 'ListChangedBlocks', 'StartSnapshot', 'RegisterImage',
      'DescribeSnapshotTierStatus', 'DescribeLockedSnapshots', 'DescribeFastSnapshotRestores', 'EnableFastSnapshotRestores',
      'DisableFastSnapshotRestores', 'DescribeImageUsageReports', 'DescribeImageUsageReportEntries', 'ListImagesInRecycleBin', 'ListSnapshotsInRecycleBin',
    ]);
    for (const served of all.filter((each) => each.service === 'ec2' || each.service === 'ebs')) {
      const named = (served.request.members ?? []).some((member) => shared[member.query] !== undefined) || ROUTES[served.operation]?.includes('{');
      if (!named || may.has(served.operation)) continue;
      const Attribute = served.operation.includes('Snapshot') ? 'createVolumePermission' : 'launchPermission';
      const words: Values = { Attribute, Value: 'x', LockMode: 'governance', LockDuration: '1', DeprecateAt: '2030-01-01T00:00:00Z', StorageTier: 'archive' };
      const answer = await send({ ...requestOf(served, { ...words, ...shared }), keys: keysOf(OTHER_ACCOUNT) });
      assert.ok(answer.status >= 400 && answer.status < 500, told(served, answer));
    }
    const kept = (await mine().send(new api.DescribeImagesCommand({ ImageIds: [shared.ImageId!] }))).Images![0]!;
    assert.deepEqual([kept.State, kept.Description], ['available', undefined]);
  });

  test('refuses what is no request of it, in words of its own', async () => {
    for (const served of all) {
      const { service, request } = served;
      if ((request.members ?? []).length === 0) continue;
      const bad: Values = Object.fromEntries(request.members!.map((member) => [member.query, '\u0001lemon!']));
      const more = TARGETS[service] || service === 'ebs' || service === 'rbin' ? '{"' : service === 'ec2' ? '&DryRun=lemon' : '';
      const answer = await send({ ...requestOf(served, bad, more), keys: home.keys });
      assert.ok(answer.status >= 400 && answer.status < 500, told(served, answer));
      assert.ok(answer.code !== '' && !REFUSED.test(answer.code), told(served, answer));
    }
  });
});
