// What the whole run called, by the audit log of the region that the tests share: every operation that is served was
// done for a real client, was refused to somebody, and was sent something that it could not take. After all others; of
// a part of the tests it would say nothing.
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';

import { allServed } from './model.ts';
import { data } from './region.ts';

const CLIENTS = /aws-sdk-js|aws-cli|Boto3|Botocore/;
const REFUSED = /(^|\.)(UnauthorizedOperation|AccessDenied|AccessDeniedException|AuthFailure|SignatureDoesNotMatch)$/;
describe('coverage', () => {
  test('every operation was done for a real client, refused, and sent what it could not take', async () => {
    const seen = { done: new Set<string>(), refused: new Set<string>(), bad: new Set<string>() };
    const directory = path.join(data, 'audit');
    for (const name of fs.readdirSync(directory)) {
      for (const line of fs.readFileSync(path.join(directory, name), 'utf8').split('\n')) {
        if (!line.endsWith('}')) continue;
        const { eventSource, eventName, errorCode, userAgent } = JSON.parse(line);
        const operation = `${String(eventSource).split('.')[0]} ${eventName}`;
        if (errorCode === undefined) {
          if (CLIENTS.test(userAgent)) seen.done.add(operation);
        } else if (REFUSED.test(errorCode)) {
          seen.refused.add(operation);
        } else {
          seen.bad.add(operation);
        }
      }
    }
    const all = (await allServed()).map(({ service, operation, request }) => ({ name: `${service} ${operation}`, takes: (request.members ?? []).length > 0 }));
    assert.deepEqual({
      done: all.filter(({ name }) => !seen.done.has(name)).map(({ name }) => name),
      refused: all.filter(({ name }) => !seen.refused.has(name)).map(({ name }) => name),
      bad: all.filter(({ name, takes }) => takes && !seen.bad.has(name)).map(({ name }) => name),
    }, { done: [], refused: [], bad: [] });
  });
});
