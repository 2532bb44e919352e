// Key pairs.
import { CreateKeyPairCommand, DeleteKeyPairCommand, DescribeKeyPairsCommand, ImportKeyPairCommand } from '@aws-sdk/client-ec2';
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, test } from 'node:test';

import { output } from './processes.ts';
import { assertRefused } from './refusals.ts';
import { aws, ec2, scratch } from './region.ts';
import { uniqueName } from './things.ts';

describe('key pairs', () => {
  for (const type of ['ed25519', 'rsa'] as const) {
    test(`a new ${type} key is one that ssh-keygen reads, and only its fingerprint stays`, async () => {
      const name = uniqueName('key');
      const made = await ec2().send(new CreateKeyPairCommand({
        KeyName: name, KeyType: type, TagSpecifications: [{ ResourceType: 'key-pair', Tags: [{ Key: 'team', Value: 'blue' }] }],
      }));
      assert.match(made.KeyPairId!, /^key-[0-9a-f]{17}$/);
      const file = path.join(scratch, name);
      fs.writeFileSync(file, made.KeyMaterial!, { mode: 0o600 });
      assert.match(await output(['ssh-keygen', '-y', '-f', file]), type === 'rsa' ? /^ssh-rsa / : /^ssh-ed25519 /);
      const found = await ec2().send(new DescribeKeyPairsCommand({ KeyNames: [name] }));
      assert.equal(found.KeyPairs![0]!.KeyFingerprint, made.KeyFingerprint);
      assert.equal(found.KeyPairs![0]!.KeyType, type);
      assert.deepEqual(found.KeyPairs![0]!.Tags, [{ Key: 'team', Value: 'blue' }]);
    });
  }

  test('a second key of the same name is refused', async () => {
    const name = uniqueName('key');
    await ec2().send(new CreateKeyPairCommand({ KeyName: name }));
    await assertRefused(ec2().send(new CreateKeyPairCommand({ KeyName: name })), 'InvalidKeyPair.Duplicate');
  });

  test('the AWS CLI imports a public key', async () => {
    const name = uniqueName('key');
    const file = path.join(scratch, name);
    await output(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file]);
    const made = await aws(['ec2', 'import-key-pair', '--key-name', name, '--public-key-material', `fileb://${file}.pub`]);
    assert.equal(made.KeyName, name);
    assert.match(made.KeyPairId, /^key-/);
  });

  test('a public key that is none is refused', async () => {
    await assertRefused(
      ec2().send(new ImportKeyPairCommand({ KeyName: uniqueName('key'), PublicKeyMaterial: Buffer.from('not a key') })),
      'InvalidKey.Format');
  });

  test('a deleted key is gone, and deleting it again succeeds', async () => {
    const name = uniqueName('key');
    await ec2().send(new CreateKeyPairCommand({ KeyName: name }));
    await ec2().send(new DeleteKeyPairCommand({ KeyName: name }));
    await ec2().send(new DeleteKeyPairCommand({ KeyName: name }));
    await assertRefused(ec2().send(new DescribeKeyPairsCommand({ KeyNames: [name] })), 'InvalidKeyPair.NotFound');
  });

  test('a key needs a name', async () => {
    await assertRefused(ec2().send(new CreateKeyPairCommand({ KeyName: '' })), 'MissingParameter');
  });
});
