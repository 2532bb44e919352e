// Tags.
import { CreateTagsCommand, CreateVolumeCommand, DeleteTagsCommand, DescribeTagsCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { aws, ec2, REGION } from './region.ts';
import { waitForVolume } from './things.ts';

describe('tags', () => {
  let id = '';
  const tags = async () => (await ec2().send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [id] }] }))).Tags!;
  before(async () => {
    id = (await ec2().send(new CreateVolumeCommand({ AvailabilityZone: `${REGION}a`, Size: 1 }))).VolumeId!;
    await waitForVolume(id);
  });

  test('a tag is set, replaced and removed', async () => {
    await ec2().send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'colour', Value: 'blue' }] }));
    await ec2().send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'colour', Value: 'red' }, { Key: 'empty', Value: '' }] }));
    assert.deepEqual((await tags()).map((tag) => [tag.ResourceType, tag.Key, tag.Value]), [['volume', 'colour', 'red'], ['volume', 'empty', '']]);
    await ec2().send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'colour', Value: 'another' }, { Key: 'empty' }] }));
    assert.deepEqual((await tags()).map((tag) => tag.Key), ['colour']);
    await ec2().send(new DeleteTagsCommand({ Resources: [id], Tags: [{ Key: 'colour' }] }));
    assert.deepEqual(await tags(), []);
  });

  test('characters that XML gives a meaning survive', async () => {
    const Value = `<tag a="b">&amp;'\u00e9\u{1f525}`;
    await ec2().send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'odd', Value }] }));
    assert.equal((await tags()).find((tag) => tag.Key === 'odd')?.Value, Value);
  });

  test('tag filters select resources, from the AWS CLI', async () => {
    await aws(['ec2', 'create-tags', '--resources', id, '--tags', 'Key=team,Value=blue whale']);
    const found = await aws(['ec2', 'describe-volumes', '--filters', 'Name=tag:team,Values=blue*', 'Name=tag-key,Values=team']);
    assert.deepEqual(found.Volumes.map((volume: { VolumeId: string }) => volume.VolumeId), [id]);
    const none = await ec2().send(new DescribeVolumesCommand({ Filters: [{ Name: 'tag:team', Values: ['Blue*'] }] }));
    assert.deepEqual(none.Volumes, []);
  });

  test('what is no resource, reserved keys and too many tags are refused', async () => {
    const one = [{ Key: 'a', Value: 'b' }];
    await assertRefused(ec2().send(new CreateTagsCommand({ Resources: ['lemon'], Tags: one })), 'InvalidID');
    await assertRefused(ec2().send(new CreateTagsCommand({ Resources: ['vol-00000000000000000'], Tags: one })), 'InvalidVolume.NotFound');
    await assertRefused(ec2().send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'aws:mine', Value: '' }] })), 'InvalidParameterValue');
    const many = Array.from({ length: 51 }, (_, n) => ({ Key: `k${n}`, Value: '' }));
    await assertRefused(ec2().send(new CreateTagsCommand({ Resources: [id], Tags: many })), 'TagLimitExceeded');
    await assertRefused(ec2().send(new DeleteTagsCommand({ Resources: ['lemon'], Tags: one })), 'InvalidID');
  });

  test('an unknown filter is refused', async () => {
    await assertRefused(ec2().send(new DescribeTagsCommand({ Filters: [{ Name: 'colour', Values: ['x'] }] })), 'InvalidParameterValue');
  });
});
