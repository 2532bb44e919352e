// Instances as the API shows them: launches, states, refusals. What a guest sees of it is in guests.test.ts.
import {
  CreateImageCommand, DescribeInstanceAttributeCommand, DescribeInstanceCreditSpecificationsCommand,
  DescribeInstanceStatusCommand, DescribeInstanceTypeOfferingsCommand, DescribeInstancesCommand,
  DescribeVolumesCommand, GetConsoleOutputCommand, ModifyInstanceAttributeCommand,
  ModifyInstanceMetadataOptionsCommand, RebootInstancesCommand, RunInstancesCommand, StartInstancesCommand,
  StopInstancesCommand, TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, ec2, REGION } from './region.ts';
import {
  baseImage, imageNamed, instances, launch, terminate, terminateLaunched, uniqueName, userKey, waitForImage, waitForInstance,
} from './things.ts';
import { waitFor } from './wait.ts';

const UNKNOWN = 'i-00000000000000000';

describe('instances', () => {
  after(() => terminateLaunched());

  test('a launched instance is pending, then running, with everything that was asked for', async () => {
    const key = await userKey();
    const [made] = await launch({
      KeyName: key.name, UserData: Buffer.from('#!/bin/sh\ntrue\n').toString('base64'), Placement: { AvailabilityZone: `${REGION}b` },
      TagSpecifications: [
        { ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'walk' }] }, { ResourceType: 'volume', Tags: [{ Key: 'of', Value: 'walk' }] },
      ],
    });
    assert.match(made!.InstanceId, /^i-[0-9a-f]{17}$/);
    assert.deepEqual([made!.State?.Name, made!.State?.Code, made!.AmiLaunchIndex], ['pending', 0, 0]);
    const running = await waitForInstance(made!.InstanceId);
    assert.deepEqual([running.State?.Code, running.KeyName, running.Placement?.AvailabilityZone, running.InstanceType],
      [16, key.name, `${REGION}b`, 't3.nano']);
    assert.match(running.PrivateIpAddress!, /^10\.\d+\.\d+\.\d+$/);
    assert.deepEqual(running.Tags, [{ Key: 'Name', Value: 'walk' }]);
    assert.equal(running.SecurityGroups?.[0]?.GroupName, 'default');
    const root = running.BlockDeviceMappings![0]!;
    assert.deepEqual([root.DeviceName, root.Ebs?.Status, root.Ebs?.DeleteOnTermination], [running.RootDeviceName, 'attached', true]);
    const volume = (await ec2().send(new DescribeVolumesCommand({ VolumeIds: [root.Ebs!.VolumeId!] }))).Volumes![0]!;
    assert.deepEqual([volume.State, volume.Attachments?.[0]?.InstanceId, volume.Tags?.[0]?.Value], ['in-use', made!.InstanceId, 'walk']);
    const status = await ec2().send(new DescribeInstanceStatusCommand({ InstanceIds: [made!.InstanceId] }));
    assert.equal(status.InstanceStatuses![0]!.InstanceState?.Name, 'running');
    await terminate([made!.InstanceId]);
    // The volume is deleted by work of its own, which may end after the instance has.
    await waitFor(`${root.Ebs!.VolumeId} being deleted`, 30, async () => {
      const all = (await ec2().send(new DescribeVolumesCommand({}))).Volumes!;
      return !all.some((one) => one.VolumeId === root.Ebs!.VolumeId);
    });
    await assertRefused(ec2().send(new DescribeVolumesCommand({ VolumeIds: [root.Ebs!.VolumeId!] })), 'InvalidVolume.NotFound');
  });

  test('stop and start keep the volumes and the address', async () => {
    const [made] = await launch();
    const first = await waitForInstance(made!.InstanceId);
    const ids = { InstanceIds: [made!.InstanceId] };
    const stopping = await ec2().send(new StopInstancesCommand({ ...ids, Force: true }));
    assert.deepEqual([stopping.StoppingInstances![0]!.PreviousState?.Name, stopping.StoppingInstances![0]!.CurrentState?.Name], ['running', 'stopping']);
    await waitForInstance(made!.InstanceId, 'stopped');
    await assertRefused(ec2().send(new RebootInstancesCommand(ids)), 'IncorrectInstanceState');
    await ec2().send(new StartInstancesCommand(ids));
    const again = await waitForInstance(made!.InstanceId);
    assert.equal(again.PrivateIpAddress, first.PrivateIpAddress);
    assert.equal(again.BlockDeviceMappings![0]!.Ebs!.VolumeId, first.BlockDeviceMappings![0]!.Ebs!.VolumeId);
    await terminate([made!.InstanceId]);
    await ec2().send(new TerminateInstancesCommand(ids)); // terminating twice is no error
    await assertRefused(ec2().send(new StartInstancesCommand(ids)), 'IncorrectInstanceState');
  });

  test('attributes and options are read and changed, and a reboot leaves an instance running', async () => {
    const [made] = await launch();
    const InstanceId = made!.InstanceId;
    await waitForInstance(InstanceId);
    const attribute = (Attribute: 'disableApiTermination' | 'instanceType') => ec2().send(new DescribeInstanceAttributeCommand({ InstanceId, Attribute }));
    assert.equal((await attribute('instanceType')).InstanceType?.Value, 't3.nano');
    for (const Value of [true, false]) {
      await ec2().send(new ModifyInstanceAttributeCommand({ InstanceId, DisableApiTermination: { Value } }));
      assert.equal((await attribute('disableApiTermination')).DisableApiTermination?.Value, Value);
    }
    const options = await ec2().send(new ModifyInstanceMetadataOptionsCommand({ InstanceId, HttpTokens: 'required' }));
    assert.equal(options.InstanceMetadataOptions?.HttpTokens, 'required');
    await ec2().send(new RebootInstancesCommand({ InstanceIds: [InstanceId] }));
    await waitForInstance(InstanceId);
    assert.equal((await ec2().send(new GetConsoleOutputCommand({ InstanceId }))).InstanceId, InstanceId);
    const { InstanceCreditSpecifications: credits } = await ec2().send(new DescribeInstanceCreditSpecificationsCommand({ InstanceIds: [InstanceId] }));
    assert.deepEqual(credits!.map((each) => each.InstanceId), [InstanceId]);
    const offered = await ec2().send(new DescribeInstanceTypeOfferingsCommand({ Filters: [{ Name: 'instance-type', Values: ['t3.nano'] }] }));
    assert.equal(offered.InstanceTypeOfferings![0]?.InstanceType, 't3.nano');
    await terminate([InstanceId]);
  });

  test('the same client token launches once', async () => {
    const request = { ClientToken: uniqueName('token') };
    const [first] = await launch(request);
    const [again] = await launch(request);
    assert.equal(again!.InstanceId, first!.InstanceId);
    await assertRefused(launch({ ...request, InstanceType: 't3.micro' }), 'IdempotentParameterMismatch');
    await terminate([first!.InstanceId]);
  });

  test('CreateImage of an instance without a reboot gives an image of its volumes', async () => {
    const [made] = await launch();
    await waitForInstance(made!.InstanceId);
    const name = uniqueName('made');
    const answer = await aws([
      'ec2', 'create-image', '--instance-id', made!.InstanceId, '--name', name, '--no-reboot',
      '--tag-specifications', 'ResourceType=image,Tags=[{Key=a,Value=1}]', 'ResourceType=snapshot,Tags=[{Key=b,Value=2}]',
    ]);
    assert.match((await imageNamed(name)).State!, /^(pending|available)$/);
    const image = await waitForImage(answer.ImageId);
    assert.equal(image.SourceInstanceId, made!.InstanceId);
    assert.equal(image.SourceImageId, (await baseImage()).ImageId);
    assert.deepEqual(image.Tags, [{ Key: 'a', Value: '1' }]);
    await assertRefused(ec2().send(new CreateImageCommand({ InstanceId: made!.InstanceId, Name: name })), 'InvalidAMIName.Duplicate');
    await terminate([made!.InstanceId]);
  });

  test('a launch that cannot be is refused, with the reason that AWS gives', async () => {
    const ImageId = (await baseImage()).ImageId;
    const run = (change: object) =>
      ec2().send(new RunInstancesCommand({ ImageId, InstanceType: 't3.nano', MinCount: 1, MaxCount: 1, ...change }));
    await assertRefused(run({ ImageId: 'ami-00000000000000000' }), 'InvalidAMIID.NotFound');
    await assertRefused(run({ ImageId: 'lemon' }), 'InvalidAMIID.Malformed');
    await assertRefused(run({ InstanceType: 'z9.enormous' }), 'InvalidParameterValue');
    await assertRefused(run({ KeyName: 'nobody' }), 'InvalidKeyPair.NotFound');
    await assertRefused(run({ SubnetId: 'subnet-00000000000000000' }), 'InvalidSubnetID.NotFound');
    await assertRefused(run({ SecurityGroupIds: ['sg-00000000000000000'] }), 'InvalidGroup.NotFound');
    await assertRefused(run({ MinCount: 2, MaxCount: 1 }), 'InvalidParameterValue');
    await assertRefused(run({ UserData: Buffer.alloc(17 * 1024, 'x').toString('base64') }), 'InvalidParameterValue');
    await assertRefused(run({ Placement: { AvailabilityZone: 'us-east-1z' } }), 'InvalidParameterValue');
  });

  test('unknown and malformed instance ids are refused by every operation', async () => {
    const ids = { InstanceIds: [UNKNOWN] };
    for (const command of [
      new DescribeInstancesCommand(ids), new DescribeInstanceStatusCommand(ids), new StartInstancesCommand(ids),
      new StopInstancesCommand(ids), new RebootInstancesCommand(ids), new TerminateInstancesCommand(ids),
      new GetConsoleOutputCommand({ InstanceId: UNKNOWN }), new CreateImageCommand({ InstanceId: UNKNOWN, Name: uniqueName('x') }),
    ]) {
      await assertRefused(ec2().send(command as DescribeInstancesCommand), 'InvalidInstanceID.NotFound', /i-00000000000000000/);
    }
    await assertRefused(ec2().send(new DescribeInstancesCommand({ InstanceIds: ['lemon'] })), 'InvalidInstanceID.Malformed');
  });

  test('filters select instances, from the AWS CLI', async () => {
    const [made] = await launch({ TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: 'filtered' }] }] });
    const found = await aws(['ec2', 'describe-instances', '--filters', 'Name=tag:Name,Values=filter*', 'Name=instance-state-name,Values=pending,running']);
    assert.deepEqual(found.Reservations.map((r: any) => [r.OwnerId, r.Instances[0].InstanceId]), [[ACCOUNT, made!.InstanceId]]);
    await terminate([made!.InstanceId]);
    const [described] = await instances([made!.InstanceId]);
    assert.deepEqual([described!.State?.Code, described!.StateReason?.Code], [48, 'Client.UserInitiatedShutdown']);
  });
});
