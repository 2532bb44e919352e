// STS GetCallerIdentity: the query protocol, served on the same port.
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertRefused, send } from './refusals.ts';
import { ACCOUNT, aws, keysOf, OTHER_ACCOUNT, sts } from './region.ts';

describe('sts', () => {
  test('the SDK learns which account its keys belong to', async () => {
    for (const account of [ACCOUNT, OTHER_ACCOUNT]) {
      const identity = await sts(account).send(new GetCallerIdentityCommand({}));
      assert.equal(identity.Account, account);
      assert.equal(identity.Arn, `arn:aws:iam::${account}:root`);
      assert.ok(identity.UserId);
    }
  });

  test('the AWS CLI does as well', async () => {
    assert.equal((await aws(['sts', 'get-caller-identity'])).Account, ACCOUNT);
  });

  test('a wrong secret is refused in the words of a query service', async () => {
    const keys = { ...keysOf(ACCOUNT), secretAccessKey: 'wrong' };
    await assertRefused(sts(ACCOUNT, { keys }).send(new GetCallerIdentityCommand({})), 'SignatureDoesNotMatch');
  });

  test('an unknown key is refused', async () => {
    const keys = { ...keysOf(ACCOUNT), accessKeyId: 'AKIAIOSFODNN7EXAMPLE' };
    await assertRefused(sts(ACCOUNT, { keys }).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');
  });

  test('an unknown action is refused', async () => {
    const answer = await send({ service: 'sts', body: 'Action=GetNothing&Version=2011-06-15' });
    assert.equal(answer.code, 'InvalidAction');
    assert.match(answer.body, /<ErrorResponse/);
  });
});
