// The default VPC with a subnet in each zone.
import { DescribeSubnetsCommand, DescribeVpcsCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { aws, ec2, REGION } from './region.ts';

describe('network', () => {
  test('an account has a default VPC', async () => {
    const found = await ec2().send(new DescribeVpcsCommand({ Filters: [{ Name: 'is-default', Values: ['true'] }] }));
    assert.equal(found.Vpcs!.length, 1);
    assert.match(found.Vpcs![0]!.CidrBlock!, /^10\.\d+\.0\.0\/16$/);
    assert.equal(found.Vpcs![0]!.State, 'available');
  });

  test('the default VPC has one subnet per zone, each in its range', async () => {
    const vpc = (await ec2().send(new DescribeVpcsCommand({}))).Vpcs![0]!;
    const found = await aws(['ec2', 'describe-subnets', '--filters', `Name=vpc-id,Values=${vpc.VpcId}`]);
    const zones = found.Subnets.map((subnet: { AvailabilityZone: string }) => subnet.AvailabilityZone).sort();
    assert.deepEqual(zones, ['a', 'b', 'c'].map((zone) => REGION + zone));
    const prefix = vpc.CidrBlock!.split('.').slice(0, 2).join('.');
    for (const subnet of found.Subnets) assert.ok(subnet.CidrBlock.startsWith(`${prefix}.`), subnet.CidrBlock);
  });

  test('unknown VPCs and subnets are refused', async () => {
    await assertRefused(ec2().send(new DescribeVpcsCommand({ VpcIds: ['vpc-00000000000000000'] })), 'InvalidVpcID.NotFound');
    await assertRefused(
      ec2().send(new DescribeSubnetsCommand({ SubnetIds: ['subnet-00000000000000000'] })), 'InvalidSubnetID.NotFound');
  });

  test('an unknown filter is refused', async () => {
    await assertRefused(
      ec2().send(new DescribeVpcsCommand({ Filters: [{ Name: 'colour', Values: ['blue'] }] })), 'InvalidParameterValue', /colour/);
  });
});
