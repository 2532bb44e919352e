// Regions, zones and instance types: what clients ask first.
import {
  DescribeAvailabilityZonesCommand, DescribeInstanceTypesCommand, DescribeRegionsCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { aws, ec2, REGION, SECOND_REGION } from './region.ts';

describe('regions', () => {
  test('both configured regions are described', async () => {
    const found = await ec2().send(new DescribeRegionsCommand({}));
    assert.deepEqual(found.Regions!.map((region) => region.RegionName).sort(), [SECOND_REGION, REGION]);
    assert.ok(found.Regions!.every((region) => region.Endpoint && region.OptInStatus === 'opt-in-not-required'));
  });

  test('the AWS CLI describes one region by name', async () => {
    const found = await aws(['ec2', 'describe-regions', '--region-names', REGION]);
    assert.deepEqual(found.Regions.map((region: { RegionName: string }) => region.RegionName), [REGION]);
  });

  test('an unknown region name is refused', async () => {
    await assertRefused(ec2().send(new DescribeRegionsCommand({ RegionNames: ['mars-north-1'] })), 'InvalidParameterValue');
  });

  test('a region has three zones, and the credential scope picks the region', async () => {
    for (const region of [REGION, SECOND_REGION]) {
      const found = await ec2(undefined, { region }).send(new DescribeAvailabilityZonesCommand({}));
      assert.deepEqual(found.AvailabilityZones!.map((zone) => zone.ZoneName).sort(), ['a', 'b', 'c'].map((z) => region + z));
      assert.ok(found.AvailabilityZones!.every((zone) => zone.State === 'available' && zone.RegionName === region));
    }
  });

  test('an unknown zone is refused', async () => {
    await assertRefused(ec2().send(new DescribeAvailabilityZonesCommand({ ZoneNames: ['us-east-1z'] })), 'InvalidParameterValue');
  });

  test('instance types say their vCPUs, memory and architecture', async () => {
    const found = await ec2().send(new DescribeInstanceTypesCommand({ InstanceTypes: ['t3.nano'] }));
    const type = found.InstanceTypes![0]!;
    assert.equal(type.InstanceType, 't3.nano');
    assert.equal(type.VCpuInfo?.DefaultVCpus, 2);
    assert.equal(type.MemoryInfo?.SizeInMiB, 512);
    assert.ok(type.ProcessorInfo?.SupportedArchitectures?.includes('x86_64'));
  });

  test('an unknown instance type is refused', async () => {
    await assertRefused(
      ec2().send(new DescribeInstanceTypesCommand({ InstanceTypes: ['z9.enormous' as never] })), 'InvalidInstanceType');
  });
});
