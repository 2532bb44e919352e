// Reports on who uses an image. That they end after 30 days is shown by unit tests.
import {
  CreateImageUsageReportCommand, CreateLaunchTemplateCommand, DeleteImageUsageReportCommand, DeleteLaunchTemplateCommand, DeregisterImageCommand, DescribeImageUsageReportEntriesCommand,
  DescribeImageUsageReportsCommand, ModifyImageAttributeCommand, RegisterImageCommand, RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ec2, OTHER_ACCOUNT } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';

const DAY = 24 * 3600 * 1000;
const INSTANCES = [{ ResourceType: 'ec2:Instance' }];

const sharedImage = async (): Promise<string> => {
  const { ImageId } = await ec2().send(new RegisterImageCommand({
    Name: uniqueName('reported'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
    BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotOf(await baseImage()) } }],
  }));
  await ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } }));
  return ImageId!;
};

describe('image usage reports', () => {
  test('a report counts what other accounts run of an image', async () => {
    const ImageId = await sharedImage();
    const run = new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 2, MaxCount: 2 });
    const launched = (await ec2(OTHER_ACCOUNT).send(run)).Instances!;
    const made = await ec2(OTHER_ACCOUNT).send(new CreateLaunchTemplateCommand({ LaunchTemplateName: uniqueName('reported'), LaunchTemplateData: { ImageId } }));
    const before = Date.now();
    const ask = {
      ImageId, ClientToken: uniqueName('token'),
      ResourceTypes: [...INSTANCES, { ResourceType: 'ec2:LaunchTemplate', ResourceTypeOptions: [{ OptionName: 'version-depth', OptionValues: ['3'] }] }],
      TagSpecifications: [{ ResourceType: 'image-usage-report' as const, Tags: [{ Key: 'for', Value: 'audit' }] }],
    };
    const ReportId = (await ec2().send(new CreateImageUsageReportCommand(ask))).ReportId!;
    assert.equal((await ec2().send(new CreateImageUsageReportCommand(ask))).ReportId, ReportId);
    const report = (await ec2().send(new DescribeImageUsageReportsCommand({ ReportIds: [ReportId] }))).ImageUsageReports![0]!;
    assert.deepEqual([report.ImageId, report.ReportId, report.State, report.AccountIds, report.Tags], [ImageId, ReportId, 'available', [], [{ Key: 'for', Value: 'audit' }]]);
    assert.deepEqual(report.ResourceTypes!.map((each) => [each.ResourceType, each.ResourceTypeOptions]), [
      ['ec2:Instance', []], ['ec2:LaunchTemplate', [{ OptionName: 'version-depth', OptionValues: ['3'] }]]]);
    assert.ok(report.CreationTime!.getTime() >= before - 1000);
    assert.equal(report.ExpirationTime!.getTime() - report.CreationTime!.getTime(), 30 * DAY);
    const entries = (await ec2().send(new DescribeImageUsageReportEntriesCommand({ ReportIds: [ReportId] }))).ImageUsageReportEntries!;
    assert.deepEqual(
      entries.map((each) => [each.ResourceType, each.ReportId, each.UsageCount, each.AccountId, each.ImageId]),
      [['ec2:Instance', ReportId, 2, OTHER_ACCOUNT, ImageId], ['ec2:LaunchTemplate', ReportId, 1, OTHER_ACCOUNT, ImageId]]);
    const none = await ec2().send(new DescribeImageUsageReportEntriesCommand({
      ImageIds: [ImageId], Filters: [{ Name: 'account-id', Values: ['333333333333'] }] }));
    assert.deepEqual(none.ImageUsageReportEntries, []);
    const state = await ec2().send(new DescribeImageUsageReportsCommand({ ImageIds: [ImageId], Filters: [{ Name: 'state', Values: ['available'] }] }));
    assert.deepEqual(state.ImageUsageReports!.map((each) => each.ReportId), [ReportId]);
    await ec2(OTHER_ACCOUNT).send(new TerminateInstancesCommand({ InstanceIds: launched.map((each) => each.InstanceId!) }));
    await ec2(OTHER_ACCOUNT).send(new DeleteLaunchTemplateCommand({ LaunchTemplateId: made.LaunchTemplate!.LaunchTemplateId }));
    assert.equal((await ec2().send(new DeleteImageUsageReportCommand({ ReportId }))).Return, true);
    await assertRefused(ec2().send(new DescribeImageUsageReportsCommand({ ReportIds: [ReportId] })), 'InvalidParameterValue', /does not exist/);
    await ec2().send(new DeregisterImageCommand({ ImageId }));
  });

  test('of other accounts, and what makes no sense, is refused', async () => {
    const ImageId = await sharedImage();
    const other = ec2(OTHER_ACCOUNT);
    await assertRefused(other.send(new CreateImageUsageReportCommand({ ImageId, ResourceTypes: INSTANCES })), /AuthFailure|InvalidAMIID.NotFound/);
    const ReportId = (await ec2().send(new CreateImageUsageReportCommand({ ImageId, ResourceTypes: INSTANCES }))).ReportId!;
    await assertRefused(other.send(new DeleteImageUsageReportCommand({ ReportId })), 'InvalidParameterValue');
    await assertRefused(other.send(new DescribeImageUsageReportsCommand({ ReportIds: [ReportId] })), 'InvalidParameterValue');
    await assertRefused(other.send(new DescribeImageUsageReportEntriesCommand({ ReportIds: [ReportId] })), 'InvalidParameterValue');
    const create = (more: object) => ec2().send(new CreateImageUsageReportCommand({ ImageId, ResourceTypes: INSTANCES, ...more }));
    await assertRefused(create({ ImageId: 'x' }), 'InvalidAMIID.Malformed');
    await assertRefused(create({ ResourceTypes: [{ ResourceType: 'lemon' }] }), 'InvalidParameterValue');
    await assertRefused(create({ AccountIds: ['1'] }), 'InvalidParameterValue');
    await assertRefused(create({ ResourceTypes: [{ ResourceType: 'ec2:LaunchTemplate', ResourceTypeOptions: [{ OptionName: 'x', OptionValues: ['1'] }] }] }), 'InvalidParameterValue');
    await assertRefused(create({ TagSpecifications: [{ ResourceType: 'image', Tags: [{ Key: 'a', Value: 'b' }] }] }), 'InvalidParameterValue');
    await ec2().send(new DeleteImageUsageReportCommand({ ReportId }));
    await ec2().send(new DeregisterImageCommand({ ImageId }));
  });
});
