// Instance profiles of instances, and the credentials that a guest finds in its metadata.
import {
  AssociateIamInstanceProfileCommand, DeleteVolumeCommand, DescribeIamInstanceProfileAssociationsCommand, DescribeImagesCommand,
  DescribeInstancesCommand, DisassociateIamInstanceProfileCommand, ReplaceIamInstanceProfileAssociationCommand,
} from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import * as assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { sshOutput, waitForSsh } from './guest.ts';
import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, iam, type Keys, noGuests, OTHER_ACCOUNT, sts } from './region.ts';
import { baseImage, instances, launch, terminateLaunched, uniqueName, userKey, waitForInstance } from './things.ts';

const policy = (statement: Record<string, unknown>): string => JSON.stringify({ Version: '2012-10-17', Statement: statement });

// A role that EC2 may assume, which may describe images, in a profile of its name.
async function newProfile(): Promise<string> {
  const name = uniqueName('server');
  await iam().send(new iamApi.CreateRoleCommand({
    RoleName: name, AssumeRolePolicyDocument: policy({ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }),
  }));
  await iam().send(new iamApi.PutRolePolicyCommand({
    RoleName: name, PolicyName: 'its', PolicyDocument: policy({ Effect: 'Allow', Action: 'ec2:DescribeImages', Resource: '*' }),
  }));
  await iam().send(new iamApi.CreateInstanceProfileCommand({ InstanceProfileName: name }));
  await iam().send(new iamApi.AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name }));
  return name;
}

const arnOf = (name: string): string => `arn:aws:iam::${ACCOUNT}:instance-profile/${name}`;

async function userWho(...actions: string[]): Promise<Keys> {
  const name = uniqueName('user');
  await iam().send(new iamApi.CreateUserCommand({ UserName: name }));
  await iam().send(new iamApi.PutUserPolicyCommand({
    UserName: name, PolicyName: 'its', PolicyDocument: policy({ Effect: 'Allow', Action: actions, Resource: '*' }),
  }));
  const made = await iam().send(new iamApi.CreateAccessKeyCommand({ UserName: name }));
  return { accessKeyId: made.AccessKey!.AccessKeyId!, secretAccessKey: made.AccessKey!.SecretAccessKey! };
}

const associationsOf = async (id: string) => (await ec2().send(new DescribeIamInstanceProfileAssociationsCommand({
  Filters: [{ Name: 'instance-id', Values: [id] }],
}))).IamInstanceProfileAssociations!;

describe('instance profiles of instances', () => {
  after(() => terminateLaunched());

  test('an instance has the profile that it was launched with, until that is replaced or taken away', async () => {
    const [name, second] = [await newProfile(), await newProfile()];
    const [made] = await launch({ IamInstanceProfile: { Name: name } });
    assert.equal(made!.IamInstanceProfile!.Arn, arnOf(name));
    assert.match(made!.IamInstanceProfile!.Id!, /^AIPA[A-Z2-7]{17}$/);
    const [association] = await associationsOf(made!.InstanceId);
    assert.match(association!.AssociationId!, /^iip-assoc-[0-9a-f]{17}$/);
    assert.deepEqual(
      [association!.InstanceId, association!.State, association!.IamInstanceProfile!.Arn], [made!.InstanceId, 'associated', arnOf(name)]);
    const found = await ec2().send(new DescribeInstancesCommand({ Filters: [{ Name: 'iam-instance-profile.arn', Values: [arnOf(name)] }] }));
    assert.deepEqual(found.Reservations!.flatMap((each) => each.Instances!.map((instance) => instance.InstanceId)), [made!.InstanceId]);

    const more = new AssociateIamInstanceProfileCommand({ InstanceId: made!.InstanceId, IamInstanceProfile: { Name: second } });
    await assertRefused(ec2().send(more), 'IncorrectState', /^There is an existing association for instance i-/);
    const replaced = (await ec2().send(new ReplaceIamInstanceProfileAssociationCommand({
      AssociationId: association!.AssociationId!, IamInstanceProfile: { Arn: arnOf(second) },
    }))).IamInstanceProfileAssociation!;
    assert.notEqual(replaced.AssociationId, association!.AssociationId);
    assert.equal((await instances([made!.InstanceId]))[0]!.IamInstanceProfile!.Arn, arnOf(second));
    await ec2().send(new DisassociateIamInstanceProfileCommand({ AssociationId: replaced.AssociationId! }));
    assert.deepEqual(await associationsOf(made!.InstanceId), []);
    assert.equal((await instances([made!.InstanceId]))[0]!.IamInstanceProfile, undefined);
    await ec2().send(more);
    assert.equal((await associationsOf(made!.InstanceId))[0]!.IamInstanceProfile!.Arn, arnOf(second));
  });

  test('bad profiles and associations are refused, and a launch leaves nothing', async () => {
    const run = (IamInstanceProfile: { Name?: string; Arn?: string }) => launch({ IamInstanceProfile });
    await assertRefused(run({ Name: 'nobody' }), 'InvalidParameterValue',
      /^Value \(nobody\) for parameter iamInstanceProfile\.name is invalid\. Invalid IAM Instance Profile name$/);
    await assertRefused(run({ Arn: arnOf('nobody') }), 'InvalidParameterValue', /Invalid IAM Instance Profile ARN$/);
    const name = await newProfile();
    await assertRefused(run({ Arn: arnOf(name).replace(ACCOUNT, OTHER_ACCOUNT) }), 'InvalidParameterValue');
    await assertRefused(run({ Name: name, Arn: arnOf(name) }), 'InvalidParameterCombination');
    const [made] = await launch();
    await assertRefused(
      ec2().send(new AssociateIamInstanceProfileCommand({ InstanceId: made!.InstanceId, IamInstanceProfile: {} })), 'MissingParameter');
    const take = (AssociationId: string, account = ACCOUNT) =>
      ec2(account).send(new DisassociateIamInstanceProfileCommand({ AssociationId }));
    await assertRefused(take('iip-assoc-00000000000000000'), 'InvalidAssociationID.NotFound', /^An invalid association-id of /);
    await assertRefused(take('nonsense'), 'InvalidAssociationID.Malformed');
    await ec2().send(new AssociateIamInstanceProfileCommand({ InstanceId: made!.InstanceId, IamInstanceProfile: { Name: name } }));
    const [association] = await associationsOf(made!.InstanceId);
    await assertRefused(take(association!.AssociationId!, OTHER_ACCOUNT), 'InvalidAssociationID.NotFound');
    const replace = new ReplaceIamInstanceProfileAssociationCommand({
      AssociationId: association!.AssociationId!, IamInstanceProfile: { Name: 'nobody' },
    });
    await assertRefused(ec2().send(replace), 'InvalidParameterValue');
    assert.deepEqual(await associationsOf(made!.InstanceId), [association]);
    await assertRefused(ec2().send(new DescribeIamInstanceProfileAssociationsCommand({ AssociationIds: ['iip-assoc-00000000000000000'] })),
      'InvalidAssociationID.NotFound');
  });

  test('who gives a profile has to be allowed to pass its role', async () => {
    const name = await newProfile();
    const [made] = await launch();
    const associate = new AssociateIamInstanceProfileCommand({ InstanceId: made!.InstanceId, IamInstanceProfile: { Name: name } });
    const without = ec2(ACCOUNT, { keys: await userWho('ec2:*') });
    const not = new RegExp(`is not authorized to perform: iam:PassRole on resource: arn:aws:iam::${ACCOUNT}:role/${name} `);
    await assertRefused(without.send(associate), 'UnauthorizedOperation', not);
    const { ImageId } = await baseImage();
    await assertRefused(launch({ ImageId, IamInstanceProfile: { Name: name } }, without), 'UnauthorizedOperation', not);
    const passing = ec2(ACCOUNT, { keys: await userWho('iam:PassRole', 'ec2:AssociateIamInstanceProfile') });
    const [association] = [(await passing.send(associate)).IamInstanceProfileAssociation!];
    await assertRefused(
      passing.send(new DisassociateIamInstanceProfileCommand({ AssociationId: association.AssociationId! })), 'UnauthorizedOperation');
    const replace = new ReplaceIamInstanceProfileAssociationCommand({
      AssociationId: association.AssociationId!, IamInstanceProfile: { Name: name },
    });
    await assertRefused(passing.send(replace), 'UnauthorizedOperation');
    await assertRefused(passing.send(new DescribeIamInstanceProfileAssociationsCommand({})), 'UnauthorizedOperation');
  });

  test('a guest finds credentials that do what its role may, and no more', { skip: noGuests }, async () => {
    const name = await newProfile();
    const [made] = await launch({ IamInstanceProfile: { Name: name }, KeyName: (await userKey()).name });
    const guest = await waitForInstance(made!.InstanceId);
    await waitForSsh(guest);
    assert.equal(await sshOutput(guest, 'imds meta-data/iam/security-credentials/'), name);
    assert.equal(JSON.parse(await sshOutput(guest, 'imds meta-data/iam/info')).InstanceProfileArn, arnOf(name));
    const found = JSON.parse(await sshOutput(guest, `imds meta-data/iam/security-credentials/${name}`));
    const keys = { accessKeyId: found.AccessKeyId, secretAccessKey: found.SecretAccessKey, sessionToken: found.Token };
    const who = await sts(ACCOUNT, { keys }).send(new GetCallerIdentityCommand({}));
    assert.equal(who.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/${name}/${guest.InstanceId}`);
    await ec2(ACCOUNT, { keys }).send(new DescribeImagesCommand({ Owners: ['self'] }));
    await assertRefused(
      ec2(ACCOUNT, { keys }).send(new DeleteVolumeCommand({ VolumeId: 'vol-00000000000000000' })), 'UnauthorizedOperation');
  });
});
