// Parameters of Systems Manager: written, read by version, label, ARN and path, kept secret, and refused.
import { CreateKeyCommand, DisableKeyCommand } from '@aws-sdk/client-kms';
import {
  AddTagsToResourceCommand, DeleteParameterCommand, DeleteParametersCommand, DescribeParametersCommand, type DescribeParametersCommandInput,
  GetParameterCommand, GetParameterHistoryCommand, GetParametersByPathCommand, type GetParametersByPathCommandInput, GetParametersCommand,
  LabelParameterVersionCommand, ListTagsForResourceCommand, type Parameter, PutParameterCommand, type PutParameterCommandInput,
  RemoveTagsFromResourceCommand, UnlabelParameterVersionCommand,
} from '@aws-sdk/client-ssm';
import * as iamApi from '@aws-sdk/client-iam';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, iam, type Keys, kms, OTHER_ACCOUNT, REGION, restartDaemon, SECOND_REGION, ssm } from './region.ts';
import { baseImage, uniqueName } from './things.ts';

const path = (noun: string): string => `/${uniqueName(noun)}`;
const put = (Name: string, Value: string, more: Partial<PutParameterCommandInput> = {}) =>
  ssm().send(new PutParameterCommand({ Name, Value, Type: 'String', ...more }));
const get = async (Name: string, WithDecryption = false): Promise<Parameter> =>
  (await ssm().send(new GetParameterCommand({ Name, WithDecryption }))).Parameter!;
const arnOf = (name: string): string => `arn:aws:ssm:${REGION}:${ACCOUNT}:parameter${name.startsWith('/') ? '' : '/'}${name}`;

describe('parameters: values', () => {
  test('a value is put, read by name and ARN, overwritten as a version, and gone when deleted', async () => {
    const name = path('value');
    const made = await put(name, 'one', { Description: 'first' });
    assert.deepEqual([made.Version, made.Tier], [1, 'Standard']);
    await assertRefused(put(name, 'two'), 'ParameterAlreadyExists', /overwrite option/);
    assert.equal((await put(name, 'two', { Overwrite: true, Type: undefined })).Version, 2);
    const read = await get(name);
    assert.deepEqual([read.Name, read.Value, read.Version, read.Type, read.DataType, read.ARN, read.Selector],
      [name, 'two', 2, 'String', 'text', arnOf(name), undefined]);
    assert.ok(Math.abs(read.LastModifiedDate!.getTime() - Date.now()) < 60_000);
    assert.equal((await get(arnOf(name))).Value, 'two');
    assert.deepEqual([(await get(`${name}:1`)).Value, (await get(`${name}:1`)).Selector], ['one', ':1']);
    await assertRefused(get(`${name}:3`), 'ParameterVersionNotFound', /could not find version 3 of/);
    await ssm().send(new DeleteParameterCommand({ Name: name }));
    await assertRefused(get(name), 'ParameterNotFound');
    await assertRefused(ssm().send(new DeleteParameterCommand({ Name: name })), 'ParameterNotFound');
  });

  test('a name without a path has an ARN too', async () => {
    const name = uniqueName('plain');
    await put(name, 'x');
    assert.equal((await get(name)).ARN, arnOf(name));
    assert.equal((await get(arnOf(name))).Name, name);
  });

  test('several are read at once, and those that are not there are said', async () => {
    const [one, two] = [path('many'), path('many')];
    await put(one, '1');
    await put(two, '2');
    const read = await ssm().send(new GetParametersCommand({ Names: [one, `${two}:1`, '/not/there', `${one}:9`] }));
    assert.deepEqual(read.Parameters!.map((each) => each.Value), ['1', '2']);
    assert.deepEqual(read.InvalidParameters, ['/not/there', `${one}:9`]);
    const gone = await ssm().send(new DeleteParametersCommand({ Names: [one, two, '/not/there'] }));
    assert.deepEqual([gone.DeletedParameters, gone.InvalidParameters], [[one, two], ['/not/there']]);
    await assertRefused(ssm().send(new GetParametersCommand({ Names: [] })), 'ValidationException');
    await assertRefused(ssm().send(new DeleteParametersCommand({ Names: Array.from({ length: 11 }, (_, i) => `/n/${i}`) })), 'ValidationException');
  });

  test('what is no name, type, tier or value is refused', async () => {
    await assertRefused(put('/aws/mine', 'x'), 'AccessDeniedException', /No access to reserved parameter name/);
    for (const name of ['ssm-mine', '/a b', '/a//b', 'a:b', '/a/']) await assertRefused(put(name, 'x'), 'ValidationException', /Parameter name/);
    await assertRefused(put('a/b', 'x'), 'ValidationException', /fully qualified/);
    await assertRefused(put('/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16', 'x'), 'HierarchyLevelLimitExceededException');
    const name = path('bad');
    await assertRefused(put(name, ''), 'ValidationException');
    await assertRefused(put(name, 'x', { Type: undefined }), 'ValidationException', /type is required/);
    await assertRefused(put(name, 'x', { Type: 'Number' as never }), 'ValidationException', /enum value set/);
    await assertRefused(put(name, 'x', { Tier: 'Best' as never }), 'ValidationException');
    await assertRefused(put(name, 'x', { DataType: 'text/plain' }), 'ValidationException', /data type/);
    await assertRefused(put(name, 'x', { Overwrite: true, Tags: [{ Key: 'a', Value: 'b' }] }), 'ValidationException', /tags and overwrite/);
    await assertRefused(get(name), 'ParameterNotFound');
  });

  test('a pattern is kept to, and kept', async () => {
    const name = path('pattern');
    await assertRefused(put(name, 'x', { AllowedPattern: '^\\d+$' }), 'ParameterPatternMismatchException');
    await assertRefused(put(name, 'x', { AllowedPattern: '(' }), 'InvalidAllowedPatternException');
    await assertRefused(put(name, `${'a'.repeat(2000)}!`, { AllowedPattern: '^(a+)+$' }), /^InvalidAllowedPatternException|ParameterPatternMismatchException$/);
    await put(name, '17', { AllowedPattern: '^\\d+$' });
    await assertRefused(put(name, 'x', { Overwrite: true }), 'ParameterPatternMismatchException');
    await put(name, '18', { Overwrite: true });
  });

  test('big values need the advanced tier, which stays', async () => {
    const name = path('big');
    await assertRefused(put(name, 'x'.repeat(4097)), 'ValidationException', /Standard tier/);
    assert.equal((await put(name, 'x'.repeat(4097), { Tier: 'Intelligent-Tiering' })).Tier, 'Advanced');
    await assertRefused(put(name, 'x', { Overwrite: true, Tier: 'Standard' }), 'ValidationException', /downgrade/);
    assert.equal((await put(name, 'x', { Overwrite: true })).Tier, 'Advanced');
    await assertRefused(put(name, 'x'.repeat(8193), { Overwrite: true }), 'ValidationException');
    await put(name, 'x'.repeat(8192), { Overwrite: true, Type: 'SecureString' });
    assert.equal((await get(name, true)).Value!.length, 8192);
  });

  test('another account has none of it, and its own under the same name', async () => {
    const name = path('mine');
    await put(name, 'mine');
    const theirs = ssm(OTHER_ACCOUNT);
    await assertRefused(theirs.send(new GetParameterCommand({ Name: name })), 'ParameterNotFound');
    await assertRefused(theirs.send(new GetParameterCommand({ Name: arnOf(name) })), 'ParameterNotFound');
    await theirs.send(new PutParameterCommand({ Name: name, Value: 'theirs', Type: 'String' }));
    assert.equal((await get(name)).Value, 'mine');
    await assertRefused(ssm(ACCOUNT, { region: SECOND_REGION }).send(new GetParameterCommand({ Name: name })), 'ParameterNotFound');
  });
});

describe('parameters: secrets', () => {
  test('a secret lies encrypted, and is told with decryption, after a restart too', async () => {
    const name = path('secret');
    await put(name, 'hush', { Type: 'SecureString' });
    const sealed = await get(name);
    assert.equal(sealed.Type, 'SecureString');
    assert.notEqual(sealed.Value, 'hush');
    await restartDaemon('SIGKILL');
    assert.equal((await get(name, true)).Value, 'hush');
    const listed = await ssm().send(new DescribeParametersCommand({ ParameterFilters: [{ Key: 'Name', Values: [name] }] }));
    assert.equal(listed.Parameters![0]!.KeyId, 'alias/aws/ssm');
  });

  test('by a key of the account, while that can be used', async () => {
    const name = path('keyed');
    const KeyId = (await kms().send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    await put(name, 'hush', { Type: 'SecureString', KeyId });
    assert.equal((await get(name, true)).Value, 'hush');
    await kms().send(new DisableKeyCommand({ KeyId }));
    await assertRefused(get(name, true), 'InvalidKeyId');
    await get(name);
    await assertRefused(put(path('keyed'), 'x', { Type: 'SecureString', KeyId: 'alias/none' }), 'InvalidKeyId');
    await assertRefused(put(path('keyed'), 'x', { KeyId }), 'ValidationException');
  });
});

describe('parameters: versions and labels', () => {
  test('the history tells every version, in pages', async () => {
    const name = path('history');
    for (const value of ['1', '2', '3']) await put(name, value, { Overwrite: true, Description: `the ${value}` });
    await ssm().send(new LabelParameterVersionCommand({ Name: name, ParameterVersion: 2, Labels: ['good'] }));
    const first = await ssm().send(new GetParameterHistoryCommand({ Name: name, MaxResults: 2 }));
    assert.deepEqual(first.Parameters!.map((each) => [each.Version, each.Value, each.Description, each.Labels]),
      [[1, '1', 'the 1', []], [2, '2', 'the 2', ['good']]]);
    const rest = await ssm().send(new GetParameterHistoryCommand({ Name: name, MaxResults: 2, NextToken: first.NextToken }));
    assert.deepEqual(rest.Parameters!.map((each) => each.Version), [3]);
    assert.equal(rest.NextToken, undefined);
    await assertRefused(ssm().send(new GetParameterHistoryCommand({ Name: path('none') })), 'ParameterNotFound');
    await assertRefused(ssm().send(new GetParameterHistoryCommand({ Name: name, NextToken: '!' })), 'InvalidNextToken');
    await assertRefused(ssm().send(new GetParameterHistoryCommand({ Name: name, MaxResults: 51 })), 'ValidationException');
  });

  test('labels move, are read by, and end', async () => {
    const name = path('label');
    await put(name, '1');
    await put(name, '2', { Overwrite: true });
    const label = (Labels: string[], ParameterVersion?: number) => ssm().send(new LabelParameterVersionCommand({ Name: name, ParameterVersion, Labels }));
    assert.equal((await label(['live'])).ParameterVersion, 2);
    await label(['live'], 1);
    assert.deepEqual([(await get(`${name}:live`)).Value, (await get(`${name}:live`)).Selector], ['1', ':live']);
    assert.deepEqual((await label(['1st', 'aws-x', 'fine'], 1)).InvalidLabels, ['1st', 'aws-x']);
    await assertRefused(get(`${name}:fine`), 'ParameterVersionNotFound');
    await assertRefused(label(['x'], 7), 'ParameterVersionNotFound');
    await label(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], 1);
    await assertRefused(label(['j'], 1), 'ParameterVersionLabelLimitExceeded');
    const gone = await ssm().send(new UnlabelParameterVersionCommand({ Name: name, ParameterVersion: 1, Labels: ['live', 'none'] }));
    assert.deepEqual([gone.RemovedLabels, gone.InvalidLabels], [['live'], ['none']]);
    await assertRefused(get(`${name}:live`), 'ParameterVersionNotFound', /label/);
    await assertRefused(ssm().send(new UnlabelParameterVersionCommand({ Name: path('none'), ParameterVersion: 1, Labels: ['x'] })), 'ParameterNotFound');
  });

  test('of a hundred versions the oldest goes, unless it has a label', async () => {
    const name = path('hundred');
    for (let i = 0; i < 101; ++i) await put(name, String(i), { Overwrite: true });
    await assertRefused(get(`${name}:1`), 'ParameterVersionNotFound');
    await ssm().send(new LabelParameterVersionCommand({ Name: name, ParameterVersion: 2, Labels: ['keep'] }));
    await assertRefused(put(name, 'more', { Overwrite: true }), 'ParameterMaxVersionLimitExceeded', /Version 2, the oldest version/);
    assert.equal((await get(name)).Value, '100');
  });
});

describe('parameters: lists', () => {
  const root = path('tree');
  const byPath = async (more: Partial<GetParametersByPathCommandInput> = {}) =>
    (await ssm().send(new GetParametersByPathCommand({ Path: root, ...more }))).Parameters!.map((each) => each.Name!.slice(root.length));
  const described = async (more: Partial<DescribeParametersCommandInput>) =>
    (await ssm().send(new DescribeParametersCommand(more))).Parameters!.map((each) => each.Name!.slice(root.length));
  before(async () => {
    await put(`${root}/a`, '1', { Tags: [{ Key: 'team', Value: 'red' }] });
    await put(`${root}/b/c`, '2', { Type: 'StringList' });
    await put(`${root}/b/d`, '3', { Type: 'SecureString' });
    await put(`${root}more`, '4');
  });

  test('by path, one level or all, in pages, with filters', async () => {
    assert.deepEqual(await byPath(), ['/a']);
    assert.deepEqual(await byPath({ Recursive: true }), ['/a', '/b/c', '/b/d']);
    assert.deepEqual(await byPath({ Path: `${root}/b/` }), ['/b/c', '/b/d']);
    assert.deepEqual(await byPath({ Recursive: true, ParameterFilters: [{ Key: 'Type', Values: ['SecureString', 'StringList'] }] }), ['/b/c', '/b/d']);
    const first = await ssm().send(new GetParametersByPathCommand({ Path: root, Recursive: true, MaxResults: 2 }));
    assert.deepEqual(await byPath({ Recursive: true, MaxResults: 2, NextToken: first.NextToken }), ['/b/d']);
    await ssm().send(new LabelParameterVersionCommand({ Name: `${root}/a`, Labels: ['live'] }));
    assert.deepEqual(await byPath({ Recursive: true, ParameterFilters: [{ Key: 'Label', Values: ['live'] }] }), ['/a']);
    const secret = await ssm().send(new GetParametersByPathCommand({ Path: `${root}/b`, WithDecryption: true }));
    assert.deepEqual(secret.Parameters!.map((each) => each.Value), ['2', '3']);
    await assertRefused(byPath({ Path: 'tree' }), 'ValidationException', /begin with a forward slash/);
    await assertRefused(byPath({ MaxResults: 11 }), 'ValidationException');
    await assertRefused(byPath({ NextToken: '!' }), 'InvalidNextToken');
    await assertRefused(byPath({ ParameterFilters: [{ Key: 'Name', Values: ['x'] }] }), 'InvalidFilterKey');
  });

  test('descriptions by filters, old and new', async () => {
    const below = { Key: 'Path', Option: 'Recursive', Values: [root] };
    assert.deepEqual(await described({ ParameterFilters: [below] }), ['/a', '/b/c', '/b/d']);
    assert.deepEqual(await described({ ParameterFilters: [{ Key: 'Name', Option: 'BeginsWith', Values: [`${root}/b`] }] }), ['/b/c', '/b/d']);
    assert.deepEqual(await described({ ParameterFilters: [{ Key: 'Name', Option: 'Contains', Values: [root.slice(3)] }] }), ['/a', '/b/c', '/b/d', 'more']);
    assert.deepEqual(await described({ ParameterFilters: [below, { Key: 'tag:team', Values: ['red'] }] }), ['/a']);
    assert.deepEqual(await described({ ParameterFilters: [below, { Key: 'KeyId', Values: ['alias/aws/ssm'] }] }), ['/b/d']);
    assert.deepEqual(await described({ ParameterFilters: [below, { Key: 'Tier', Values: ['Advanced'] }] }), []);
    assert.deepEqual(await described({ ParameterFilters: [below, { Key: 'DataType', Values: ['text'] }] }), ['/a', '/b/c', '/b/d']);
    assert.deepEqual(await described({ Filters: [{ Key: 'Name', Values: [`${root}/b`] }] }), ['/b/c', '/b/d']);
    const first = await ssm().send(new DescribeParametersCommand({ ParameterFilters: [below], MaxResults: 2 }));
    assert.deepEqual(await described({ ParameterFilters: [below], MaxResults: 2, NextToken: first.NextToken }), ['/b/d']);
    await assertRefused(described({ ParameterFilters: [{ Key: 'Colour', Values: ['x'] }] }), 'InvalidFilterKey');
    await assertRefused(described({ ParameterFilters: [{ Key: 'Name', Option: 'Near', Values: ['x'] }] }), 'InvalidFilterOption');
    await assertRefused(described({ ParameterFilters: [{ Key: 'Name', Values: [] }] }), 'InvalidFilterValue');
  });

  test('tags come and go', async () => {
    const ofIt = { ResourceType: 'Parameter' as const, ResourceId: `${root}/a` };
    await ssm().send(new AddTagsToResourceCommand({ ...ofIt, Tags: [{ Key: 'use', Value: 'x' }] }));
    await ssm().send(new RemoveTagsFromResourceCommand({ ...ofIt, TagKeys: ['team'] }));
    assert.deepEqual((await ssm().send(new ListTagsForResourceCommand(ofIt))).TagList, [{ Key: 'use', Value: 'x' }]);
    await assertRefused(ssm().send(new ListTagsForResourceCommand({ ...ofIt, ResourceId: '/none' })), 'InvalidResourceId');
    await assertRefused(ssm().send(new RemoveTagsFromResourceCommand({ ...ofIt, ResourceId: '/none', TagKeys: ['x'] })), 'InvalidResourceId');
    await assertRefused(ssm().send(new AddTagsToResourceCommand({ ...ofIt, ResourceType: 'Document', Tags: [] })), 'InvalidResourceType');
    await assertRefused(ssm().send(new AddTagsToResourceCommand({ ...ofIt, Tags: [{ Key: 'aws:x', Value: 'x' }] })), 'ValidationException');
  });

  test('the AWS CLI reads what it wrote', async () => {
    const name = path('cli');
    await aws(['ssm', 'put-parameter', '--name', name, '--value', 'from the shell', '--type', 'String']);
    assert.equal((await aws(['ssm', 'get-parameter', '--name', name])).Parameter.Value, 'from the shell');
  });
});

describe('parameters: images', () => {
  test('a value of that type names an image that can be launched', async () => {
    const { ImageId } = await baseImage();
    const name = path('image');
    await put(name, ImageId, { DataType: 'aws:ec2:image' });
    assert.deepEqual([(await get(name)).Value, (await get(name)).DataType], [ImageId, 'aws:ec2:image']);
    await assertRefused(put(name, 'debian', { DataType: 'aws:ec2:image', Overwrite: true }), 'ValidationException');
    await assertRefused(put(name, 'ami-0123456789abcdef0', { DataType: 'aws:ec2:image', Overwrite: true }), 'ValidationException', /does not exist/);
    await assertRefused(
      ssm(OTHER_ACCOUNT).send(new PutParameterCommand({ Name: name, Value: ImageId, Type: 'String', DataType: 'aws:ec2:image' })), 'ValidationException', /does not exist/);
    assert.equal((await get(name)).Value, ImageId);
  });
});

describe('parameters: who may', () => {
  let user = '', keys: Keys;
  const theirs = () => ssm(ACCOUNT, { keys });
  const may = (...statements: object[]) => iam().send(new iamApi.PutUserPolicyCommand({
    UserName: user, PolicyName: 'its', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: statements }) }));
  before(async () => {
    user = uniqueName('reader');
    await iam().send(new iamApi.CreateUserCommand({ UserName: user }));
    const made = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName: user }))).AccessKey!;
    keys = { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
  });

  test('nothing is answered to a user without a policy', async () => {
    const name = path('closed'), ofIt = { ResourceType: 'Parameter' as const, ResourceId: name };
    await put(name, 'x');
    for (const call of [
      () => theirs().send(new PutParameterCommand({ Name: name, Value: 'y', Type: 'String', Overwrite: true })), () => theirs().send(new GetParameterCommand({ Name: name })),
      () => theirs().send(new GetParametersCommand({ Names: [name] })), () => theirs().send(new GetParametersByPathCommand({ Path: '/' })),
      () => theirs().send(new DescribeParametersCommand({})), () => theirs().send(new GetParameterHistoryCommand({ Name: name })),
      () => theirs().send(new LabelParameterVersionCommand({ Name: name, Labels: ['x'] })), () => theirs().send(new DeleteParameterCommand({ Name: name })),
      () => theirs().send(new UnlabelParameterVersionCommand({ Name: name, ParameterVersion: 1, Labels: ['x'] })),
      () => theirs().send(new DeleteParametersCommand({ Names: [name] })), () => theirs().send(new AddTagsToResourceCommand({ ...ofIt, Tags: [{ Key: 'a', Value: 'b' }] })),
      () => theirs().send(new RemoveTagsFromResourceCommand({ ...ofIt, TagKeys: ['a'] })), () => theirs().send(new ListTagsForResourceCommand(ofIt)),
    ]) await assertRefused(call(), 'AccessDeniedException', /is not authorized to perform: ssm:/);
    assert.equal((await get(name)).Value, 'x');
  });

  test('by the ARNs of parameters, and of keys for secrets', async () => {
    const tree = path('open');
    const KeyId = (await kms().send(new CreateKeyCommand({}))).KeyMetadata!;
    await put(`${tree}/a`, 'x');
    await put(`${tree}/s`, 'hush', { Type: 'SecureString', KeyId: KeyId.KeyId });
    await put(`${tree}/d`, 'own', { Type: 'SecureString' });
    const read = (name: string, WithDecryption = false) => theirs().send(new GetParameterCommand({ Name: name, WithDecryption }));
    await may({ Effect: 'Allow', Action: 'ssm:Get*', Resource: arnOf(`${tree}/*`) });
    assert.equal((await read(`${tree}/a`)).Parameter!.Value, 'x');
    await assertRefused(read(`${tree}x`), 'AccessDeniedException');
    await assertRefused(theirs().send(new GetParametersCommand({ Names: [`${tree}/a`, '/other'] })), 'AccessDeniedException');
    assert.equal((await read(`${tree}/d`, true)).Parameter!.Value, 'own');
    await read(`${tree}/s`);
    await assertRefused(read(`${tree}/s`, true), 'AccessDeniedException', /kms:Decrypt/);
    await may({ Effect: 'Allow', Action: 'ssm:Get*', Resource: arnOf(`${tree}/*`) }, { Effect: 'Allow', Action: 'kms:Decrypt', Resource: KeyId.Arn });
    assert.equal((await read(`${tree}/s`, true)).Parameter!.Value, 'hush');
    await may({ Effect: 'Allow', Action: 'ssm:*', Resource: arnOf(`${tree}*`) });
    const write = () => theirs().send(new PutParameterCommand({ Name: path('open').replace(/.*/, `${tree}/w`), Value: 'x', Type: 'SecureString', KeyId: KeyId.KeyId, Overwrite: true }));
    await assertRefused(write(), 'AccessDeniedException', /kms:Encrypt/);
  });
});
