// What the endpoint refuses, whatever the operation: signatures, dates, sizes, unknown actions.
import * as assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, test } from 'node:test';

import { amzDate, send, signingKey } from './refusals.ts';
import { ACCOUNT, endpoint, kilnOutput, keysOf, REGION } from './region.ts';

const MINUTE = 60_000;
const VERSION = 'Version=2016-11-15';
const DESCRIBE = `Action=DescribeRegions&${VERSION}`;

// Every operation that has to be served; `kiln api` says which are.
const OPERATIONS = `
  ec2 AuthorizeSecurityGroupIngress CreateImage CreateKeyPair CreateSecurityGroup CreateSnapshot CreateTags CreateVolume
  DeleteKeyPair DeleteSecurityGroup DeleteSnapshot DeleteTags DeleteVolume DeregisterImage DescribeAvailabilityZones
  DescribeImageAttribute DescribeImages DescribeInstanceStatus DescribeInstanceTypes DescribeInstances DescribeKeyPairs
  DescribeRegions DescribeSecurityGroups DescribeSnapshots DescribeSubnets DescribeTags DescribeVolumes DescribeVpcs
  GetConsoleOutput ImportKeyPair ModifyImageAttribute RebootInstances RegisterImage RunInstances StartInstances
  StopInstances TerminateInstances
`.trim().split(/\s+/).slice(1);

describe('errors', () => {
  test('kiln api lists every operation', async () => {
    const served = new Set((await kilnOutput(['api'])).trim().split('\n').map((line) => line.trim().replace(/\s+/, ' ')));
    const missing = [...OPERATIONS.map((name) => `ec2 ${name}`), 'sts GetCallerIdentity'].filter((name) => !served.has(name));
    assert.deepEqual(missing, []);
  });

  for (const name of OPERATIONS) {
    test(`${name} with a wrong secret is refused`, async () => {
      const keys = { ...keysOf(ACCOUNT), secretAccessKey: 'wrong' };
      const answer = await send({ keys, body: `Action=${name}&${VERSION}` });
      assert.equal(answer.code, 'AuthFailure');
      assert.equal(answer.status, 401);
      assert.match(answer.body, /<Response><Errors><Error>/);
      assert.match(answer.body, /<RequestID>/);
    });
  }

  test('a request signed by hand is answered', async () => {
    const answer = await send({ body: DESCRIBE });
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /<DescribeRegionsResponse xmlns="http:\/\/ec2.amazonaws.com\/doc\/2016-11-15\/">/);
    assert.match(answer.body, /<requestId>/);
  });

  test('an unsigned request is refused', async () => {
    const answer = await send({ keys: null, body: DESCRIBE });
    assert.match(answer.code, /^(MissingAuthenticationToken|AuthFailure)$/);
    assert.ok(answer.status >= 400 && answer.status < 500);
  });

  test('a body that was changed after it was signed is refused', async () => {
    const answer = await send({ body: DESCRIBE, tamper: (body) => body.replace('DescribeRegions', 'DescribeImages') });
    assert.match(answer.code, /^(AuthFailure|SignatureDoesNotMatch)$/);
  });

  test('an unknown access key is refused', async () => {
    const answer = await send({ body: DESCRIBE, keys: { ...keysOf(ACCOUNT), accessKeyId: 'AKIAIOSFODNN7EXAMPLE' } });
    assert.equal(answer.code, 'AuthFailure');
  });

  for (const minutes of [-20, 20]) {
    test(`a date ${minutes} minutes from now is refused, and one 10 minutes from now is not`, async () => {
      const late = await send({ body: DESCRIBE, date: new Date(Date.now() + minutes * MINUTE) });
      assert.match(late.code, /^(RequestExpired|AuthFailure|SignatureDoesNotMatch)$/, late.body);
      const close = await send({ body: DESCRIBE, date: new Date(Date.now() + (minutes / 2) * MINUTE) });
      assert.equal(close.status, 200, close.body);
    });
  }

  test('a region that is not served is refused', async () => {
    const answer = await send({ body: DESCRIBE, region: 'mars-north-1' });
    assert.ok(answer.status >= 400 && answer.status < 500, answer.body);
  });

  test('a presigned GET is answered, and refused once its time is over', async () => {
    assert.equal((await presignedGet(new Date(), 300)).status, 200);
    assert.ok((await presignedGet(new Date(Date.now() - 10 * MINUTE), 60)).status >= 400);
  });

  test('an unknown action is refused by name', async () => {
    const answer = await send({ body: `Action=DescribeUnicorns&${VERSION}` });
    assert.equal(answer.code, 'InvalidAction');
    assert.equal(answer.status, 400);
    assert.match(answer.body, /DescribeUnicorns/);
  });

  test('a request without an action is refused', async () => {
    const answer = await send({ body: VERSION });
    assert.match(answer.code, /^(MissingAction|MissingParameter|InvalidAction|InvalidRequest)$/);
  });

  test('parameters that no operation knows are ignored, and empty ones are absent', async () => {
    const answer = await send({ body: `${DESCRIBE}&Sparkle.1=yes&RegionName.1=` });
    assert.equal(answer.status, 200, answer.body);
  });

  test('10 MiB of parameters are refused without being read into memory', async () => {
    const body = `${DESCRIBE}&Padding=${'x'.repeat(10 * 1024 * 1024)}`;
    let status = 413;
    try {
      status = (await send({ body })).status;
    } catch (error) {
      // The server answers and closes before it has read all of it; the client may see the close first.
      assert.match(String((error as Error).cause ?? error), /ECONNRESET|EPIPE|socket|closed|terminated/i);
    }
    assert.ok(status >= 400 && status < 500, `status ${status}`);
    assert.equal((await send({ body: DESCRIBE })).status, 200);
  });

  test('names that are no XML are told apart from markup, in answers and in errors', async () => {
    const name = encodeURIComponent('<b>&"\u0001');
    const answer = await send({ body: `Action=DescribeRegions&${VERSION}&RegionName.1=${name}` });
    assert.ok(answer.status >= 400 && answer.status < 500);
    assert.doesNotMatch(answer.body, /<b>/);
    assert.doesNotMatch(answer.body, /\u0001/);
  });

  test('DryRun is answered with DryRunOperation', async () => {
    const answer = await send({ body: `Action=DescribeInstances&${VERSION}&DryRun=true` });
    assert.equal(answer.code, 'DryRunOperation');
    assert.equal(answer.status, 412);
  });

  test('bytes that are no HTTP get an answer or a close, and the next client is served', async () => {
    const answer = await fetch(endpoint(), { method: 'PUT', body: 'nonsense' });
    assert.ok(answer.status >= 400 && answer.status < 500);
    assert.equal((await send({ body: DESCRIBE })).status, 200);
  });
});

// GET with the signature in the query string, as presigned URLs carry it.
async function presignedGet(date: Date, seconds: number): Promise<Response> {
  const keys = keysOf(ACCOUNT);
  const stamp = amzDate(date);
  const scope = `${stamp.slice(0, 8)}/${REGION}/ec2/aws4_request`;
  const parameters = new Map([
    ['Action', 'DescribeRegions'], ['Version', '2016-11-15'], ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${keys.accessKeyId}/${scope}`], ['X-Amz-Date', stamp], ['X-Amz-Expires', String(seconds)],
    ['X-Amz-SignedHeaders', 'host'],
  ]);
  const query = [...parameters].map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).sort().join('&');
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const canonical = ['GET', '/', query, `host:${new URL(endpoint()).host}`, '', 'host', sha256('')].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n');
  const key = signingKey(keys.secretAccessKey, stamp.slice(0, 8), REGION, 'ec2');
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return fetch(`${endpoint()}/?${query}&X-Amz-Signature=${signature}`);
}
