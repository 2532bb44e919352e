// Launch templates: versions, the default one, what a launch makes of them, and who may.
import {
  CreateLaunchTemplateCommand, type CreateLaunchTemplateCommandInput, CreateLaunchTemplateVersionCommand, CreateTagsCommand, DeleteLaunchTemplateCommand,
  DeleteLaunchTemplateVersionsCommand, DescribeImageReferencesCommand, DescribeLaunchTemplatesCommand, DescribeLaunchTemplateVersionsCommand,
  type DescribeLaunchTemplateVersionsCommandInput, DescribeVolumesCommand, GetLaunchTemplateDataCommand, type LaunchTemplate, ModifyLaunchTemplateCommand,
  type RequestLaunchTemplateData, RunInstancesCommand, type RunInstancesCommandInput,
} from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, iam, type Keys, OTHER_ACCOUNT, REGION, ssm } from './region.ts';
import { baseImage, instances, launch, terminate, terminateLaunched, uniqueName } from './things.ts';

const UNKNOWN = 'lt-0123456789abcdef0';
let imageId = '';
before(async () => {
  imageId = (await baseImage()).ImageId;
});

type Template = LaunchTemplate & { LaunchTemplateId: string; LaunchTemplateName: string };
async function template(data: RequestLaunchTemplateData = {}, more: Partial<CreateLaunchTemplateCommandInput> = {}): Promise<Template> {
  const made = await ec2().send(new CreateLaunchTemplateCommand({
    LaunchTemplateName: uniqueName('template'), LaunchTemplateData: { ImageId: imageId, InstanceType: 't3.nano', ...data }, ...more }));
  return made.LaunchTemplate as Template;
}
const version = (of: Template, data: RequestLaunchTemplateData, SourceVersion?: string) => ec2().send(new CreateLaunchTemplateVersionCommand({
  LaunchTemplateId: of.LaunchTemplateId, LaunchTemplateData: data, SourceVersion, VersionDescription: 'another' }));
const versions = async (more: DescribeLaunchTemplateVersionsCommandInput) =>
  (await ec2().send(new DescribeLaunchTemplateVersionsCommand(more))).LaunchTemplateVersions!;
// Launches by a template alone, or with what the request says besides.
async function run(LaunchTemplate: object, more: Partial<RunInstancesCommandInput> = {}) {
  const made = await ec2().send(new RunInstancesCommand({ MinCount: 1, MaxCount: 1, LaunchTemplate, ...more }));
  return made.Instances![0]!;
}

describe('launch templates: versions', () => {
  test('a template is made, described by id and name, filtered, and deleted', async () => {
    const made = await template({}, { TagSpecifications: [{ ResourceType: 'launch-template', Tags: [{ Key: 'use', Value: 'test' }] }], VersionDescription: 'first' });
    assert.match(made.LaunchTemplateId, /^lt-[0-9a-f]{17}$/);
    assert.deepEqual([made.DefaultVersionNumber, made.LatestVersionNumber, made.CreatedBy, made.Tags], [1, 1, `arn:aws:iam::${ACCOUNT}:root`, [{ Key: 'use', Value: 'test' }]]);
    for (const by of [{ LaunchTemplateIds: [made.LaunchTemplateId] }, { LaunchTemplateNames: [made.LaunchTemplateName] },
      { Filters: [{ Name: 'launch-template-name', Values: [made.LaunchTemplateName] }] }, { Filters: [{ Name: 'tag:use', Values: ['test'] }] }]) {
      const found = await ec2().send(new DescribeLaunchTemplatesCommand(by));
      assert.ok(found.LaunchTemplates!.some((each) => each.LaunchTemplateId === made.LaunchTemplateId), JSON.stringify(by));
    }
    await ec2().send(new CreateTagsCommand({ Resources: [made.LaunchTemplateId], Tags: [{ Key: 'more', Value: 'x' }] }));
    const [told] = await versions({ LaunchTemplateId: made.LaunchTemplateId });
    assert.deepEqual([told!.VersionNumber, told!.DefaultVersion, told!.VersionDescription, told!.LaunchTemplateData!.ImageId], [1, true, 'first', imageId]);
    const gone = await ec2().send(new DeleteLaunchTemplateCommand({ LaunchTemplateName: made.LaunchTemplateName }));
    assert.equal(gone.LaunchTemplate!.LaunchTemplateId, made.LaunchTemplateId);
    await assertRefused(ec2().send(new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [made.LaunchTemplateId] })), 'InvalidLaunchTemplateId.NotFound', /does not exist/);
    await assertRefused(ec2().send(new DescribeLaunchTemplatesCommand({ LaunchTemplateNames: [made.LaunchTemplateName] })), 'InvalidLaunchTemplateName.NotFoundException');
    await assertRefused(ec2().send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: made.LaunchTemplateId })), 'InvalidLaunchTemplateId.NotFound');
  });

  test('everything that is said comes back', async () => {
    const data: RequestLaunchTemplateData = {
      KeyName: 'k', UserData: 'eHl6', EbsOptimized: false, DisableApiTermination: true, InstanceInitiatedShutdownBehavior: 'terminate',
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 3, VolumeType: 'gp3', DeleteOnTermination: true, Encrypted: true } }],
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: 'subnet-1', Groups: ['sg-1', 'sg-2'], AssociatePublicIpAddress: false, DeleteOnTermination: true }],
      Placement: { AvailabilityZone: `${REGION}b`, Tenancy: 'default' }, Monitoring: { Enabled: true }, CpuOptions: { CoreCount: 1, ThreadsPerCore: 1 },
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2, HttpEndpoint: 'enabled' }, CreditSpecification: { CpuCredits: 'standard' },
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'a', Value: 'b' }] }], IamInstanceProfile: { Name: 'p' }, EnclaveOptions: { Enabled: false },
      HibernationOptions: { Configured: false }, MaintenanceOptions: { AutoRecovery: 'default' }, DisableApiStop: false,
    };
    const made = await template(data);
    const [told] = await versions({ LaunchTemplateName: made.LaunchTemplateName });
    assert.deepEqual(told!.LaunchTemplateData, { ...data, ImageId: imageId, InstanceType: 't3.nano', SecurityGroupIds: [], SecurityGroups: [] });
    const groups = await template({ SecurityGroupIds: ['sg-1'], SecurityGroups: ['default'] });
    const [second] = await versions({ LaunchTemplateId: groups.LaunchTemplateId });
    assert.deepEqual([second!.LaunchTemplateData!.SecurityGroupIds, second!.LaunchTemplateData!.SecurityGroups], [['sg-1'], ['default']]);
  });

  test('versions build on others, are counted, chosen and deleted but for the default', async () => {
    const made = await template({ UserData: 'eA==' });
    const second = (await version(made, { InstanceType: 't3.micro' }, '1')).LaunchTemplateVersion!;
    assert.deepEqual([second.VersionNumber, second.DefaultVersion, second.LaunchTemplateData!.ImageId, second.LaunchTemplateData!.InstanceType, second.LaunchTemplateData!.UserData],
      [2, false, imageId, 't3.micro', 'eA==']);
    const third = (await version(made, { InstanceType: 't3.small' })).LaunchTemplateVersion!;
    assert.equal(third.LaunchTemplateData!.ImageId, undefined);
    const LaunchTemplateId = made.LaunchTemplateId;
    const numbers = async (more: object) => (await versions({ LaunchTemplateId, ...more })).map((each) => each.VersionNumber);
    assert.deepEqual(await numbers({}), [3, 2, 1]);
    assert.deepEqual(await numbers({ Versions: ['$Latest'] }), [3]);
    assert.deepEqual(await numbers({ Versions: ['$Default', '2'] }), [2, 1]);
    assert.deepEqual(await numbers({ MinVersion: '2' }), [3, 2]);
    assert.deepEqual(await numbers({ MaxVersion: '2' }), [2, 1]);
    assert.deepEqual(await numbers({ Filters: [{ Name: 'instance-type', Values: ['t3.m*'] }] }), [2]);
    const first = await ec2().send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId, MaxResults: 2 }));
    assert.deepEqual(await numbers({ NextToken: first.NextToken }), [1]);
    await assertRefused(numbers({ Versions: ['9'] }), 'InvalidLaunchTemplateId.VersionNotFound', /Could not find the specified version 9/);
    await assertRefused(numbers({ Filters: [{ Name: 'colour', Values: ['x'] }] }), 'InvalidParameterValue');
    const every = await versions({ Versions: ['$Latest'] });
    assert.deepEqual(every.filter((each) => each.LaunchTemplateId === LaunchTemplateId).map((each) => each.VersionNumber), [3]);
    const changed = await ec2().send(new ModifyLaunchTemplateCommand({ LaunchTemplateId, DefaultVersion: '2' }));
    assert.deepEqual([changed.LaunchTemplate!.DefaultVersionNumber, changed.LaunchTemplate!.LatestVersionNumber], [2, 3]);
    await assertRefused(ec2().send(new ModifyLaunchTemplateCommand({ LaunchTemplateId, DefaultVersion: '7' })), 'InvalidLaunchTemplateId.VersionNotFound');
    const gone = await ec2().send(new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: ['1', '2', '8'] }));
    assert.deepEqual(gone.SuccessfullyDeletedLaunchTemplateVersions!.map((each) => each.VersionNumber), [1]);
    assert.deepEqual(gone.UnsuccessfullyDeletedLaunchTemplateVersions!.map((each) => [each.VersionNumber, each.ResponseError!.Code]),
      [[2, 'unexpectedError'], [8, 'launchTemplateVersionDoesNotExist']]);
    assert.equal((await version(made, { InstanceType: 't3.small' })).LaunchTemplateVersion!.VersionNumber, 4);
    await assertRefused(ec2().send(new DeleteLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: [] })), 'MissingParameter');
  });

  test('a token makes one template and one version', async () => {
    const input = { LaunchTemplateName: uniqueName('once'), LaunchTemplateData: { ImageId: imageId }, ClientToken: uniqueName('token') };
    const made = await Promise.all([1, 2, 3].map(() => ec2().send(new CreateLaunchTemplateCommand(input))));
    assert.equal(new Set(made.map((each) => each.LaunchTemplate!.LaunchTemplateId)).size, 1);
    await assertRefused(ec2().send(new CreateLaunchTemplateCommand({ ...input, VersionDescription: 'other' })), 'IdempotentParameterMismatch');
    await assertRefused(ec2().send(new CreateLaunchTemplateCommand({ ...input, ClientToken: uniqueName('token') })), 'InvalidLaunchTemplateName.AlreadyExistsException', /already in use/);
    const next = { LaunchTemplateName: input.LaunchTemplateName, LaunchTemplateData: { ImageId: imageId }, ClientToken: uniqueName('token') };
    const two = [await ec2().send(new CreateLaunchTemplateVersionCommand(next)), await ec2().send(new CreateLaunchTemplateVersionCommand(next))];
    assert.deepEqual(two.map((each) => each.LaunchTemplateVersion!.VersionNumber), [2, 2]);
  });

  test('names, ids and what is left out are refused; what is wrong with the rest is a warning', async () => {
    const create = (more: object) => ec2().send(new CreateLaunchTemplateCommand({ LaunchTemplateName: uniqueName('bad'), LaunchTemplateData: { ImageId: imageId }, ...more }));
    for (const name of ['ab', 'a b c', 'x'.repeat(129)]) await assertRefused(create({ LaunchTemplateName: name }), 'InvalidLaunchTemplateName.MalformedException');
    await assertRefused(create({ LaunchTemplateData: {} }), 'MissingParameter');
    await assertRefused(create({ TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'a', Value: 'b' }] }] }), 'InvalidParameterValue');
    await assertRefused(create({ LaunchTemplateData: { ImageId: 'resolve:ssm:/not/there' } }), 'SsmInvalidParameter');
    const warned = await create({ LaunchTemplateData: { ImageId: 'ami-0123456789abcdef0', InstanceType: 'x9.tiny' } });
    assert.deepEqual(warned.Warning!.Errors!.map((each) => each.Code), ['InvalidAMIID.NotFound', 'InvalidParameterValue']);
    await assertRefused(versions({ LaunchTemplateId: 'x' }), 'InvalidLaunchTemplateId.Malformed');
    await assertRefused(versions({}), 'MissingParameter');
    await assertRefused(versions({ LaunchTemplateId: UNKNOWN, LaunchTemplateName: 'both' }), 'InvalidParameterCombination');
    await assertRefused(ec2().send(new ModifyLaunchTemplateCommand({ LaunchTemplateId: UNKNOWN, DefaultVersion: '1' })), 'InvalidLaunchTemplateId.NotFound');
    await assertRefused(ec2().send(new CreateLaunchTemplateVersionCommand({ LaunchTemplateName: 'not-there', LaunchTemplateData: { ImageId: imageId } })), 'InvalidLaunchTemplateName.NotFoundException');
    await assertRefused(ec2().send(new GetLaunchTemplateDataCommand({ InstanceId: 'i-0123456789abcdef0' })), 'InvalidInstanceID.NotFound');
    const made = await template();
    await assertRefused(ec2(OTHER_ACCOUNT).send(new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [made.LaunchTemplateId] })), 'InvalidLaunchTemplateId.NotFound');
  });
});

describe('launch templates: launches', () => {
  const kept: string[] = [];
  after(async () => {
    await terminate(kept);
    await terminateLaunched();
  });
  const tag = (instance: { Tags?: { Key?: string; Value?: string }[] }, key: string) => instance.Tags!.find((each) => each.Key === key)?.Value;

  test('a launch takes what the template says, and the request says otherwise', async () => {
    const made = await template({
      InstanceType: 't3.micro', Placement: { AvailabilityZone: `${REGION}b` }, MetadataOptions: { HttpTokens: 'required' },
      BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 3 } }, { DeviceName: '/dev/sdg', Ebs: { VolumeSize: 4 } }],
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'from', Value: 'template' }, { Key: 'both', Value: 'template' }] },
        { ResourceType: 'volume', Tags: [{ Key: 'disk', Value: 'yes' }] }],
    });
    const plain = await run({ LaunchTemplateId: made.LaunchTemplateId });
    const other = await run({ LaunchTemplateName: made.LaunchTemplateName, Version: '$Latest' }, {
      InstanceType: 't3.nano', MetadataOptions: { HttpPutResponseHopLimit: 3 }, BlockDeviceMappings: [{ DeviceName: '/dev/sdg', Ebs: { VolumeSize: 5 } }],
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'both', Value: 'request' }] }],
    });
    kept.push(plain.InstanceId!, other.InstanceId!);
    assert.deepEqual([plain.ImageId, plain.InstanceType, plain.Placement!.AvailabilityZone, plain.MetadataOptions!.HttpTokens, tag(plain, 'from'), tag(plain, 'both')],
      [imageId, 't3.micro', `${REGION}b`, 'required', 'template', 'template']);
    assert.deepEqual([tag(plain, 'aws:ec2launchtemplate:id'), tag(plain, 'aws:ec2launchtemplate:version')], [made.LaunchTemplateId, '1']);
    assert.deepEqual([other.InstanceType, other.MetadataOptions!.HttpTokens, other.MetadataOptions!.HttpPutResponseHopLimit, tag(other, 'from'), tag(other, 'both')],
      ['t3.nano', 'required', 3, 'template', 'request']);
    const disks = await ec2().send(new DescribeVolumesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [other.InstanceId!] }, { Name: 'tag:disk', Values: ['yes'] }] }));
    const sizes = new Map(disks.Volumes!.map((each) => [each.Attachments![0]!.Device, each.Size]));
    assert.deepEqual([sizes.get('/dev/sdf'), sizes.get('/dev/sdg')], [3, 5]);
  });

  test('by default the default version is taken, and what is not there is refused', async () => {
    const made = await template();
    await version(made, { ImageId: imageId, InstanceType: 't3.small' });
    const first = await run({ LaunchTemplateId: made.LaunchTemplateId });
    const latest = await run({ LaunchTemplateId: made.LaunchTemplateId, Version: '2' });
    kept.push(first.InstanceId!, latest.InstanceId!);
    assert.deepEqual([first.InstanceType, latest.InstanceType], ['t3.nano', 't3.small']);
    await assertRefused(run({ LaunchTemplateId: UNKNOWN }), 'InvalidLaunchTemplateId.NotFound');
    await assertRefused(run({ LaunchTemplateName: 'not-there' }), 'InvalidLaunchTemplateName.NotFoundException');
    await assertRefused(run({ LaunchTemplateId: made.LaunchTemplateId, Version: '9' }), 'InvalidLaunchTemplateId.VersionNotFound');
    await assertRefused(run({ LaunchTemplateId: made.LaunchTemplateId, Version: 'x' }), 'InvalidLaunchTemplateId.VersionNotFound');
    const empty = await template({ ImageId: undefined });
    await assertRefused(run({ LaunchTemplateId: empty.LaunchTemplateId }), 'MissingParameter', /ImageId/);
  });

  test('an image may be named by a parameter, which is asked at each launch', async () => {
    const name = `/${uniqueName('templated')}`;
    await ssm().send(new PutParameterCommand({ Name: name, Value: imageId, Type: 'String', DataType: 'aws:ec2:image' }));
    const made = await template({ ImageId: `resolve:ssm:${name}` });
    const told = async (ResolveAlias: boolean) => (await versions({ LaunchTemplateId: made.LaunchTemplateId, ResolveAlias }))[0]!.LaunchTemplateData!.ImageId;
    assert.equal(await told(false), `resolve:ssm:${name}`);
    assert.equal(await told(true), imageId);
    const launched = await run({ LaunchTemplateId: made.LaunchTemplateId });
    kept.push(launched.InstanceId!);
    assert.equal(launched.ImageId, imageId);
    const references = async (more: object = {}) => (await ec2().send(new DescribeImageReferencesCommand({
      ImageIds: [imageId], ResourceTypes: [{ ResourceType: 'ec2:LaunchTemplate', ...more }] }))).ImageReferences!.map((each) => each.Arn);
    const arn = (of: Template) => `arn:aws:ec2:${REGION}:${ACCOUNT}:launch-template/${of.LaunchTemplateId}`;
    assert.ok((await references()).includes(arn(made)));
    const moved = await template();
    await version(moved, { InstanceType: 't3.nano' });
    await ec2().send(new ModifyLaunchTemplateCommand({ LaunchTemplateId: moved.LaunchTemplateId, DefaultVersion: '2' }));
    assert.ok((await references()).includes(arn(moved)));
    const depth = (value: string) => ({ ResourceTypeOptions: [{ OptionName: 'version-depth', OptionValues: [value] }] });
    assert.ok(!(await references(depth('1'))).includes(arn(moved)));
    await assertRefused(references(depth('many')), 'InvalidParameterValue');
  });

  test('the data of an instance launches another like it', async () => {
    const [one] = await launch({ InstanceType: 't3.micro', UserData: 'eHl6' });
    const data = (await ec2().send(new GetLaunchTemplateDataCommand({ InstanceId: one!.InstanceId }))).LaunchTemplateData!;
    assert.deepEqual([data.ImageId, data.InstanceType, data.UserData, data.Placement!.AvailabilityZone], [imageId, 't3.micro', 'eHl6', one!.Placement!.AvailabilityZone]);
    const made = await template({ ...data, SecurityGroupIds: undefined, SecurityGroups: undefined } as RequestLaunchTemplateData);
    const second = await run({ LaunchTemplateId: made.LaunchTemplateId });
    kept.push(second.InstanceId!);
    assert.deepEqual([second.InstanceType, second.SubnetId], ['t3.micro', one!.SubnetId]);
  });

  test('a launch by a template is judged by all that it uses, and by the template', async () => {
    const made = await template();
    const UserName = uniqueName('launcher');
    await iam().send(new iamApi.CreateUserCommand({ UserName }));
    const key = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    const keys: Keys = { accessKeyId: key.AccessKeyId!, secretAccessKey: key.SecretAccessKey! };
    const theirs = ec2(ACCOUNT, { keys });
    const may = (...statements: object[]) => iam().send(new iamApi.PutUserPolicyCommand({
      UserName, PolicyName: 'its', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: statements }) }));
    const dry = (more: object = {}) => theirs.send(new RunInstancesCommand({
      MinCount: 1, MaxCount: 1, DryRun: true, LaunchTemplate: { LaunchTemplateName: made.LaunchTemplateName }, ...more }));
    const arn = `arn:aws:ec2:${REGION}:${ACCOUNT}:launch-template/${made.LaunchTemplateId}`;
    const run = { Effect: 'Allow', Action: 'ec2:RunInstances' };
    await may({ ...run, NotResource: 'arn:aws:ec2:*:*:launch-template/*' });
    await assertRefused(dry(), 'UnauthorizedOperation', /launch-template/);
    await may({ ...run, NotResource: 'arn:aws:ec2:*::image/*' });
    await assertRefused(dry(), 'UnauthorizedOperation', new RegExp(`image/${imageId}`));
    await may({ ...run, Resource: '*', Condition: { ArnLike: { 'ec2:LaunchTemplate': arn } } });
    await assertRefused(dry(), 'DryRunOperation');
    await assertRefused(dry({ LaunchTemplate: undefined, ImageId: imageId }), 'UnauthorizedOperation');
    const launched = (await dry({ DryRun: false })).Instances![0]!;
    kept.push(launched.InstanceId!);
    await may({ ...run, Resource: '*' }, { Effect: 'Deny', Action: 'ec2:RunInstances', Resource: 'arn:aws:ec2:*:*:instance/*', Condition: { StringEquals: { 'ec2:InstanceType': 't3.nano' } } });
    await assertRefused(dry(), 'UnauthorizedOperation');
    await assertRefused(dry({ InstanceType: 't3.micro' }), 'DryRunOperation');
    await may({ Effect: 'Deny', Action: '*', Resource: '*' });
    for (const absent of [{ LaunchTemplateId: UNKNOWN }, { LaunchTemplateName: 'not-there' }, { LaunchTemplateId: made.LaunchTemplateId, Version: '9' }]) {
      await assertRefused(dry({ LaunchTemplate: absent }), 'UnauthorizedOperation');
    }
    const ofIt = { LaunchTemplateId: made.LaunchTemplateId };
    for (const call of [
      () => theirs.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: uniqueName('x'), LaunchTemplateData: { ImageId: imageId } })),
      () => theirs.send(new CreateLaunchTemplateVersionCommand({ ...ofIt, LaunchTemplateData: { ImageId: imageId } })), () => theirs.send(new DescribeLaunchTemplatesCommand({})),
      () => theirs.send(new DescribeLaunchTemplateVersionsCommand(ofIt)), () => theirs.send(new ModifyLaunchTemplateCommand({ ...ofIt, DefaultVersion: '1' })),
      () => theirs.send(new DeleteLaunchTemplateCommand(ofIt)), () => theirs.send(new DeleteLaunchTemplateVersionsCommand({ ...ofIt, Versions: ['1'] })),
      () => theirs.send(new GetLaunchTemplateDataCommand({ InstanceId: launched.InstanceId })),
    ]) await assertRefused(call(), 'UnauthorizedOperation');
    const name = `/${uniqueName('secret')}`;
    await ssm().send(new PutParameterCommand({ Name: name, Value: imageId, Type: 'String', DataType: 'aws:ec2:image' }));
    const secret = await template({ ImageId: `resolve:ssm:${name}` });
    await may({ Effect: 'Allow', Action: 'ec2:*', Resource: '*' });
    const told = (ResolveAlias: boolean) => theirs.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: secret.LaunchTemplateId, ResolveAlias }));
    await told(false);
    await assertRefused(told(true), 'SsmAccessDenied', /ssm:GetParameters/);
    await assertRefused(dry({ LaunchTemplate: { LaunchTemplateId: secret.LaunchTemplateId } }), 'SsmAccessDenied');
    await may({ Effect: 'Allow', Action: 'ec2:*LaunchTemplate*', Resource: arn });
    await theirs.send(new CreateLaunchTemplateVersionCommand({ ...ofIt, LaunchTemplateData: { ImageId: imageId } }));
    await theirs.send(new DeleteLaunchTemplateCommand({ LaunchTemplateName: made.LaunchTemplateName }));
  });

  test('what they launched goes on when they are gone', async () => {
    const made = await template();
    const launched = await run({ LaunchTemplateId: made.LaunchTemplateId });
    kept.push(launched.InstanceId!);
    await ec2().send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: made.LaunchTemplateId }));
    assert.equal((await instances([launched.InstanceId!]))[0]!.ImageId, imageId);
  });
});
