// The audit log: a line for every call, in the shape of CloudTrail's events, and no secret in any.
import * as api from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { EncryptCommand, CreateKeyCommand, DecryptCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import * as assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { before, describe, test } from 'node:test';

import { refusal, send } from './refusals.ts';
import { ACCOUNT, data, ebs, ec2, iam, keysOf, kiln, kilnOutput, kms, type Keys, REGION, sts } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';
import { waitFor } from './wait.ts';

type Record = { [member: string]: any };

const directory = path.join(data, 'audit');
const text = (): string => fs.readdirSync(directory).sort().map((name) => fs.readFileSync(path.join(directory, name), 'utf8')).join('');
// What is written, soon after it was answered.
const records = (fits: (record: Record) => boolean, many = 1): Promise<Record[]> => waitFor('the audit log telling of a call', 20, () => {
  const found = text().split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Record).filter(fits);
  return found.length >= many && found;
});
const record = async (event: string, fits: (record: Record) => boolean = () => true): Promise<Record> =>
  (await records((each) => each.eventName === event && fits(each))).at(-1)!;

describe('the audit log', () => {
  let user = '', userId = '', keys: Keys;
  const told = (each: Record) => each.userIdentity.userName === user;

  before(async () => {
    user = uniqueName('audited');
    userId = (await iam().send(new iamApi.CreateUserCommand({ UserName: user }))).User!.UserId!;
    const made = (await iam().send(new iamApi.CreateAccessKeyCommand({ UserName: user }))).AccessKey!;
    keys = { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! };
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: ['ec2:CreateTags', 'ec2:DescribeImages'], Resource: '*' } });
    await iam().send(new iamApi.PutUserPolicyCommand({ UserName: user, PolicyName: 'its', PolicyDocument }));
  });

  test('a call is told with who, what, where and what came of it', async () => {
    const { ImageId } = await baseImage();
    const answer = await ec2(ACCOUNT, { keys }).send(new api.CreateTagsCommand({ Resources: [ImageId], Tags: [{ Key: 'audited', Value: user }] }));
    const { eventTime, eventID, userAgent, ...rest } = await record('CreateTags', told);
    assert.match(eventTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.ok(Math.abs(Date.parse(eventTime) - Date.now()) < 60_000);
    assert.match(eventID, /^[0-9a-f]{8}-[0-9a-f]{4}-/);
    assert.match(userAgent, /aws-sdk-js/);
    assert.deepEqual(rest, {
      eventVersion: '1.08',
      userIdentity: { type: 'IAMUser', principalId: userId, arn: `arn:aws:iam::${ACCOUNT}:user/${user}`, accountId: ACCOUNT, accessKeyId: keys.accessKeyId, userName: user },
      eventSource: 'ec2.amazonaws.com', eventName: 'CreateTags', awsRegion: REGION, sourceIPAddress: '127.0.0.1',
      requestParameters: { resourceId: [ImageId], tag: [{ key: 'audited', value: user }] },
      responseElements: { return: true },
      requestID: answer.$metadata.requestId, readOnly: false,
      resources: [{ ARN: `arn:aws:ec2:${REGION}::image/${ImageId}`, type: 'AWS::EC2::Image' }],
      eventType: 'AwsApiCall', managementEvent: true, recipientAccountId: ACCOUNT, eventCategory: 'Management',
    });
  });

  test('what only reads is told too, without what it answered', async () => {
    const { ImageId } = await baseImage();
    await ec2(ACCOUNT, { keys }).send(new api.DescribeImagesCommand({ ImageIds: [ImageId], Filters: [{ Name: 'state', Values: ['available'] }] }));
    const told_ = await record('DescribeImages', told);
    assert.deepEqual([told_.readOnly, told_.responseElements, told_.errorCode], [true, null, undefined]);
    assert.deepEqual(told_.requestParameters, { imageId: [ImageId], filter: [{ name: 'state', value: ['available'] }] });
  });

  test('a refused call is told, with what was asked for', async () => {
    const id = 'ami-0123456789abcdef0';
    const refused = await refusal(ec2(ACCOUNT, { keys }).send(new api.DeregisterImageCommand({ ImageId: id })));
    const told_ = await record('DeregisterImage', told);
    assert.equal(told_.errorCode, 'Client.UnauthorizedOperation');
    assert.ok(refused.message.startsWith(told_.errorMessage.slice(0, 200)));
    assert.deepEqual([told_.requestParameters, told_.responseElements], [{ imageId: id }, null]);
    assert.equal(told_.resources[0].ARN, `arn:aws:ec2:${REGION}::image/${id}`);
    const blocks = ebs(ACCOUNT, { keys });
    const SnapshotId = snapshotOf(await baseImage());
    await refusal(blocks.send(new ListSnapshotBlocksCommand({ SnapshotId })));
    const direct = await record('ListSnapshotBlocks', told);
    assert.deepEqual([direct.errorCode, direct.requestParameters, direct.managementEvent, direct.eventCategory],
      ['AccessDeniedException', { snapshotId: SnapshotId }, false, 'Data']);
  });

  test('a dry run is told as one', async () => {
    const KeyName = uniqueName('dry');
    await refusal(ec2().send(new api.CreateKeyPairCommand({ KeyName, DryRun: true })));
    const told_ = await record('CreateKeyPair', (each) => each.requestParameters?.keyName === KeyName);
    assert.deepEqual([told_.errorCode, told_.userIdentity.type, told_.responseElements], ['Client.DryRunOperation', 'Root', null]);
  });

  test('who proves nothing is told as nobody', async () => {
    const action = `No${user.replaceAll('-', '')}`;
    await send({ keys: { ...keysOf(ACCOUNT), secretAccessKey: 'wrong' }, body: `Action=${action}&Version=2016-11-15` });
    const told_ = await record(action);
    assert.deepEqual(told_.userIdentity, { type: 'Unknown', accessKeyId: keysOf(ACCOUNT).accessKeyId });
    assert.deepEqual([told_.errorCode, told_.requestParameters, told_.recipientAccountId], ['Client.AuthFailure', null, undefined]);
    await send({ keys: null, body: `Action=${action}2&Version=2016-11-15` });
    assert.deepEqual((await record(`${action}2`)).userIdentity, { type: 'Unknown' });
  });

  test('a session is told with the role that it is of', async () => {
    const RoleName = uniqueName('audited');
    const Arn = (await iam().send(new iamApi.CreateRoleCommand({
      RoleName, AssumeRolePolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Principal: { AWS: keysArn() }, Action: 'sts:AssumeRole' } }),
    }))).Role!.Arn!;
    await iam().send(new iamApi.PutUserPolicyCommand({
      UserName: user, PolicyName: 'take', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: Arn } }) }));
    const taken = await sts(ACCOUNT, { keys }).send(new AssumeRoleCommand({ RoleArn: Arn, RoleSessionName: 'auditor' }));
    const credentials = { accessKeyId: taken.Credentials!.AccessKeyId!, secretAccessKey: taken.Credentials!.SecretAccessKey!, sessionToken: taken.Credentials!.SessionToken! };
    await refusal(new api.EC2Client({ ...(await settings()), credentials }).send(new api.DescribeVpcsCommand({})));
    const { userIdentity } = await record('DescribeVpcs', (each) => each.userIdentity.arn?.endsWith(`${RoleName}/auditor`));
    assert.deepEqual([userIdentity.type, userIdentity.accountId, userIdentity.accessKeyId], ['AssumedRole', ACCOUNT, credentials.accessKeyId]);
    const { creationDate, ...attributes } = userIdentity.sessionContext.attributes;
    assert.match(creationDate, /Z$/);
    assert.deepEqual([attributes, userIdentity.sessionContext.sessionIssuer.arn, userIdentity.sessionContext.sessionIssuer.userName],
      [{ mfaAuthenticated: 'false' }, Arn, RoleName]);
    assert.ok(!text().includes(credentials.sessionToken) && !text().includes(credentials.secretAccessKey));
  });
  const keysArn = () => `arn:aws:iam::${ACCOUNT}:user/${user}`;
  const settings = async () => ({ endpoint: (await ec2().config.endpoint!()) as never, region: REGION, maxAttempts: 1 });

  test('no secret is in it', async () => {
    const KeyName = uniqueName('secret');
    const { KeyMaterial } = await ec2().send(new api.CreateKeyPairCommand({ KeyName }));
    const pair = await record('CreateKeyPair', (each) => each.requestParameters?.keyName === KeyName);
    assert.equal(pair.responseElements.keyMaterial, 'HIDDEN_DUE_TO_SECURITY_REASONS');
    const key = await record('CreateAccessKey', (each) => each.requestParameters?.userName === user);
    assert.deepEqual([key.responseElements.accessKey.accessKeyId, key.responseElements.accessKey.secretAccessKey],
      [keys.accessKeyId, 'HIDDEN_DUE_TO_SECURITY_REASONS']);

    const secret = randomBytes(24).toString('hex');
    const base64 = Buffer.from(secret).toString('base64');
    const ClientToken = uniqueName('audit');
    await refusal(ec2().send(new api.RunInstancesCommand({ ImageId: 'ami-0123456789abcdef0', MinCount: 1, MaxCount: 1, UserData: base64, ClientToken })));
    const launch = await record('RunInstances', (each) => JSON.stringify(each.requestParameters).includes('ami-0123456789abcdef0'));
    assert.equal(launch.requestParameters.userData, 'HIDDEN_DUE_TO_SECURITY_REASONS');
    const { KeyId } = (await kms().send(new CreateKeyCommand({}))).KeyMetadata!;
    const { CiphertextBlob } = await kms().send(new EncryptCommand({ KeyId, Plaintext: Buffer.from(secret) }));
    await kms().send(new DecryptCommand({ CiphertextBlob }));
    await record('Decrypt');
    const SnapshotId = snapshotOf(await baseImage());
    const { Blocks } = await ebs().send(new ListSnapshotBlocksCommand({ SnapshotId }));
    await ebs().send(new GetSnapshotBlockCommand({ SnapshotId, ...Blocks![0]! } as never));
    const block = await record('GetSnapshotBlock');
    assert.equal(block.requestParameters.blockToken, 'HIDDEN_DUE_TO_SECURITY_REASONS');
    for (const each of [secret, base64, KeyMaterial!.split('\n')[1]!, keys.secretAccessKey, keysOf(ACCOUNT).secretAccessKey, Blocks![0]!.BlockToken!,
      Buffer.from(CiphertextBlob!).toString('base64')]) assert.ok(!text().includes(each), each);
  });

  test('kiln audit finds calls by who, what, over what and whether they were refused', async () => {
    await record('DeregisterImage', told);
    const lines = (await kilnOutput(['audit', '--who', `user/${user}`, '--refused', '--since', '1h'])).trim().split('\n');
    assert.ok(lines.some((line) => / ec2:DeregisterImage {2}Client\.UnauthorizedOperation$/.test(line)), lines.join('\n'));
    assert.ok(lines.every((line) => line.includes(`arn:aws:iam::${ACCOUNT}:user/${user} `)), lines.join('\n'));
    const found = (await kilnOutput(['audit', '--event', 'Dereg*', '--resource', 'ami-0123456789abcdef0', '--who', user, '--json'])).trim();
    assert.equal(JSON.parse(found.split('\n')[0]!).eventName, 'DeregisterImage');
    assert.equal((await kiln(['audit', '--who', 'nobody-at-all'])).status, 1);
  });
});
