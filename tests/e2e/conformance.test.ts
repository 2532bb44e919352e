// The wire tables of kilnd against the model of the AWS SDK: a member that the model does not have under the name we
// give it is ignored by every client without a word, so it has to be there, and be of the same kind.
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { allServed, ec2QueryName, elementOf, isList, modelOf, resolve, SCALARS, traitsOf, xmlName } from './model.ts';
import type { Model, NameOf, Served, Shape } from './model.ts';

// Members of ours that the model lacks or has of another kind, each with its reason.
const KNOWN = new Map<string, string>([
  ['DescribeImages response.imagesSet[].blockDeviceMapping[].ebs.volumeInitializationRate is not in the model',
    'one shape serves launches and images; it is of launches, and never set in an answer'],
  ['CreateSecurityGroup response.return is not in the model', 'EC2 answers it beside groupId: see its API reference'],
  ['ListSnapshotBlocks response.Blocks[].Checksum is not in the model', 'other clients ignore it; a Kiln that copies asks for nothing it has'],
  ['ListSnapshotBlocks response.DiskSizeInBytes is not in the model', 'of a disk that is no whole number of GiB, for a Kiln that copies'],
  ['ListSnapshotBlocks response.TreeChecksum is not in the model', 'what a Kiln compares its copy with'],
  ...[
    'CreateRule request.ExcludeResourceTags', 'CreateRule response.RuleArn', 'CreateRule response.ExcludeResourceTags', 'GetRule response.RuleArn',
    'GetRule response.ExcludeResourceTags', 'ListRules request.ExcludeResourceTags', 'ListRules response.Rules[].RuleArn', 'LockRule response.RuleArn',
    'LockRule response.ExcludeResourceTags', 'UnlockRule response.RuleArn', 'UnlockRule response.ExcludeResourceTags',
    'UpdateRule request.ExcludeResourceTags', 'UpdateRule response.RuleArn', 'UpdateRule response.ExcludeResourceTags',
  ].map((member): [string, string] => [`${member} is not in the model`, 'newer than the AWS CLI, whose model of rbin is the one at hand']),
  ...[
    'CreateRule response.LockEndTime', 'GetRule response.Tags', 'LockRule response.Tags', 'LockRule response.LockEndTime', 'UnlockRule response.Tags',
    'UpdateRule response.Tags', 'UpdateRule response.LockConfiguration',
  ].map((member): [string, string] => [`${member} is not in the model`, 'one shape serves all operations on a rule, and it is not set there']),
  ...[
    'CreateLaunchTemplateVersion response.launchTemplateVersion', 'DescribeLaunchTemplateVersions response.launchTemplateVersionSet[]', 'GetLaunchTemplateData response',
  ].map((where): [string, string] => [`${where}.launchTemplateData.networkInterfaceSet[].groupSet is no structure`, 'elements named <groupId>, as the model has them']),
  ['ModifyInstanceAttribute request.UserData.Value is not of kind text', 'stays in the base64 in which blobs travel'],
]);

class Comparison {
  readonly problems: string[] = [];
  readonly nameOf: NameOf;
  readonly ours: 'query' | 'xml';
  readonly item: string | undefined; // the element of a list, when it has a name on the wire
  constructor(nameOf: NameOf, ours: 'query' | 'xml', item?: string) {
    this.nameOf = nameOf;
    this.ours = ours;
    this.item = item;
  }

  shape(where: string, ours: Shape, theirs: Model): void {
    const model = resolve(theirs);
    if (ours.kind === 'recursion') return;
    if (ours.kind === 'list') {
      if (!isList(model)) return this.report(where, 'is no list');
      const element = elementOf(model);
      const item = xmlName('member', traitsOf(element));
      if (this.item && item !== this.item) this.report(where, `has elements <${item}>, not <${this.item}>`);
      this.shape(`${where}[]`, ours.element!, element);
    } else if (ours.kind === 'structure') {
      if (!Array.isArray(model) || model[0] !== 3) return this.report(where, 'is no structure');
      this.members(where, ours, model);
    } else if (typeof model !== 'number' || !SCALARS[model]?.includes(ours.kind)) {
      this.report(where, `is not of kind ${ours.kind}`);
    }
  }

  private members(where: string, ours: Shape, model: Model): void {
    const named = new Map<string, Model>();
    model[4].forEach((member: string, i: number) => {
      named.set(this.nameOf(member, traitsOf(model[5][i])), model[5][i]);
    });
    for (const member of ours.members!) {
      const name = member[this.ours];
      const at = `${where}.${name}`;
      if (named.has(name)) this.shape(at, member.shape, named.get(name));
      else this.report(at, 'is not in the model');
    }
  }

  private report(where: string, problem: string): void {
    this.problems.push(`${where} ${problem}`);
  }
}

const problemsOf = (served: Served): string[] => {
  const operation = modelOf(served.service)[`${served.operation}$`];
  if (!operation) return [`${served.operation} is not in the model`];
  const isEc2 = served.service === 'ec2';
  const request = new Comparison(isEc2 ? ec2QueryName : xmlName, 'query');
  const response = new Comparison(xmlName, isEc2 ? 'xml' : 'query', isEc2 ? 'item' : 'member');
  // An operation without parameters has no shape of its own in the model.
  const takes = served.request.members!.length > 0 || Array.isArray(resolve(operation[4]));
  if (takes) request.shape(`${served.operation} request`, served.request, operation[4]);
  const result = resolve(operation[5]);
  if (Array.isArray(result)) {
    response.shape(`${served.operation} response`, served.response, result);
  } else if (served.response.members!.some((member) => member.xml !== 'return')) {
    // EC2 answers <return>true</return> where its model has no result.
    response.problems.push(`${served.operation} response is not in the model`);
  }
  return [...request.problems, ...response.problems];
};

describe('conformance', () => {
  test('every member we read or write is in the model of the SDK, under that name and of that kind', async () => {
    const all = await allServed();
    assert.ok(all.length > 0);
    assert.deepEqual(all.flatMap(problemsOf).filter((problem) => !KNOWN.has(problem)), []);
  });

  test('every exception is still one', async () => {
    const problems = new Set((await allServed()).flatMap(problemsOf));
    assert.deepEqual([...KNOWN.keys()].filter((problem) => !problems.has(problem)), []);
  });

  test('a wrong name, a wrong kind and an unknown operation are found', () => {
    const text: Shape = { kind: 'text' };
    const image: Shape = {
      kind: 'structure',
      members: [
        { query: 'ImageId', xml: 'imageId', shape: text },
        { query: 'ImageID', xml: 'imageID', shape: text },
        { query: 'EnaSupport', xml: 'enaSupport', shape: text },
        { query: 'TagSet', xml: 'tagSet', shape: text },
      ],
    };
    const served: Served = {
      service: 'ec2',
      operation: 'DescribeImages',
      request: { kind: 'structure', members: [{ query: 'ImageIds', xml: 'imageIds', shape: text }] },
      response: {
        kind: 'structure',
        members: [
          { query: 'NextToken', xml: 'nextToken', shape: { kind: 'list', element: text } },
          { query: 'ImagesSet', xml: 'imagesSet', shape: { kind: 'list', element: image } },
        ],
      },
    };
    assert.deepEqual(problemsOf(served), [
      'DescribeImages request.ImageIds is not in the model',
      'DescribeImages response.nextToken is no list',
      'DescribeImages response.imagesSet[].imageID is not in the model',
      'DescribeImages response.imagesSet[].enaSupport is not of kind text',
      'DescribeImages response.imagesSet[].tagSet is not of kind text',
    ]);
    assert.deepEqual(problemsOf({ ...served, operation: 'BakeImages' }), ['BakeImages is not in the model']);
  });
});
