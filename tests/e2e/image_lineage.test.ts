// Where an image comes from, and what was launched from it.
import {
  CopyImageCommand, DeregisterImageCommand, DescribeImageReferencesCommand, DescribeImagesCommand, DescribeInstanceImageMetadataCommand, GetImageAncestryCommand,
  RegisterImageCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, OTHER_ACCOUNT, REGION, SECOND_REGION } from './region.ts';
import { baseImage, launch, snapshotOf, terminateLaunched, uniqueName, waitForImage, waitForInstance } from './things.ts';
import { waitFor } from './wait.ts';

const UNKNOWN = 'ami-00000000000000000';

describe('lineage', () => {
  let parent = '';
  let name = '';
  let instanceId = '';
  before(async () => {
    name = uniqueName('parent');
    const made = await ec2().send(new RegisterImageCommand({
      Name: name, Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotOf(await baseImage()) } }],
    }));
    parent = made.ImageId!;
    instanceId = (await launch({ ImageId: parent }))[0]!.InstanceId;
    await waitForInstance(instanceId);
  });
  after(() => terminateLaunched());
  const references = (more: object, client = ec2()) =>
    client.send(new DescribeImageReferencesCommand({ ImageIds: [parent], IncludeAllResourceTypes: true, ...more }));
  const metadata = async (more = {}, client = ec2()) =>
    (await client.send(new DescribeInstanceImageMetadataCommand({ InstanceIds: [instanceId], ...more }))).InstanceImageMetadata!;

  test('the instances of an image are found', async () => {
    const arn = `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${instanceId}`;
    const expected = [{ ImageId: parent, ResourceType: 'ec2:Instance', Arn: arn }];
    assert.deepEqual((await references({})).ImageReferences, expected);
    const of = (type: object) => references({ IncludeAllResourceTypes: undefined, ResourceTypes: [type] });
    assert.deepEqual((await of({ ResourceType: 'ec2:Instance' })).ImageReferences, expected);
    const stopped = { ResourceType: 'ec2:Instance', ResourceTypeOptions: [{ OptionName: 'state-name', OptionValues: ['stopped'] }] };
    assert.deepEqual((await of(stopped)).ImageReferences, []);
    for (const ResourceType of ['ec2:LaunchTemplate', 'ssm:Parameter', 'imagebuilder:ImageRecipe']) assert.deepEqual((await of({ ResourceType })).ImageReferences, []);
    await assertRefused(of({ ResourceType: 'ec2:Lemon' }), 'InvalidParameterValue');
    await assertRefused(references({ IncludeAllResourceTypes: undefined }), 'MissingParameter');
    await assertRefused(references({ ResourceTypes: [{ ResourceType: 'ec2:Instance' }] }), 'InvalidParameterCombination');
    await assertRefused(references({ ImageIds: [UNKNOWN] }), 'InvalidAMIID.NotFound');
    await assertRefused(references({}, ec2(OTHER_ACCOUNT)), 'InvalidAMIID.NotFound');
  });

  test('ancestors are told across regions, also after they were deregistered', async () => {
    const away = ec2(ACCOUNT, { region: SECOND_REGION });
    const far = (await away.send(new CopyImageCommand({ Name: uniqueName('far'), SourceRegion: REGION, SourceImageId: parent }))).ImageId!;
    await waitFor(`${far} being available`, 60, async () =>
      (await away.send(new DescribeImagesCommand({ ImageIds: [far] }))).Images![0]!.State === 'available');
    const back = (await ec2().send(new CopyImageCommand({ Name: uniqueName('back'), SourceRegion: SECOND_REGION, SourceImageId: far }))).ImageId!;
    await waitForImage(back);
    await away.send(new DeregisterImageCommand({ ImageId: far, DeleteAssociatedSnapshots: true }));
    const line = (await ec2().send(new GetImageAncestryCommand({ ImageId: back }))).ImageAncestryEntries!;
    assert.deepEqual(line.map((each) => [each.ImageId, each.SourceImageId, each.SourceImageRegion]), [
      [back, far, SECOND_REGION], [far, parent, REGION], [parent, undefined, undefined]]);
    assert.ok(line.every((each) => each.CreationDate instanceof Date));
    await ec2().send(new DeregisterImageCommand({ ImageId: back, DeleteAssociatedSnapshots: true }));
    await assertRefused(ec2(OTHER_ACCOUNT).send(new GetImageAncestryCommand({ ImageId: parent })), 'InvalidAMIID.NotFound');
    await assertRefused(ec2().send(new GetImageAncestryCommand({ ImageId: 'x' })), 'InvalidAMIID.Malformed');
  });

  test('what an instance was launched from is told after its image was deregistered', async () => {
    const [told] = await metadata();
    assert.deepEqual([told!.InstanceId, told!.OwnerId, told!.State?.Name, told!.ImageMetadata?.ImageId, told!.ImageMetadata?.Name,
      told!.ImageMetadata?.State, told!.ImageMetadata?.OwnerId, told!.ImageMetadata?.IsPublic, told!.ImageMetadata?.ImageAllowed],
    [instanceId, ACCOUNT, 'running', parent, name, 'available', ACCOUNT, false, true]);
    await ec2().send(new DeregisterImageCommand({ ImageId: parent }));
    const [after] = await metadata();
    assert.deepEqual([after!.ImageMetadata?.ImageId, after!.ImageMetadata?.Name, after!.ImageMetadata?.State], [parent, name, 'deregistered']);
    const filtered = { InstanceIds: undefined, Filters: [{ Name: 'instance-id', Values: [instanceId] }] };
    assert.equal((await metadata(filtered)).length, 1);
    assert.deepEqual(await metadata({ Filters: [{ Name: 'instance-state-name', Values: ['stopped'] }] }), []);
    await assertRefused(metadata({ Filters: [{ Name: 'colour', Values: ['blue'] }] }), 'InvalidParameterValue');
    await assertRefused(metadata({}, ec2(OTHER_ACCOUNT)), 'InvalidInstanceID.NotFound');
    await assertRefused(metadata({ InstanceIds: ['x'] }), 'InvalidInstanceID.Malformed');
  });
});
