// What kilnd serves, by its own word, and what the AWS SDK's model knows of the same operations.
import * as ebs from '@aws-sdk/client-ebs';
import * as ec2 from '@aws-sdk/client-ec2';
import * as kms from '@aws-sdk/client-kms';
import * as sts from '@aws-sdk/client-sts';

import { kilnOutput } from './region.ts';

// What `kiln api --shapes` prints.
export interface Shape {
  kind: string;
  element?: Shape;
  members?: { query: string; xml: string; shape: Shape }[];
}
export interface Served {
  service: 'ebs' | 'ec2' | 'kms' | 'sts';
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
export const modelOf = (service: Served['service']): Record<string, Model> => ({ ebs, ec2, kms, sts })[service] as never;
