// Keys: made, named, shared by policy, used, switched off and deleted, by the SDK's client and the operator's command;
// and what EC2 is told to encrypt by default.
import {
  DisableEbsEncryptionByDefaultCommand, EnableEbsEncryptionByDefaultCommand, GetEbsDefaultKmsKeyIdCommand,
  GetEbsEncryptionByDefaultCommand, ModifyEbsDefaultKmsKeyIdCommand, ResetEbsDefaultKmsKeyIdCommand,
} from '@aws-sdk/client-ec2';
import {
  CancelKeyDeletionCommand, CreateAliasCommand, CreateKeyCommand, type CreateKeyCommandInput, DecryptCommand,
  DeleteAliasCommand, DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, EncryptCommand, GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand, GetKeyPolicyCommand, GetKeyRotationStatusCommand, type KeyMetadata,
  ListAliasesCommand, ListKeyPoliciesCommand, ListKeysCommand, ListResourceTagsCommand, PutKeyPolicyCommand,
  ReEncryptCommand, ScheduleKeyDeletionCommand, TagResourceCommand, UntagResourceCommand, UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
} from '@aws-sdk/client-kms';
import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, aws, data, ec2, kiln, kilnOutput, kms, OTHER_ACCOUNT, REGION, restartDaemon, SECOND_REGION } from './region.ts';
import { uniqueName } from './things.ts';

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes!).toString();
const bytes = (plain: string): Uint8Array => Buffer.from(plain);

async function key(options: CreateKeyCommandInput = {}): Promise<KeyMetadata & { KeyId: string; Arn: string }> {
  const made = await kms().send(new CreateKeyCommand(options));
  return made.KeyMetadata as KeyMetadata & { KeyId: string; Arn: string };
}
const described = async (name: string): Promise<KeyMetadata> => (await kms().send(new DescribeKeyCommand({ KeyId: name }))).KeyMetadata!;

const sharedPolicy = (actions: string[]): string => JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' },
    { Effect: 'Allow', Principal: { AWS: [OTHER_ACCOUNT] }, Action: actions, Resource: '*' },
  ],
});

describe('kms: keys', () => {
  test('a key is made, and described by its id, its ARN, an alias and its ARN', async () => {
    const made = await key({ Description: 'disks', Tags: [{ TagKey: 'use', TagValue: 'test' }] });
    assert.equal(made.Arn, `arn:aws:kms:${REGION}:${ACCOUNT}:key/${made.KeyId}`);
    assert.equal(made.KeyState, 'Enabled');
    assert.equal(made.Enabled, true);
    assert.equal(made.KeyManager, 'CUSTOMER');
    assert.equal(made.AWSAccountId, ACCOUNT);
    assert.ok(Math.abs(made.CreationDate!.getTime() - Date.now()) < 60_000);
    const alias = `alias/${uniqueName('key')}`;
    await kms().send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: made.KeyId }));
    for (const name of [made.KeyId, made.Arn, alias, `arn:aws:kms:${REGION}:${ACCOUNT}:${alias}`]) {
      const found = await described(name);
      assert.equal(found.Arn, made.Arn, name);
      assert.equal(found.Description, 'disks');
    }
    assert.deepEqual((await kms().send(new ListResourceTagsCommand({ KeyId: made.KeyId }))).Tags, [{ TagKey: 'use', TagValue: 'test' }]);
    assert.equal((await kms().send(new GetKeyRotationStatusCommand({ KeyId: made.KeyId }))).KeyRotationEnabled, false);
  });

  test('what is no key is refused by KMS’s own codes', async () => {
    const absent = '00000000-0000-4000-8000-000000000000';
    await assertRefused(kms().send(new DescribeKeyCommand({ KeyId: absent })), 'NotFoundException', /does not exist/);
    await assertRefused(kms().send(new DescribeKeyCommand({ KeyId: 'foo' })), 'NotFoundException', /Invalid keyId/);
    await assertRefused(kms().send(new DescribeKeyCommand({ KeyId: 'alias/none' })), 'NotFoundException', /alias\/none is not found/);
    await assertRefused(kms().send(new DescribeKeyCommand({ KeyId: `arn:aws:kms:${SECOND_REGION}:${ACCOUNT}:key/${absent}` })), 'NotFoundException', /Invalid arn/);
    await assertRefused(kms().send(new DescribeKeyCommand({ KeyId: 'arn:aws:s3:::bucket' })), 'InvalidArnException');
    await assertRefused(kms().send(new CreateKeyCommand({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })), 'UnsupportedOperationException');
    await assertRefused(kms().send(new CreateKeyCommand({ Policy: '{' })), 'MalformedPolicyDocumentException');
  });

  test('a key is of its region alone', async () => {
    const made = await key();
    await assertRefused(kms(ACCOUNT, { region: SECOND_REGION }).send(new DescribeKeyCommand({ KeyId: made.KeyId })), 'NotFoundException');
  });

  test('lists come in pages', async () => {
    const made = new Set([(await key()).KeyId, (await key()).KeyId, (await key()).KeyId]);
    let marker: string | undefined;
    do {
      const page = await kms().send(new ListKeysCommand({ Limit: 2, Marker: marker }));
      assert.ok(page.Keys!.length <= 2);
      assert.equal(page.Truncated, page.NextMarker !== undefined);
      for (const each of page.Keys!) made.delete(each.KeyId!);
      marker = page.NextMarker;
    } while (marker);
    assert.equal(made.size, 0);
    await assertRefused(kms().send(new ListKeysCommand({ Marker: 'nothing' })), 'InvalidMarkerException');
    await assertRefused(kms().send(new ListKeysCommand({ Limit: 1001 })), 'ValidationException');
  });

  test('aliases move, end, and are refused where AWS refuses them', async () => {
    const [first, second] = [await key(), await key()];
    const alias = `alias/${uniqueName('moving')}`;
    await kms().send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: first.Arn }));
    await assertRefused(kms().send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: second.KeyId })), 'AlreadyExistsException');
    await kms().send(new UpdateAliasCommand({ AliasName: alias, TargetKeyId: second.KeyId }));
    assert.equal((await described(alias)).KeyId, second.KeyId);
    const listed = await kms().send(new ListAliasesCommand({ KeyId: second.KeyId }));
    assert.deepEqual(listed.Aliases!.map((each) => [each.AliasName, each.TargetKeyId]), [[alias, second.KeyId]]);
    await kms().send(new DeleteAliasCommand({ AliasName: alias }));
    await assertRefused(kms().send(new DeleteAliasCommand({ AliasName: alias })), 'NotFoundException');
    await assertRefused(kms().send(new CreateAliasCommand({ AliasName: 'alias/aws/mine', TargetKeyId: first.KeyId })), 'NotAuthorizedException');
    await assertRefused(kms().send(new CreateAliasCommand({ AliasName: 'alias/a:b', TargetKeyId: first.KeyId })), 'InvalidAliasNameException');
    await assertRefused(kms().send(new CreateAliasCommand({ AliasName: 'mine', TargetKeyId: first.KeyId })), 'ValidationException');
  });

  test('tags and the description change', async () => {
    const made = await key();
    await kms().send(new TagResourceCommand({ KeyId: made.KeyId, Tags: [{ TagKey: 'a', TagValue: '1' }, { TagKey: 'b', TagValue: '2' }] }));
    await kms().send(new UntagResourceCommand({ KeyId: made.KeyId, TagKeys: ['a'] }));
    assert.deepEqual((await kms().send(new ListResourceTagsCommand({ KeyId: made.KeyId }))).Tags, [{ TagKey: 'b', TagValue: '2' }]);
    await assertRefused(kms().send(new TagResourceCommand({ KeyId: made.KeyId, Tags: [{ TagKey: 'aws:a', TagValue: '1' }] })), 'TagException');
    await kms().send(new UpdateKeyDescriptionCommand({ KeyId: made.KeyId, Description: 'other' }));
    assert.equal((await described(made.KeyId)).Description, 'other');
  });
});

describe('kms: data', () => {
  test('what a key encrypted is decrypted with its context, after a restart too, and not otherwise', async () => {
    const made = await key();
    const context = { project: 'x', stage: 'y' };
    const { CiphertextBlob } = await kms().send(new EncryptCommand({ KeyId: made.KeyId, Plaintext: bytes('secret'), EncryptionContext: context }));
    const open = (more: object = {}) => kms().send(new DecryptCommand({ CiphertextBlob, EncryptionContext: context, ...more }));
    assert.equal(text((await open()).Plaintext), 'secret');
    await restartDaemon('SIGKILL');
    const opened = await open({ KeyId: made.Arn });
    assert.equal(text(opened.Plaintext), 'secret');
    assert.equal(opened.KeyId, made.Arn);
    await assertRefused(open({ EncryptionContext: { project: 'x' } }), 'InvalidCiphertextException');
    await assertRefused(open({ KeyId: (await key()).KeyId }), 'IncorrectKeyException');
    await assertRefused(open({ CiphertextBlob: bytes('nothing') }), 'InvalidCiphertextException');
    await assertRefused(kms().send(new EncryptCommand({ KeyId: made.KeyId, Plaintext: new Uint8Array(4097) })), 'ValidationException');
  });

  test('data keys are of the length that was asked for', async () => {
    const made = await key();
    const one = await kms().send(new GenerateDataKeyCommand({ KeyId: made.KeyId, KeySpec: 'AES_256' }));
    assert.equal(one.Plaintext!.length, 32);
    const again = await kms().send(new DecryptCommand({ CiphertextBlob: one.CiphertextBlob }));
    assert.deepEqual(again.Plaintext, one.Plaintext);
    const sealed = await kms().send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId: made.KeyId, NumberOfBytes: 64 }));
    assert.equal((await kms().send(new DecryptCommand({ CiphertextBlob: sealed.CiphertextBlob }))).Plaintext!.length, 64);
    await assertRefused(kms().send(new GenerateDataKeyCommand({ KeyId: made.KeyId })), 'ValidationException');
    await assertRefused(kms().send(new GenerateDataKeyCommand({ KeyId: made.KeyId, KeySpec: 'AES_256', DryRun: true })), 'DryRunOperationException');
  });

  test('ReEncrypt moves a ciphertext to another key', async () => {
    const [from, to] = [await key(), await key()];
    const { CiphertextBlob } = await kms().send(new EncryptCommand({ KeyId: from.KeyId, Plaintext: bytes('moved') }));
    const moved = await kms().send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: to.KeyId }));
    assert.equal(moved.SourceKeyId, from.Arn);
    assert.equal(text((await kms().send(new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, KeyId: to.KeyId }))).Plaintext), 'moved');
  });

  test('the AWS CLI encrypts and decrypts', async () => {
    const made = await key();
    const plain = Buffer.from('from the command').toString('base64');
    const sealed = await aws(['kms', 'encrypt', '--key-id', made.KeyId, '--plaintext', plain, '--encryption-context', 'a=b']);
    const opened = await aws(['kms', 'decrypt', '--ciphertext-blob', sealed.CiphertextBlob, '--encryption-context', 'a=b']);
    assert.equal(opened.Plaintext, plain);
  });
});

describe('kms: who may use a key', () => {
  const other = kms(OTHER_ACCOUNT);

  test('another account needs the policy, and gets what the policy says', async () => {
    const made = await key();
    const { CiphertextBlob } = await kms().send(new EncryptCommand({ KeyId: made.KeyId, Plaintext: bytes('shared') }));
    const read = () => other.send(new DecryptCommand({ CiphertextBlob }));
    await assertRefused(read(), 'AccessDeniedException', /not authorized to perform: kms:Decrypt/);
    await assertRefused(other.send(new DescribeKeyCommand({ KeyId: made.Arn })), 'AccessDeniedException');
    await assertRefused(other.send(new DescribeKeyCommand({ KeyId: made.KeyId })), 'NotFoundException');
    await kms().send(new PutKeyPolicyCommand({ KeyId: made.KeyId, Policy: sharedPolicy(['kms:Decrypt', 'kms:Describe*']) }));
    assert.equal(text((await read()).Plaintext), 'shared');
    await other.send(new DescribeKeyCommand({ KeyId: made.Arn }));
    await assertRefused(other.send(new EncryptCommand({ KeyId: made.Arn, Plaintext: bytes('x') })), 'AccessDeniedException');
    await assertRefused(other.send(new ScheduleKeyDeletionCommand({ KeyId: made.Arn })), 'AccessDeniedException');
    assert.deepEqual((await other.send(new ListKeysCommand({}))).Keys!.filter((each) => each.KeyId === made.KeyId), []);
  });

  test('a policy is kept as it was given, and one that locks its owner out is refused', async () => {
    const made = await key();
    const policy = sharedPolicy(['kms:Decrypt']);
    await kms().send(new PutKeyPolicyCommand({ KeyId: made.KeyId, PolicyName: 'default', Policy: policy }));
    assert.equal((await kms().send(new GetKeyPolicyCommand({ KeyId: made.KeyId, PolicyName: 'default' }))).Policy, policy);
    assert.deepEqual((await kms().send(new ListKeyPoliciesCommand({ KeyId: made.KeyId }))).PolicyNames, ['default']);
    const locked = policy.replaceAll(ACCOUNT, OTHER_ACCOUNT);
    await assertRefused(kms().send(new PutKeyPolicyCommand({ KeyId: made.KeyId, Policy: locked })), 'MalformedPolicyDocumentException', /will not allow you to update/);
  });

  test('alias/aws/ebs is made when it is named, is for EC2 alone, and stays as it is', async () => {
    const made = await described('alias/aws/ebs');
    assert.equal(made.KeyManager, 'AWS');
    assert.equal((await described('alias/aws/ebs')).KeyId, made.KeyId);
    const KeyId = made.KeyId!;
    await assertRefused(kms().send(new EncryptCommand({ KeyId, Plaintext: bytes('x') })), 'AccessDeniedException');
    await assertRefused(kms().send(new ScheduleKeyDeletionCommand({ KeyId })), 'AccessDeniedException');
    await assertRefused(kms().send(new DisableKeyCommand({ KeyId })), 'AccessDeniedException');
    await assertRefused(kms().send(new PutKeyPolicyCommand({ KeyId, Policy: sharedPolicy(['kms:*']) })), 'AccessDeniedException');
    assert.notEqual((await other.send(new DescribeKeyCommand({ KeyId: 'alias/aws/ebs' }))).KeyMetadata!.KeyId, KeyId);
  });
});

describe('kms: the end of keys', () => {
  const use = (KeyId: string) => kms().send(new EncryptCommand({ KeyId, Plaintext: bytes('x') }));

  test('a disabled key does nothing until it is enabled', async () => {
    const made = await key();
    await kms().send(new DisableKeyCommand({ KeyId: made.KeyId }));
    assert.equal((await described(made.KeyId)).KeyState, 'Disabled');
    await assertRefused(use(made.KeyId), 'DisabledException', /is disabled/);
    await kms().send(new EnableKeyCommand({ KeyId: made.KeyId }));
    await use(made.KeyId);
  });

  test('a key waits for its deletion, which can be cancelled', async () => {
    const made = await key();
    await assertRefused(kms().send(new ScheduleKeyDeletionCommand({ KeyId: made.KeyId, PendingWindowInDays: 6 })), 'ValidationException');
    await assertRefused(kms().send(new CancelKeyDeletionCommand({ KeyId: made.KeyId })), 'KMSInvalidStateException');
    const scheduled = await kms().send(new ScheduleKeyDeletionCommand({ KeyId: made.KeyId, PendingWindowInDays: 7 }));
    assert.equal(scheduled.KeyState, 'PendingDeletion');
    assert.ok(Math.abs(scheduled.DeletionDate!.getTime() - Date.now() - 7 * 24 * 3600_000) < 60_000);
    await assertRefused(use(made.KeyId), 'KMSInvalidStateException', /is pending deletion/);
    await assertRefused(kms().send(new EnableKeyCommand({ KeyId: made.KeyId })), 'KMSInvalidStateException');
    const cancelled = await kms().send(new CancelKeyDeletionCommand({ KeyId: made.KeyId }));
    assert.equal(cancelled.KeyId, made.Arn);
    assert.equal((await described(made.KeyId)).KeyState, 'Disabled');
  });

  test('the operator destroys a key at once, and says twice that it is meant', async () => {
    const made = await key();
    const file = path.join(data, 'keys', `${made.KeyId}.key`);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    const listed = await kilnOutput(['keys', '--region', REGION]);
    assert.match(listed, new RegExp(`${made.KeyId} +${ACCOUNT} +Enabled +CUSTOMER`));
    assert.notEqual((await kiln(['keys', 'delete', made.KeyId])).status, 0);
    assert.notEqual((await kiln(['keys', 'delete', made.KeyId, '--now'])).status, 0);
    await use(made.KeyId);
    assert.match(await kilnOutput(['keys', 'delete', made.KeyId, '--now', '--yes', '--region', REGION]), /is destroyed/);
    assert.equal(fs.existsSync(file), false);
    await assertRefused(use(made.KeyId), 'NotFoundException');
    assert.match((await kiln(['keys', 'delete', made.KeyId, '--now', '--yes'])).stderr, /NotFoundException/);
  });
});

describe('kms: what EC2 encrypts by default', () => {
  const account = OTHER_ACCOUNT; // so that no other test's volumes are encrypted meanwhile
  const client = ec2(account);
  after(() => client.send(new DisableEbsEncryptionByDefaultCommand({})));

  test('it is told per account and region', async () => {
    const state = async (region?: string) => (await ec2(account, { region }).send(new GetEbsEncryptionByDefaultCommand({})));
    assert.equal((await state()).EbsEncryptionByDefault, false);
    assert.equal((await client.send(new EnableEbsEncryptionByDefaultCommand({}))).EbsEncryptionByDefault, true);
    assert.equal((await state()).EbsEncryptionByDefault, true);
    assert.equal((await state(SECOND_REGION)).EbsEncryptionByDefault, false);
    assert.equal((await ec2(ACCOUNT).send(new GetEbsEncryptionByDefaultCommand({}))).EbsEncryptionByDefault, false);
    assert.equal((await client.send(new DisableEbsEncryptionByDefaultCommand({}))).EbsEncryptionByDefault, false);
  });

  test('the key is alias/aws/ebs until another is named', async () => {
    const named = async () => (await client.send(new GetEbsDefaultKmsKeyIdCommand({}))).KmsKeyId;
    assert.equal(await named(), 'alias/aws/ebs');
    const made = (await kms(account).send(new CreateKeyCommand({}))).KeyMetadata!;
    assert.equal((await client.send(new ModifyEbsDefaultKmsKeyIdCommand({ KmsKeyId: made.KeyId }))).KmsKeyId, made.Arn);
    assert.equal(await named(), made.Arn);
    assert.match((await client.send(new ResetEbsDefaultKmsKeyIdCommand({}))).KmsKeyId!, /^arn:aws:kms:.*:key\//);
    assert.equal(await named(), 'alias/aws/ebs');
    await assertRefused(client.send(new ModifyEbsDefaultKmsKeyIdCommand({ KmsKeyId: 'alias/none' })), 'InvalidParameterValue');
    const ours = await key();
    await assertRefused(client.send(new ModifyEbsDefaultKmsKeyIdCommand({ KmsKeyId: ours.Arn })), 'InvalidParameterValue');
  });
});
