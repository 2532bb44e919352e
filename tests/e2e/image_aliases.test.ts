// Images by name: resolve:ssm: in place of an id, and the operator's public aliases, which name only what launches.
import {
  DeregisterImageCommand, DescribeImageReferencesCommand, DisableImageCommand, EnableImageCommand, ModifyImageAttributeCommand, RegisterImageCommand,
  RunInstancesCommand, type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { DeleteParameterCommand, GetParameterCommand, GetParameterHistoryCommand, GetParametersByPathCommand, LabelParameterVersionCommand, PutParameterCommand } from '@aws-sdk/client-ssm';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, iam, type Keys, kiln, kilnOutput, OTHER_ACCOUNT, REGION, ssm } from './region.ts';
import { baseImage, launch, snapshotOf, terminateLaunched, uniqueName } from './things.ts';

async function register(): Promise<string> {
  const made = await ec2().send(new RegisterImageCommand({
    Name: uniqueName('aliased'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotOf(await baseImage()) } }],
  }));
  return made.ImageId!;
}
const publish = (ImageId: string) => ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ Group: 'all' }] } }));
const put = (Name: string, Value: string, more: object = {}) =>
  ssm().send(new PutParameterCommand({ Name, Value, Type: 'String', DataType: 'aws:ec2:image', ...more }));
const value = async (Name: string, account = ACCOUNT) => (await ssm(account).send(new GetParameterCommand({ Name }))).Parameter!.Value;

describe('aliases: resolve:ssm', () => {
  after(() => terminateLaunched());

  test('a parameter names the image of a launch, by version, label and ARN', async () => {
    const [first, second] = [await register(), await register()];
    const name = `/${uniqueName('golden')}`;
    await put(name, first);
    await ssm().send(new LabelParameterVersionCommand({ Name: name, Labels: ['old'] }));
    await put(name, second, { Overwrite: true });
    const arn = `arn:aws:ssm:${REGION}:${ACCOUNT}:parameter${name}`;
    const wanted = [[name, second], [`${name}:1`, first], [`${name}:old`, first], [arn, second], [`${arn}:1`, first]] as const;
    for (const [said, id] of wanted) {
      const [made] = await launch({ ImageId: `resolve:ssm:${said}` });
      assert.equal(made!.ImageId, id, said);
    }
    const references = await ec2().send(new DescribeImageReferencesCommand({ ImageIds: [second], ResourceTypes: [{ ResourceType: 'ssm:Parameter' }] }));
    assert.deepEqual(references.ImageReferences, [{ ImageId: second, ResourceType: 'ssm:Parameter', Arn: arn }]);
    const not = await ec2().send(new DescribeImageReferencesCommand({ ImageIds: [first], ResourceTypes: [{ ResourceType: 'ssm:Parameter' }] }));
    assert.deepEqual(not.ImageReferences, []);
  });

  test('what names no image is refused', async () => {
    const name = `/${uniqueName('text')}`;
    await put(name, (await baseImage()).ImageId, { DataType: 'text' });
    await assertRefused(launch({ ImageId: `resolve:ssm:${name}` }), 'SsmInvalidParameter', /Unsupported data type/);
    await assertRefused(launch({ ImageId: 'resolve:ssm:/not/there' }), 'SsmInvalidParameter', /aliases are invalid: \/not\/there/);
    await assertRefused(launch({ ImageId: `resolve:ssm:${name}:9` }), 'SsmInvalidParameter');
    const gone = await register();
    await put(`${name}/gone`, gone);
    await ec2().send(new DeregisterImageCommand({ ImageId: gone }));
    await assertRefused(launch({ ImageId: `resolve:ssm:${name}/gone` }), 'InvalidAMIID.Unavailable');
  });

  test('who launches needs both the parameter and the image', async () => {
    const image = await register(), other = await register();
    const name = `/${uniqueName('judged')}`;
    await put(name, image);
    const UserName = uniqueName('launcher');
    await iam().send(new iamApi.CreateUserCommand({ UserName }));
    const made = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    const keys: Keys = { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
    const run = (more: Partial<RunInstancesCommandInput> = {}) => ec2(ACCOUNT, { keys }).send(new RunInstancesCommand({
      ImageId: `resolve:ssm:${name}`, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, DryRun: true, ...more }));
    const may = (...statements: object[]) => iam().send(new iamApi.PutUserPolicyCommand({
      UserName, PolicyName: 'its', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: statements }) }));
    const rest = { Effect: 'Allow', Action: 'ec2:RunInstances', NotResource: 'arn:aws:ec2:*::image/*' };
    const of = (id: string) => ({ Effect: 'Allow', Action: 'ec2:RunInstances', Resource: `arn:aws:ec2:${REGION}::image/${id}` });
    const read = { Effect: 'Allow', Action: 'ssm:GetParameters', Resource: `arn:aws:ssm:${REGION}:${ACCOUNT}:parameter${name}` };
    await may(rest, of(image));
    await assertRefused(run(), 'SsmAccessDenied', /ssm:GetParameters/);
    await may(rest, of(image), read);
    await assertRefused(run(), 'DryRunOperation');
    const [instance] = (await run({ DryRun: false })).Instances!;
    assert.equal(instance!.ImageId, image);
    await may(rest, of(other), read);
    await assertRefused(run(), 'UnauthorizedOperation', new RegExp(`image/${image}`));
  });
});

describe('aliases: public', () => {
  const alias = uniqueName('debian');
  const name = `/aws/service/kiln/${alias}`;
  let first = '', second = '';
  after(() => terminateLaunched());
  before(async () => {
    [first, second] = [await register(), await register()];
    await publish(first);
    await publish(second);
  });

  test('the operator publishes, every account reads and launches, nobody writes', async () => {
    assert.equal((await kilnOutput(['alias', 'set', alias, first])).trim(), name);
    assert.equal(await value(name), first);
    assert.equal(await value(name, OTHER_ACCOUNT), first);
    await kilnOutput(['alias', 'set', name, second]);
    assert.equal(await value(`arn:aws:ssm:${REGION}::parameter${name}`, OTHER_ACCOUNT), second);
    const [made] = await launch({ ImageId: `resolve:ssm:${name}` });
    assert.equal(made!.ImageId, second);
    const listed = await ssm(OTHER_ACCOUNT).send(new GetParametersByPathCommand({ Path: '/aws/service', Recursive: true }));
    assert.deepEqual(listed.Parameters!.filter((each) => each.Name === name).map((each) => [each.Value, each.Version]), [[second, 2]]);
    assert.match(await kilnOutput(['alias', 'list']), new RegExp(`${name}  ${second}  version 2`));
    await assertRefused(put(name, first, { Overwrite: true }), 'AccessDeniedException');
    await assertRefused(ssm().send(new DeleteParameterCommand({ Name: name })), 'ParameterNotFound');
    assert.equal(await value(name), second);
  });

  test('an image that does not launch any more leaves the one before it, and none leaves nothing', async () => {
    await ec2().send(new DisableImageCommand({ ImageId: second }));
    assert.equal(await value(name), first);
    assert.equal(await value(name, OTHER_ACCOUNT), first);
    await ec2().send(new EnableImageCommand({ ImageId: second }));
    // Enabled, and not public any more: its owner has it back, others do not.
    assert.equal(await value(name), second);
    assert.equal(await value(name, OTHER_ACCOUNT), first);
    assert.equal((await ssm(OTHER_ACCOUNT).send(new GetParameterHistoryCommand({ Name: name }))).Parameters!.length, 1);
    await ec2().send(new DeregisterImageCommand({ ImageId: second }));
    assert.equal(await value(name), first);
    await ec2().send(new DeregisterImageCommand({ ImageId: first }));
    for (const account of [ACCOUNT, OTHER_ACCOUNT]) await assertRefused(ssm(account).send(new GetParameterCommand({ Name: name })), 'ParameterNotFound');
    await assertRefused(launch({ ImageId: `resolve:ssm:${name}` }), 'SsmInvalidParameter');
  });

  test('the operator is told what cannot be', async () => {
    const wrong = async (words: string[], said: RegExp) => {
      const ran = await kiln(['alias', ...words]);
      assert.notEqual(ran.status, 0);
      assert.match(ran.stderr, said);
    };
    await wrong(['set', alias, 'ami-0123456789abcdef0'], /does not exist/);
    await wrong(['set', alias, first], /no longer available/);
    await wrong(['set', 'a b', (await baseImage()).ImageId], /is no alias/);
    await wrong(['delete', 'never-there'], /there is no alias/);
    const ran = await kiln(['alias', 'set', uniqueName('private'), (await baseImage()).ImageId]);
    assert.equal(ran.status, 0);
    assert.match(ran.stderr, /is not public/);
    await kilnOutput(['alias', 'delete', alias]);
    assert.doesNotMatch(await kilnOutput(['alias', 'list']), new RegExp(name));
  });
});
