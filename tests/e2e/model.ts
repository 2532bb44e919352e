// What kilnd serves, by its own word, and what the AWS SDK's model knows of the same operations.
import * as ebs from '@aws-sdk/client-ebs';
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import * as kms from '@aws-sdk/client-kms';
import * as organizations from '@aws-sdk/client-organizations';
import * as ssm from '@aws-sdk/client-ssm';
import * as sts from '@aws-sdk/client-sts';
import * as fs from 'node:fs';
import * as zlib from 'node:zlib';

import { kilnOutput } from './region.ts';

// What `kiln api --shapes` prints.
export interface Shape {
  kind: string;
  element?: Shape;
  members?: { query: string; xml: string; shape: Shape }[];
}
export interface Served {
  service: 'ebs' | 'ec2' | 'iam' | 'kms' | 'organizations' | 'rbin' | 'ssm' | 'sts';
  operation: string;
  request: Shape;
  response: Shape;
}

export const allServed = async (): Promise<Served[]> => JSON.parse(await kilnOutput(['api', '--shapes'])) as Served[];

// --- the SDK's model: nested tuples, in which [2, ..] is a map, [3, ..] a structure, and numbers are scalars

export type Traits = { xmlName?: string; ec2QueryName?: string } | number;
export type Model = any; // the SDK declares no narrower type
const NUMERIC = ['integer', 'real'];
// 0 is also any enumeration, and what is declared sensitive; 1 is every numeric type.
export const SCALARS: Record<number, string[]> = {
  0: ['text'], 1: NUMERIC, 2: ['boolean'], 4: ['timestamp'], 5: ['timestamp'], 6: ['timestamp'], 7: ['timestamp'],
  17: NUMERIC, 19: NUMERIC, 21: ['blob'], 42: ['blob'],
  128: ['map'], // of texts
};

export const resolve = (model: Model): Model => {
  const held = typeof model === 'function' ? model() : model;
  // A member with traits of its own, or a simple type with a name: [0, namespace, name, traits, type].
  if (Array.isArray(held) && typeof held[1] !== 'string') return resolve(held[0]);
  return Array.isArray(held) && held[0] === 0 ? resolve(held[4]) : held;
};
export const traitsOf = (model: Model): Traits => (Array.isArray(model) && typeof model[1] !== 'string' ? model[1] : {});
export const isList = (model: Model): boolean => (typeof model === 'number' ? (model & 64) === 64 : model[0] === 1);
export const elementOf = (model: Model): Model => (typeof model === 'number' ? model & ~64 : model[4]);

// Where the members of one direction are found in the model.
export type NameOf = (member: string, traits: Traits) => string;
const capital = (text: string): string => text[0]?.toUpperCase() + text.slice(1);
export const xmlName: NameOf = (member, traits) => (typeof traits === 'object' && traits.xmlName) || member;
export const ec2QueryName: NameOf = (member, traits) =>
  (typeof traits === 'object' && traits.ec2QueryName) || capital(xmlName(member, traits));

// The model of a service: one entry for each of its operations and shapes, by name and a dollar sign.
export const modelOf = (service: Served['service']): Record<string, Model> =>
  service === 'rbin' ? modelOfCli('rbin/2021-06-15') : (({ ebs, ec2, iam, kms, organizations, ssm, sts })[service] as never);

// Of a service whose client for JavaScript has no model that could be read: that which the AWS CLI has, in the same form.
const CLI = ['/usr/lib/python3/dist-packages/awscli/botocore/data', '/usr/lib/python3/dist-packages/botocore/data'];
const KINDS: Record<string, number> = { string: 0, integer: 1, long: 1, double: 1, float: 1, boolean: 2, timestamp: 4, blob: 21 };
const models = new Map<string, Record<string, Model>>();

function modelOfCli(name: string): Record<string, Model> {
  const known = models.get(name);
  if (known) return known;
  const file = CLI.flatMap((root) => [`${root}/${name}/service-2.json`, `${root}/${name}/service-2.json.gz`]).find((each) => fs.existsSync(each));
  if (!file) throw new Error(`the AWS CLI has no model of ${name}`);
  const bytes = fs.readFileSync(file);
  const read = JSON.parse((file.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes).toString());
  const shape = (of: string): Model => {
    const { type, members, member } = read.shapes[of];
    if (type === 'structure') {
      const names = Object.keys(members);
      return [3, 'cli', of, 0, names, names.map((each) => () => shape(members[each].shape))];
    }
    return type === 'list' ? [1, 'cli', of, 0, () => shape(member.shape)] : (KINDS[type] ?? 0);
  };
  const model: Record<string, Model> = {};
  const empty = [3, 'cli', 'Unit', 0, [], []];
  for (const [operation, { input, output }] of Object.entries<any>(read.operations)) {
    model[`${operation}$`] = [9, 'cli', operation, 0, input ? () => shape(input.shape) : empty, output ? () => shape(output.shape) : empty];
  }
  models.set(name, model);
  return model;
}
