// docs/compatibility.md is made of what kilnd says that it serves and of the SDK's model, and is kept true by this test.
// KILN_WRITE_DOCS=1 writes the page.
import * as assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { allServed, ec2QueryName, modelOf, resolve, traitsOf, xmlName } from './model.ts';
import type { Model, Served } from './model.ts';

const PAGE = new URL('../../docs/compatibility.md', import.meta.url);
const OPERATION = 9; // the first item of an operation's tuple
// Answered for every operation before its own parameters are read.
const COMMON = ['DryRun', 'ClientToken'];

const HEAD = `# Compatibility

Which operations of which AWS services kilnd answers, and which parameters of each it understands. Made from the
program's own tables and the model of the AWS SDK for JavaScript v3; a test compares it with both.

An operation that is not listed is refused (\`InvalidAction\`, and of REST services \`UnknownOperationException\`). To understand a parameter can mean to refuse it, with
\`UnsupportedOperation\` and a sentence that says why. Parameters in the last column are ignored.
`;

const operationsOf = (service: Served['service']): string[] =>
  Object.entries(modelOf(service))
    .filter(([name, model]) => name.endsWith('$') && Array.isArray(model) && model[0] === OPERATION)
    .map(([name]) => name.slice(0, -1));

const parametersOf = (served: Served): string[] => {
  const input = resolve(modelOf(served.service)[`${served.operation}$`][4]);
  if (!Array.isArray(input)) return []; // it takes none
  const nameOf = served.service === 'ec2' ? ec2QueryName : xmlName;
  return (input[4] as string[]).map((member, i) => nameOf(member, traitsOf(input[5][i] as Model)));
};

const row = (served: Served): string => {
  const understood = new Set([...served.request.members!.map((member) => member.query), ...COMMON]);
  const all = parametersOf(served).sort();
  const list = (names: string[]): string => names.join(', ') || '-';
  return `| ${served.operation} | ${list(all.filter((name) => understood.has(name)))} | ${
    list(all.filter((name) => !understood.has(name)))} |`;
};

const section = (service: Served['service'], all: Served[]): string => {
  const rows = all.filter((served) => served.service === service).map(row).sort();
  return `\n## ${service}: ${rows.length} of ${operationsOf(service).length} operations\n
| operation | parameters understood | ignored |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
};

describe('compatibility', () => {
  test('docs/compatibility.md lists what is served, and no more', async () => {
    const all = await allServed();
    const page = HEAD + (['ebs', 'ec2', 'iam', 'kms', 'organizations', 'rbin', 'ssm', 'sts'] as const).map((service) => section(service, all)).join('');
    if (process.env.KILN_WRITE_DOCS) await writeFile(PAGE, page);
    assert.equal(await readFile(PAGE, 'utf8'), page, 'write it again: KILN_WRITE_DOCS=1 ./dev e2e compatibility');
  });
});
