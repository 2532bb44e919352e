// What policies decide about tiers, fast restores, usage reports and volumes in the recycle bin.
import * as api from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, iam, type Keys, REGION } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';

const VOLUME = 'vol-0123456789abcdef0', REPORT = 'amiur-0123456789abcdef0';

describe('authorisation of what keeps snapshots and images', () => {
  let user = '', keys: Keys, imageId = '', snapshotId = '';
  const client = () => ec2(ACCOUNT, { keys });
  const may = (Action: string[], Resource: string[]) => iam().send(new iamApi.PutUserPolicyCommand({
    UserName: user, PolicyName: 'its', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] }) }));

  before(async () => {
    user = uniqueName('user');
    await iam().send(new iamApi.CreateUserCommand({ UserName: user }));
    const made = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName: user }))).AccessKey!;
    keys = { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
    const image = await baseImage();
    imageId = image.ImageId;
    snapshotId = snapshotOf(image);
  });

  const fast = () => ({ AvailabilityZones: [`${REGION}a`], SourceSnapshotIds: [snapshotId], DryRun: true });
  const calls: [string, () => Promise<unknown>, RegExp][] = [
    ['ec2:ModifySnapshotTier', () => client().send(new api.ModifySnapshotTierCommand({ SnapshotId: snapshotId, DryRun: true })), /::snapshot\/snap-/],
    ['ec2:RestoreSnapshotTier', () => client().send(new api.RestoreSnapshotTierCommand({ SnapshotId: snapshotId, DryRun: true })), /::snapshot\/snap-/],
    ['ec2:DescribeSnapshotTierStatus', () => client().send(new api.DescribeSnapshotTierStatusCommand({ DryRun: true })), /DescribeSnapshotTierStatus/],
    ['ec2:EnableFastSnapshotRestores', () => client().send(new api.EnableFastSnapshotRestoresCommand(fast())), /::snapshot\/snap-/],
    ['ec2:DisableFastSnapshotRestores', () => client().send(new api.DisableFastSnapshotRestoresCommand(fast())), /::snapshot\/snap-/],
    ['ec2:DescribeFastSnapshotRestores', () => client().send(new api.DescribeFastSnapshotRestoresCommand({ DryRun: true })), /DescribeFastSnapshotRestores/],
    ['ec2:CreateImageUsageReport', () => client().send(new api.CreateImageUsageReportCommand({
      ImageId: imageId, ResourceTypes: [{ ResourceType: 'ec2:Instance' }], DryRun: true })), /::image\/ami-/],
    ['ec2:DeleteImageUsageReport', () => client().send(new api.DeleteImageUsageReportCommand({ ReportId: REPORT, DryRun: true })), /image-usage-report\/amiur-/],
    ['ec2:DescribeImageUsageReports', () => client().send(new api.DescribeImageUsageReportsCommand({ DryRun: true })), /DescribeImageUsageReports/],
    ['ec2:DescribeImageUsageReportEntries', () => client().send(new api.DescribeImageUsageReportEntriesCommand({ DryRun: true })), /DescribeImageUsageReportEntries/],
    ['ec2:ListVolumesInRecycleBin', () => client().send(new api.ListVolumesInRecycleBinCommand({ VolumeIds: [VOLUME], DryRun: true })), /volume\/vol-/],
    ['ec2:RestoreVolumeFromRecycleBin', () => client().send(new api.RestoreVolumeFromRecycleBinCommand({ VolumeId: VOLUME, DryRun: true })), /volume\/vol-/],
  ];

  test('nothing of it is allowed to a user without a policy, and each by its own action and resource', async () => {
    const actions = calls.map(([action]) => action);
    await may(['ec2:DescribeImages'], ['*']);
    for (const [, call, resource] of calls) await assertRefused(call(), 'UnauthorizedOperation', resource);
    await may(actions, ['*']);
    for (const [, call] of calls) await assertRefused(call(), 'DryRunOperation');
    const things = ['image/*', 'snapshot/*'].map((thing) => `arn:aws:ec2:${REGION}::${thing}`);
    await may(actions, [...things, ...['volume', 'image-usage-report'].map((type) => `arn:aws:ec2:${REGION}:${ACCOUNT}:${type}/*`)]);
    for (const [action, call] of calls) {
      // Listings have no resource of their own.
      await assertRefused(call(), action.startsWith('ec2:Describe') ? 'UnauthorizedOperation' : 'DryRunOperation');
    }
  });
});
