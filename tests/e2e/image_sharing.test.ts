// Images: what their owner shares and takes back, in every shape that clients send, and who then sees what.
import {
  CancelImageLaunchPermissionCommand, CopyImageCommand, DeregisterImageCommand, DescribeImageAttributeCommand,
  DescribeImagesCommand, ModifyImageAttributeCommand, type ModifyImageAttributeCommandInput, RegisterImageCommand,
  type RegisterImageCommandInput, ResetImageAttributeCommand, RunInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused, send } from './refusals.ts';
import { aws, ec2, MEMBER_OF, OTHER_ACCOUNT, REGION } from './region.ts';
import { baseImage, image, snapshotOf, uniqueName } from './things.ts';

const mine = () => ec2();
const other = () => ec2(OTHER_ACCOUNT);
const ORGANIZATION = MEMBER_OF[0]!;
const UNIT = MEMBER_OF[1]!;

describe('sharing images', () => {
  let snapshotId = '';
  before(async () => {
    snapshotId = snapshotOf(await baseImage());
  });

  after(async () => {
    for (const ImageId of registered) await mine().send(new DeregisterImageCommand({ ImageId }));
  });

  const registered = new Set<string>();
  const register = async (change: Partial<RegisterImageCommandInput> = {}): Promise<string> => {
    const made = await mine().send(new RegisterImageCommand({
      Name: uniqueName('shared'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotId } }], ...change,
    }));
    registered.add(made.ImageId!);
    return made.ImageId!;
  };
  const change = (ImageId: string, more: Partial<ModifyImageAttributeCommandInput>, client = mine()) =>
    client.send(new ModifyImageAttributeCommand({ ImageId, ...more }));
  const shares = async (ImageId: string) =>
    (await mine().send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'launchPermission' }))).LaunchPermissions!
      .map((p) => p.UserId ?? p.Group ?? p.OrganizationArn ?? p.OrganizationalUnitArn).sort();
  const attribute = (ImageId: string, Attribute: string) => mine().send(new DescribeImageAttributeCommand({ ImageId, Attribute: Attribute as never }));
  const seenBy = async (client: ReturnType<typeof ec2>, query: object) =>
    (await client.send(new DescribeImagesCommand(query))).Images!.map((found) => found.ImageId);

  test('what an image was registered with is kept and told', async () => {
    const id = await register({
      BootMode: 'uefi', TpmSupport: 'v2.0', ImdsSupport: 'v2.0', EnaSupport: true, SriovNetSupport: 'simple',
      UefiData: 'QU1aTlVFRkk=', ImageLocation: 'somewhere/else',
    });
    const found = await image(id);
    assert.deepEqual([found.BootMode, found.TpmSupport, found.ImdsSupport, found.EnaSupport, found.SriovNetSupport, found.ImageLocation],
      ['uefi', 'v2.0', 'v2.0', true, 'simple', 'somewhere/else']);
    assert.equal((await attribute(id, 'uefiData')).UefiData?.Value, 'QU1aTlVFRkk=');
    assert.equal((await attribute(id, 'bootMode')).BootMode?.Value, 'uefi');
    assert.equal((await attribute(id, 'tpmSupport')).TpmSupport?.Value, 'v2.0');
    assert.equal((await attribute(id, 'imdsSupport')).ImdsSupport?.Value, 'v2.0');
    assert.equal((await attribute(id, 'sriovNetSupport')).SriovNetSupport?.Value, 'simple');
    assert.deepEqual((await attribute(id, 'productCodes')).ProductCodes, []);
    await assertRefused(attribute(id, 'blockDeviceMapping'), 'AuthFailure');
    await assertRefused(register({ UefiData: '%' }), 'InvalidParameterValue');
    await assertRefused(register({ ImageLocation: 'bucket/manifest.xml', BlockDeviceMappings: [] }), 'UnsupportedOperation');
    const old = await register();
    assert.equal((await image(old)).ImdsSupport, undefined);
    await change(old, { ImdsSupport: { Value: 'v2.0' } });
    assert.equal((await image(old)).ImdsSupport, 'v2.0');
    await assertRefused(change(old, { Attribute: 'imdsSupport', Value: 'v1.0' }), 'InvalidParameterValue');
  });

  test('an organisation and a unit of one may launch what is shared with them', async () => {
    const id = await register();
    const shapes: [Partial<ModifyImageAttributeCommandInput>, string][] = [
      [{ LaunchPermission: { Add: [{ OrganizationArn: ORGANIZATION }] } }, ORGANIZATION],
      [{ Attribute: 'launchPermission', OperationType: 'add', OrganizationalUnitArns: [UNIT] }, UNIT],
    ];
    for (const [shape, arn] of shapes) {
      assert.ok(!(await seenBy(other(), {})).includes(id));
      await change(id, shape);
      assert.deepEqual(await shares(id), [arn]);
      assert.ok((await seenBy(other(), { ExecutableUsers: ['self'] })).includes(id));
      assert.deepEqual(await seenBy(other(), { ImageIds: [id] }), [id]);
      await assertRefused(other().send(new CancelImageLaunchPermissionCommand({ ImageId: id })), 'InvalidRequest');
      await mine().send(new ResetImageAttributeCommand({ ImageId: id, Attribute: 'launchPermission' }));
      assert.deepEqual(await shares(id), []);
    }
    const bad = { LaunchPermission: { Add: [{ OrganizationArn: 'arn:aws:organizations::1:organization/o-1' }] } };
    await assertRefused(change(id, bad), 'InvalidAMIAttributeItemValue', /organizationArn item type/);
    await assertRefused(change(id, { LaunchPermission: { Add: [{ OrganizationalUnitArn: ORGANIZATION }] } }), 'InvalidAMIAttributeItemValue');
  });

  test('what others are given is not shown to those who see the image', async () => {
    const id = await register();
    await change(id, { LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }, { UserId: '333333333333' }, { Group: 'all' }] } });
    assert.ok((await seenBy(mine(), { ExecutableUsers: ['333333333333'] })).includes(id));
    assert.ok(!(await seenBy(other(), { ExecutableUsers: ['333333333333'] })).includes(id));
    assert.ok((await seenBy(other(), { ExecutableUsers: ['all'] })).includes(id));
    await assertRefused(other().send(new DescribeImageAttributeCommand({ ImageId: id, Attribute: 'launchPermission' })), 'AuthFailure');
  });

  test('one whom an image is shared with gives that back', async () => {
    const id = await register();
    await change(id, { LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } });
    await aws(['ec2', 'cancel-image-launch-permission', '--image-id', id], { account: OTHER_ACCOUNT });
    assert.deepEqual(await shares(id), []);
    await assertRefused(other().send(new CancelImageLaunchPermissionCommand({ ImageId: id })), 'InvalidAMIID.NotFound');
    await assertRefused(mine().send(new CancelImageLaunchPermissionCommand({ ImageId: id })), 'InvalidRequest');
    await assertRefused(mine().send(new CancelImageLaunchPermissionCommand({ ImageId: 'x' })), 'InvalidAMIID.Malformed');
  });

  test('only the permission to launch can be reset, and only by the owner', async () => {
    const id = await register();
    const reset = (client: ReturnType<typeof ec2>, Attribute: string, ImageId = id) =>
      client.send(new ResetImageAttributeCommand({ ImageId, Attribute: Attribute as never }));
    await assertRefused(reset(mine(), 'description'), 'InvalidParameterValue');
    await assertRefused(reset(mine(), 'launchPermission', 'ami-00000000000000000'), 'InvalidAMIID.NotFound');
    await assertRefused(reset(other(), 'launchPermission'), 'InvalidAMIID.NotFound');
    await change(id, { LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } });
    await assertRefused(reset(other(), 'launchPermission'), 'AuthFailure');
    assert.deepEqual(await shares(id), [OTHER_ACCOUNT]);
  });

  test('the request of Packer, which mixes two shapes, means the structured one', async () => {
    const id = await register();
    const answer = await send({
      body: `Action=ModifyImageAttribute&Version=2016-11-15&ImageId=${id}&LaunchPermission.Add.1.UserId=${OTHER_ACCOUNT}&UserId.1=${OTHER_ACCOUNT}&UserGroup.1=`,
    });
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(await shares(id), [OTHER_ACCOUNT]);
    await assertRefused(change(id, { Description: { Value: 'x' }, LaunchPermission: { Remove: [{ UserId: OTHER_ACCOUNT }] } }), 'InvalidParameterCombination');
    await assertRefused(change(id, { Attribute: 'launchPermission', UserIds: [OTHER_ACCOUNT] }), 'MissingParameter');
    await assertRefused(change(id, { Attribute: 'launchPermission', OperationType: 'give' as never, UserIds: [OTHER_ACCOUNT] }), 'InvalidParameterValue');
  });

  test('to strangers an image that is there is as one that is not', async () => {
    const id = await register();
    const unknown = 'ami-00000000000000000';
    const said = async (ImageId: string) => {
      const told: string[] = [];
      for (const call of [
        () => other().send(new DescribeImagesCommand({ ImageIds: [ImageId] })),
        () => other().send(new DescribeImageAttributeCommand({ ImageId, Attribute: 'description' })),
        () => change(ImageId, { Description: { Value: 'x' } }, other()),
        () => other().send(new ResetImageAttributeCommand({ ImageId, Attribute: 'launchPermission' })),
        () => other().send(new CancelImageLaunchPermissionCommand({ ImageId })),
        () => other().send(new DeregisterImageCommand({ ImageId })),
        () => other().send(new CopyImageCommand({ Name: uniqueName('copy'), SourceRegion: REGION, SourceImageId: ImageId })),
        () => other().send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1 })),
      ]) {
        const error = await call().then(() => assert.fail('it was not refused'), (e: Error) => e);
        told.push(`${error.name}: ${error.message.replaceAll(ImageId, 'ID')}`);
      }
      return told;
    };
    assert.deepEqual(await said(id), await said(unknown));
  });

  test('pages hold every image once while others come and go', async () => {
    const tag = uniqueName('paged');
    const TagSpecifications = [{ ResourceType: 'image' as const, Tags: [{ Key: 'page', Value: tag }] }];
    const ids: string[] = [];
    for (let i = 0; i < 6; ++i) ids.push(await register({ TagSpecifications }));
    const sorted = [...ids].sort();
    const Filters = [{ Name: 'tag:page', Values: [tag] }];
    const seen: string[] = [];
    let token: string | undefined;
    let gone = '';
    do {
      const page: { Images?: { ImageId?: string }[]; NextToken?: string } =
        await mine().send(new DescribeImagesCommand({ Filters, MaxResults: 2, NextToken: token }));
      assert.ok(page.Images!.length <= 2);
      seen.push(...page.Images!.map((found) => found.ImageId!));
      token = page.NextToken;
      if (gone === '') {
        gone = sorted[0]!; // it has been seen
        await mine().send(new DeregisterImageCommand({ ImageId: gone }));
        registered.delete(gone);
        await register({ TagSpecifications });
      }
    } while (token);
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(sorted.filter((id) => !seen.includes(id)), []);
  });
});
