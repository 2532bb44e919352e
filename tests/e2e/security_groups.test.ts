// Security groups: recorded and described. Traffic is not filtered by them (docs/operating/limits.md).
import {
  AuthorizeSecurityGroupIngressCommand, CreateSecurityGroupCommand, DeleteSecurityGroupCommand,
  DescribeSecurityGroupsCommand, DescribeVpcsCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { aws, ec2 } from './region.ts';
import { uniqueName } from './things.ts';

const defaultVpc = async () => (await ec2().send(new DescribeVpcsCommand({}))).Vpcs!.find((vpc) => vpc.IsDefault)!.VpcId!;
const create = async () =>
  (await ec2().send(new CreateSecurityGroupCommand({ GroupName: uniqueName('group'), Description: 'a test', VpcId: await defaultVpc() }))).GroupId!;
const ssh = (GroupId: string) => new AuthorizeSecurityGroupIngressCommand({
  GroupId, IpPermissions: [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '10.0.0.0/8', Description: 'inside' }] }],
});

describe('security groups', () => {
  test('a group remembers the rules that it is given', async () => {
    const id = await create();
    await ec2().send(ssh(id));
    const group = (await ec2().send(new DescribeSecurityGroupsCommand({ GroupIds: [id] }))).SecurityGroups![0]!;
    assert.equal(group.Description, 'a test');
    assert.equal(group.VpcId, await defaultVpc());
    const rule = group.IpPermissions![0]!;
    assert.deepEqual([rule.IpProtocol, rule.FromPort, rule.ToPort], ['tcp', 22, 22]);
    assert.deepEqual(rule.IpRanges, [{ CidrIp: '10.0.0.0/8', Description: 'inside' }]);
    assert.equal(group.IpPermissionsEgress?.[0]?.IpProtocol, '-1');
  });

  test('the same rule twice is refused', async () => {
    const id = await create();
    await ec2().send(ssh(id));
    await assertRefused(ec2().send(ssh(id)), 'InvalidPermission.Duplicate');
  });

  test('a rule that is none is refused', async () => {
    const id = await create();
    const permission = { IpProtocol: 'tcp', FromPort: 70000, ToPort: 22, IpRanges: [{ CidrIp: '10.0.0.0/8' }] };
    const call = ec2().send(new AuthorizeSecurityGroupIngressCommand({ GroupId: id, IpPermissions: [permission] }));
    await assertRefused(call, 'InvalidParameterValue');
  });

  test('a second group of the same name is refused', async () => {
    const group = { GroupName: uniqueName('group'), Description: 'a test' };
    await ec2().send(new CreateSecurityGroupCommand(group));
    await assertRefused(ec2().send(new CreateSecurityGroupCommand(group)), 'InvalidGroup.Duplicate');
  });

  test('a deleted group is gone', async () => {
    const id = await create();
    await ec2().send(new DeleteSecurityGroupCommand({ GroupId: id }));
    await assertRefused(ec2().send(new DescribeSecurityGroupsCommand({ GroupIds: [id] })), 'InvalidGroup.NotFound');
    await assertRefused(ec2().send(new DeleteSecurityGroupCommand({ GroupId: id })), 'InvalidGroup.NotFound');
  });

  test('the default group is there, and stays', async () => {
    const found = await aws(['ec2', 'describe-security-groups', '--filters', 'Name=group-name,Values=default']);
    assert.equal(found.SecurityGroups.length, 1);
    await assertRefused(ec2().send(new DeleteSecurityGroupCommand({ GroupId: found.SecurityGroups[0].GroupId })), 'CannotDelete');
  });
});
