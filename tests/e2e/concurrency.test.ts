// 64 connections of mixed calls about the same few names and images: each is answered, or refused for a reason that a lost
// race has, and what they leave is what some order of them would have left.
import {
  CreateTagsCommand, DeregisterImageCommand, DescribeImagesCommand, DescribeTagsCommand, ModifyImageAttributeCommand, RegisterImageCommand,
} from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { refusal } from './refusals.ts';
import { ec2, OTHER_ACCOUNT } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';

const CONNECTIONS = 64, TURNS = 12, NAMES = 8;
const LOST = new Set(['InvalidAMIName.Duplicate', 'InvalidAMIID.Unavailable', 'InvalidAMIID.NotFound']);

describe('concurrency', () => {
  test('64 connections register, describe, tag, share and deregister the same images', async () => {
    const SnapshotId = snapshotOf(await baseImage());
    const client = ec2(undefined, { sockets: CONNECTIONS });
    const names = Array.from({ length: NAMES }, () => uniqueName('raced'));
    const known = new Map<string, string>(); // the last image of a name that was heard of
    const registered = new Map<string, number>(), deregistered = new Map<string, number>();
    const count = (of: Map<string, number>, name: string) => of.set(name, (of.get(name) ?? 0) + 1);

    // Whether it was done; nothing else than a lost race may have been the reason why not.
    const done = async (call: Promise<unknown>): Promise<boolean> => {
      let answered = true;
      const outcome = await call.catch(async (error) => {
        answered = false;
        return refusal(Promise.reject(error));
      });
      if (!answered) assert.ok(LOST.has((outcome as { code: string }).code), JSON.stringify(outcome));
      return answered;
    };
    const turn = async (connection: number, i: number) => {
      const name = names[(connection * 7 + i * 3) % NAMES]!;
      const ImageId = known.get(name);
      const kind = (connection + i) % 6;
      if (kind === 0 || !ImageId) {
        await done(client.send(new RegisterImageCommand({
          Name: name, Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1', BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId } }],
        })).then((made) => {
          known.set(name, made.ImageId!);
          count(registered, name);
        }));
      } else if (kind === 1) {
        if (await done(client.send(new DeregisterImageCommand({ ImageId })))) count(deregistered, name);
      } else if (kind === 2) {
        await done(client.send(new CreateTagsCommand({ Resources: [ImageId], Tags: [{ Key: 'by', Value: `${connection}` }] })));
      } else if (kind === 3) {
        await done(client.send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [{ UserId: OTHER_ACCOUNT }] } })));
      } else {
        await done(client.send(new DescribeImagesCommand(kind === 4 ? { ImageIds: [ImageId] } : { Owners: ['self'], Filters: [{ Name: 'name', Values: [name] }] })));
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, async (_, connection) => {
      for (let i = 0; i < TURNS; ++i) await turn(connection, i);
    }));

    const { Images } = await client.send(new DescribeImagesCommand({ Owners: ['self'], Filters: [{ Name: 'name', Values: names }] }));
    for (const name of names) {
      const left = Images!.filter((image) => image.Name === name);
      assert.equal(left.length, (registered.get(name) ?? 0) - (deregistered.get(name) ?? 0), name);
      for (const { ImageId } of left) {
        const { Tags } = await client.send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [ImageId!] }] }));
        assert.ok(Tags!.length <= 1, JSON.stringify(Tags));
      }
    }
  });
});
