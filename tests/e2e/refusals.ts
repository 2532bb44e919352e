// Requests that have to be refused: the AWS error code is the promise.
import * as assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';

import { ACCOUNT, endpoint, keysOf, type Keys, REGION } from './region.ts';

export interface Refusal {
  code: string;
  status: number;
  message: string;
}

// What a call is refused with; a call that succeeds fails the test.
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    const thrown = error as { name?: string; Code?: string; message?: string; $metadata?: { httpStatusCode?: number } };
    if (thrown.$metadata?.httpStatusCode === undefined) throw error;
    return { code: thrown.Code ?? thrown.name ?? '', status: thrown.$metadata.httpStatusCode, message: thrown.message ?? '' };
  }
  assert.fail('the call was not refused');
}

export async function assertRefused(call: Promise<unknown>, code: string | RegExp, message?: RegExp): Promise<void> {
  const refused = await refusal(call);
  const said = `${refused.code} (${refused.status}): ${refused.message}`;
  if (typeof code === 'string') assert.equal(refused.code, code, said);
  else assert.match(refused.code, code, said);
  assert.ok(refused.status >= 400 && refused.status < 500, `status ${refused.status}`);
  if (message) assert.match(refused.message, message);
}

// --- requests signed by hand, so that they can be wrong in every way

export interface RawRequest {
  service?: string;
  region?: string;
  keys?: Keys | null; // null: unsigned
  date?: Date;
  body: string;
  path?: string;
  method?: string;
  contentType?: string;
  headers?: Record<string, string>;
  tamper?: (body: string) => string; // applied after the signature
}

export interface RawAnswer {
  status: number;
  body: string;
  code: string;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

export function signingKey(secret: string, day: string, region: string, service: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request');
}

export const amzDate = (date: Date): string => date.toISOString().replace(/[-:]|\.\d{3}/g, '');

export async function send(request: RawRequest): Promise<RawAnswer> {
  const service = request.service ?? 'ec2';
  const method = request.method ?? 'POST';
  const target = request.path ?? '/';
  const date = amzDate(request.date ?? new Date());
  const headers: Record<string, string> = {
    'content-type': request.contentType ?? 'application/x-www-form-urlencoded; charset=utf-8',
    host: new URL(endpoint()).host,
    'x-amz-date': date,
    ...request.headers,
  };
  const keys = request.keys === undefined ? keysOf(ACCOUNT) : request.keys;
  if (keys) {
    const scope = `${date.slice(0, 8)}/${request.region ?? REGION}/${service}/aws4_request`;
    const names = Object.keys(headers).sort();
    const [uri, query = ''] = target.split('?');
    const canonical = [
      method, uri, query, ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), sha256(request.body),
    ].join('\n');
    const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
    const signature = hmac(signingKey(keys.secretAccessKey, date.slice(0, 8), request.region ?? REGION, service), toSign);
    headers.authorization =
      `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, ` +
      `Signature=${signature.toString('hex')}`;
  }
  delete headers.host; // fetch writes the very same one
  const body = request.tamper ? request.tamper(request.body) : request.body;
  const answer = await fetch(endpoint() + target, { method, headers, body: method === 'GET' ? undefined : body });
  const text = await answer.text();
  const code = /<Code>([^<]*)<\/Code>/.exec(text) ?? /^\{"__type":"([^"]*)"/.exec(text);
  return { status: answer.status, body: text, code: code?.[1] ?? answer.headers.get('x-amzn-errortype') ?? '' };
}
