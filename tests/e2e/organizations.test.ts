// Accounts that are made while the daemon runs, and organisations of them: units, what is shared with these, and what
// policies know of them.
import { CreateTagsCommand, DescribeImagesCommand, ModifyImageAttributeCommand, RegisterImageCommand } from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import * as org from '@aws-sdk/client-organizations';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import * as assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { assertRefused } from './refusals.ts';
import { ACCOUNT, ec2, iam, type Keys, kiln, kilnOutput, kms, organizations, restartDaemon, sts } from './region.ts';
import { baseImage, snapshotOf, uniqueName } from './things.ts';

interface Made { id: string; keys: Keys }
async function account(): Promise<Made> {
  const made = JSON.parse(await kilnOutput(['account', 'create', '--name', uniqueName('account'), '--output', 'json'])) as Record<string, string>;
  return { id: made.AccountId!, keys: { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey! } };
}
const of = (made: Made) => organizations(made.id, { keys: made.keys });
const whoIs = async (keys: Keys) => (await sts(ACCOUNT, { keys }).send(new GetCallerIdentityCommand({}))).Account;

describe('accounts: made by the operator', () => {
  test('an account works at once, after a restart too, and is listed', async () => {
    const made = await account();
    assert.match(made.id, /^[1-9]\d{11}$/);
    assert.equal(await whoIs(made.keys), made.id);
    const images = await ec2(made.id, { keys: made.keys }).send(new DescribeImagesCommand({ Owners: ['self'] }));
    assert.deepEqual(images.Images, []);
    const listed = JSON.parse(await kilnOutput(['account', 'list', '--output', 'json'])) as { Accounts: { AccountId: string }[] };
    assert.ok(listed.Accounts.some((each) => each.AccountId === made.id));
    assert.ok(listed.Accounts.some((each) => each.AccountId === ACCOUNT));
    await restartDaemon('SIGKILL');
    assert.equal(await whoIs(made.keys), made.id);
  });

  test('another key can be made, and as text it is a section of a credentials file', async () => {
    const made = await account();
    const text = await kilnOutput(['account', 'key', made.id]);
    const found = /^\[(\d+)\]\naws_access_key_id = (\S+)\naws_secret_access_key = (\S+)\n$/.exec(text);
    assert.ok(found, text);
    assert.equal(found[1], made.id);
    assert.equal(await whoIs({ accessKeyId: found[2]!, secretAccessKey: found[3]! }), made.id);
  });

  test('a name is there once, and an account that is not there has no key', async () => {
    const name = uniqueName('twice');
    await kilnOutput(['account', 'create', '--name', name]);
    for (const [words, said] of [[['create', '--name', name], /there is an account named/], [['create', '--name', ''], /1 to 50 characters/],
      [['key', '999999999999'], /there is no account/]] as const) {
      const ran = await kiln(['account', ...words]);
      assert.equal(ran.status, 1);
      assert.match(ran.stderr, said);
    }
  });
});

describe('organizations', () => {
  let master: Made, member: Made, root = '', id = '';
  const managed = () => of(master);
  before(async () => {
    [master, member] = [await account(), await account()];
    const made = (await managed().send(new org.CreateOrganizationCommand({}))).Organization!;
    id = made.Id!;
    assert.deepEqual([made.MasterAccountId, made.FeatureSet, made.Arn], [master.id, 'ALL', `arn:aws:organizations::${master.id}:organization/${id}`]);
    root = (await managed().send(new org.ListRootsCommand({}))).Roots![0]!.Id!;
  });
  const unit = async (Name: string, ParentId = root) =>
    (await managed().send(new org.CreateOrganizationalUnitCommand({ ParentId, Name }))).OrganizationalUnit!;
  const join = async (made: Made) => {
    const { Handshake } = await managed().send(new org.InviteAccountToOrganizationCommand({ Target: { Id: made.id, Type: 'ACCOUNT' } }));
    await of(made).send(new org.AcceptHandshakeCommand({ HandshakeId: Handshake!.Id }));
  };

  test('an account that is in none is told so, and one that is in one makes no other', async () => {
    const alone = await account();
    const none = 'AWSOrganizationsNotInUseException';
    await assertRefused(of(alone).send(new org.DescribeOrganizationCommand({})), none);
    await assertRefused(of(alone).send(new org.ListAccountsCommand({})), none);
    await assertRefused(of(alone).send(new org.LeaveOrganizationCommand({})), none);
    await assertRefused(managed().send(new org.CreateOrganizationCommand({})), 'AlreadyInOrganizationException');
    await assertRefused(of(alone).send(new org.CreateOrganizationCommand({ FeatureSet: 'SOME' as never })), 'InvalidInputException');
    assert.equal((await of(alone).send(new org.CreateOrganizationCommand({ FeatureSet: 'CONSOLIDATED_BILLING' }))).Organization!.FeatureSet, 'CONSOLIDATED_BILLING');
    await of(alone).send(new org.DeleteOrganizationCommand({}));
    await assertRefused(of(alone).send(new org.DescribeOrganizationCommand({})), none);
  });

  test('units are made, renamed, listed, and gone when they are empty', async () => {
    const outer = await unit(uniqueName('outer')), inner = await unit('inner', outer.Id);
    assert.match(inner.Id!, /^ou-[0-9a-f]{4}-[0-9a-f]{8}$/);
    assert.equal(inner.Arn, `arn:aws:organizations::${master.id}:ou/${id}/${inner.Id}`);
    const list = (await managed().send(new org.ListOrganizationalUnitsForParentCommand({ ParentId: outer.Id }))).OrganizationalUnits!;
    assert.deepEqual(list.map((each) => each.Id), [inner.Id]);
    const renamed = await managed().send(new org.UpdateOrganizationalUnitCommand({ OrganizationalUnitId: inner.Id, Name: 'other' }));
    assert.equal(renamed.OrganizationalUnit!.Name, 'other');
    assert.equal((await managed().send(new org.DescribeOrganizationalUnitCommand({ OrganizationalUnitId: inner.Id }))).OrganizationalUnit!.Name, 'other');
    assert.deepEqual((await managed().send(new org.ListParentsCommand({ ChildId: inner.Id }))).Parents, [{ Id: outer.Id, Type: 'ORGANIZATIONAL_UNIT' }]);
    const children = await managed().send(new org.ListChildrenCommand({ ParentId: outer.Id, ChildType: 'ORGANIZATIONAL_UNIT' }));
    assert.deepEqual(children.Children, [{ Id: inner.Id, Type: 'ORGANIZATIONAL_UNIT' }]);
    await assertRefused(unit('other', outer.Id), 'DuplicateOrganizationalUnitException');
    await assertRefused(unit('x', 'ou-0000-00000000'), 'ParentNotFoundException');
    await assertRefused(managed().send(new org.ListChildrenCommand({ ParentId: 'r-0000x', ChildType: 'ACCOUNT' })), 'ParentNotFoundException');
    await assertRefused(managed().send(new org.ListChildrenCommand({ ParentId: root, ChildType: 'ROOM' as never })), 'InvalidInputException');
    await assertRefused(managed().send(new org.ListParentsCommand({ ChildId: '999999999999' })), 'ChildNotFoundException');
    await assertRefused(managed().send(new org.DeleteOrganizationalUnitCommand({ OrganizationalUnitId: outer.Id })), 'OrganizationalUnitNotEmptyException');
    await managed().send(new org.DeleteOrganizationalUnitCommand({ OrganizationalUnitId: inner.Id }));
    await managed().send(new org.DeleteOrganizationalUnitCommand({ OrganizationalUnitId: outer.Id }));
    await assertRefused(managed().send(new org.DescribeOrganizationalUnitCommand({ OrganizationalUnitId: outer.Id })), 'OrganizationalUnitNotFoundException');
    await assertRefused(managed().send(new org.UpdateOrganizationalUnitCommand({ OrganizationalUnitId: outer.Id, Name: 'x' })), 'OrganizationalUnitNotFoundException');
    await assertRefused(managed().send(new org.ListOrganizationalUnitsForParentCommand({ ParentId: root, MaxResults: 0 })), 'InvalidInputException');
  });

  test('an account is made with a role, which the managing account assumes', async () => {
    const Email = `${uniqueName('new')}@example.com`;
    const create = () => managed().send(new org.CreateAccountCommand({ Email, AccountName: 'built' }));
    const status = (await create()).CreateAccountStatus!;
    assert.deepEqual([status.State, status.AccountName], ['SUCCEEDED', 'built']);
    assert.deepEqual((await managed().send(new org.DescribeCreateAccountStatusCommand({ CreateAccountRequestId: status.Id }))).CreateAccountStatus, status);
    const made = (await managed().send(new org.DescribeAccountCommand({ AccountId: status.AccountId }))).Account!;
    assert.deepEqual([made.Email, made.Name, made.Status, made.JoinedMethod], [Email, 'built', 'ACTIVE', 'CREATED']);
    const again = (await create()).CreateAccountStatus!;
    assert.deepEqual([again.State, again.FailureReason, again.AccountId], ['FAILED', 'EMAIL_ALREADY_EXISTS', undefined]);
    const failed = await managed().send(new org.ListCreateAccountStatusCommand({ States: ['FAILED'] }));
    assert.deepEqual(failed.CreateAccountStatuses!.map((each) => each.Id), [again.Id]);
    const theirs = iam(master.id, { keys: master.keys });
    const UserName = uniqueName('admin');
    await theirs.send(new iamApi.CreateUserCommand({ UserName }));
    await theirs.send(new iamApi.AttachUserPolicyCommand({ UserName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' }));
    const key = (await theirs.send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    const role = { RoleArn: `arn:aws:iam::${status.AccountId}:role/OrganizationAccountAccessRole`, RoleSessionName: 'manager' };
    const session = await sts(master.id, { keys: { accessKeyId: key.AccessKeyId!, secretAccessKey: key.SecretAccessKey! } }).send(new AssumeRoleCommand(role));
    assert.match(session.AssumedRoleUser!.Arn!, new RegExp(`::${status.AccountId}:assumed-role/`));
    await assertRefused(managed().send(new org.CreateAccountCommand({ Email: 'nobody', AccountName: 'x' })), 'InvalidInputException');
    await assertRefused(managed().send(new org.DescribeCreateAccountStatusCommand({ CreateAccountRequestId: 'car-none' })), 'CreateAccountStatusNotFoundException');
    await assertRefused(managed().send(new org.DescribeAccountCommand({ AccountId: ACCOUNT })), 'AccountNotFoundException');
    const first = await managed().send(new org.ListAccountsCommand({ MaxResults: 1 }));
    const rest = await managed().send(new org.ListAccountsCommand({ NextToken: first.NextToken }));
    assert.ok([...first.Accounts!, ...rest.Accounts!].some((each) => each.Id === status.AccountId));
  });

  test('others are invited, and join when they say so', async () => {
    const invite = (Id: string, more: Partial<org.InviteAccountToOrganizationCommandInput> = {}) =>
      managed().send(new org.InviteAccountToOrganizationCommand({ Target: { Id, Type: 'ACCOUNT' }, ...more }));
    const open = (await invite(member.id)).Handshake!;
    assert.equal(open.State, 'OPEN');
    await assertRefused(invite(member.id), 'DuplicateHandshakeException');
    await assertRefused(invite('999999999999'), 'InvalidInputException');
    await assertRefused(invite(member.id, { Target: { Id: 'x@y.zz', Type: 'EMAIL' } }), 'InvalidInputException');
    const stranger = await account();
    await assertRefused(of(stranger).send(new org.AcceptHandshakeCommand({ HandshakeId: open.Id })), 'HandshakeNotFoundException');
    await assertRefused(managed().send(new org.AcceptHandshakeCommand({ HandshakeId: open.Id })), 'AccessDeniedException');
    assert.deepEqual((await of(member).send(new org.ListHandshakesForAccountCommand({}))).Handshakes!.map((each) => each.Id), [open.Id]);
    await of(member).send(new org.DeclineHandshakeCommand({ HandshakeId: open.Id }));
    await assertRefused(of(member).send(new org.AcceptHandshakeCommand({ HandshakeId: open.Id })), 'InvalidHandshakeTransitionException');
    const second = (await invite(member.id)).Handshake!;
    await assertRefused(of(member).send(new org.CancelHandshakeCommand({ HandshakeId: second.Id })), 'AccessDeniedException');
    assert.equal((await managed().send(new org.CancelHandshakeCommand({ HandshakeId: second.Id }))).Handshake!.State, 'CANCELED');
    await join(member);
    assert.equal((await of(member).send(new org.DescribeOrganizationCommand({}))).Organization!.Id, id);
    await assertRefused(of(member).send(new org.ListAccountsCommand({})), 'AccessDeniedException');
    await assertRefused(invite(member.id), 'HandshakeConstraintViolationException');
    const all = (await managed().send(new org.ListHandshakesForOrganizationCommand({}))).Handshakes!;
    assert.equal(all.filter((each) => each.State === 'ACCEPTED').length, 1);
    assert.equal((await of(member).send(new org.DescribeHandshakeCommand({ HandshakeId: second.Id }))).Handshake!.State, 'CANCELED');
    await assertRefused(of(member).send(new org.DescribeHandshakeCommand({ HandshakeId: 'h-none' })), 'HandshakeNotFoundException');
  });

  test('what is shared with a unit is seen by who is below it, as long as it is', async () => {
    const team = await unit(uniqueName('team')), crew = await unit('crew', team.Id);
    const register = async (arn: object) => {
      const ImageId = (await ec2().send(new RegisterImageCommand({
        Name: uniqueName('shared'), Architecture: 'x86_64', VirtualizationType: 'hvm', RootDeviceName: '/dev/sda1',
        BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { SnapshotId: snapshotOf(await baseImage()) } }],
      }))).ImageId!;
      await ec2().send(new ModifyImageAttributeCommand({ ImageId, LaunchPermission: { Add: [arn] } }));
      return ImageId;
    };
    const toAll = await register({ OrganizationArn: `arn:aws:organizations::${master.id}:organization/${id}` });
    const toTeam = await register({ OrganizationalUnitArn: team.Arn });
    const seen = async (made: Made) => {
      const found = await ec2(made.id, { keys: made.keys }).send(new DescribeImagesCommand({ ExecutableUsers: ['self'] }));
      return [toAll, toTeam].filter((each) => found.Images!.some((image) => image.ImageId === each));
    };
    const move = (SourceParentId: string, DestinationParentId: string) =>
      managed().send(new org.MoveAccountCommand({ AccountId: member.id, SourceParentId, DestinationParentId }));
    assert.deepEqual(await seen(member), [toAll]);
    await move(root, crew.Id!);
    assert.deepEqual(await seen(member), [toAll, toTeam]);
    await restartDaemon('SIGTERM');
    assert.deepEqual(await seen(member), [toAll, toTeam]);
    const below = await managed().send(new org.ListAccountsForParentCommand({ ParentId: crew.Id }));
    assert.deepEqual(below.Accounts!.map((each) => each.Id), [member.id]);
    await assertRefused(move(root, team.Id!), 'SourceParentNotFoundException');
    await assertRefused(move(crew.Id!, 'ou-0000-00000000'), 'DestinationParentNotFoundException');
    await assertRefused(move(crew.Id!, crew.Id!), 'DuplicateAccountException');
    await assertRefused(managed().send(new org.ListAccountsForParentCommand({ ParentId: 'ou-0000-00000000' })), 'ParentNotFoundException');

    // Policies know where the caller stands.
    const theirs = iam(member.id, { keys: member.keys });
    const UserName = uniqueName('user');
    await theirs.send(new iamApi.CreateUserCommand({ UserName }));
    const key = (await theirs.send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    const keys = { accessKeyId: key.AccessKeyId!, secretAccessKey: key.SecretAccessKey! };
    const may = (condition: object) => theirs.send(new iamApi.PutUserPolicyCommand({ UserName, PolicyName: 'its', PolicyDocument: JSON.stringify({
      Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*', Condition: condition }] }) }));
    const look = () => ec2(member.id, { keys }).send(new DescribeImagesCommand({ Owners: ['self'] }));
    await may({ StringEquals: { 'aws:PrincipalOrgID': id } });
    await look();
    await may({ 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': `${id}/${root}/${team.Id}/*` } });
    await look();
    await may({ StringEquals: { 'aws:PrincipalOrgID': 'o-other00000' } });
    await assertRefused(look(), 'UnauthorizedOperation');
    const Policy = JSON.stringify({ Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' },
      { Effect: 'Allow', Principal: '*', Action: 'kms:Encrypt', Resource: '*', Condition: { StringEquals: { 'aws:PrincipalOrgID': id } } }] });
    const { KeyMetadata } = await kms().send(new CreateKeyCommand({ Policy }));
    const encrypt = () => kms(member.id, { keys: member.keys }).send(new EncryptCommand({ KeyId: KeyMetadata!.Arn, Plaintext: Buffer.from('x') }));
    await encrypt();

    await of(member).send(new org.LeaveOrganizationCommand({}));
    assert.deepEqual(await seen(member), []);
    await assertRefused(encrypt(), 'AccessDeniedException');
    await assertRefused(ec2(member.id, { keys: member.keys }).send(new CreateTagsCommand({ Resources: [toTeam], Tags: [{ Key: 'a', Value: 'b' }] })), 'InvalidAMIID.NotFound');
  });

  test('an account is removed, its manager never, and an organisation ends when it is empty', async () => {
    const other = await account();
    await join(other);
    await assertRefused(managed().send(new org.RemoveAccountFromOrganizationCommand({ AccountId: master.id })), 'MasterCannotLeaveOrganizationException');
    await assertRefused(managed().send(new org.RemoveAccountFromOrganizationCommand({ AccountId: ACCOUNT })), 'AccountNotFoundException');
    await assertRefused(managed().send(new org.DeleteOrganizationCommand({})), 'OrganizationNotEmptyException');
    for (const each of (await managed().send(new org.ListAccountsCommand({}))).Accounts!) {
      if (each.Id !== master.id) await managed().send(new org.RemoveAccountFromOrganizationCommand({ AccountId: each.Id }));
    }
    await assertRefused(of(other).send(new org.DescribeOrganizationCommand({})), 'AWSOrganizationsNotInUseException');
    await managed().send(new org.DeleteOrganizationCommand({}));
  });

  test('nothing is answered to a user without a policy', async () => {
    const theirs = iam(master.id, { keys: master.keys });
    const UserName = uniqueName('user');
    await theirs.send(new iamApi.CreateUserCommand({ UserName }));
    const key = (await theirs.send(new iamApi.CreateAccessKeyCommand({ UserName }))).AccessKey!;
    const client = organizations(master.id, { keys: { accessKeyId: key.AccessKeyId!, secretAccessKey: key.SecretAccessKey! } });
    const target = { Id: ACCOUNT, Type: 'ACCOUNT' as const };
    const ou = { OrganizationalUnitId: 'ou-0000-00000000' }, handshake = { HandshakeId: 'h-x' }, AccountId = ACCOUNT, ParentId = root;
    for (const call of [
      () => client.send(new org.CreateOrganizationCommand({})), () => client.send(new org.DescribeOrganizationCommand({})),
      () => client.send(new org.DeleteOrganizationCommand({})), () => client.send(new org.LeaveOrganizationCommand({})), () => client.send(new org.ListRootsCommand({})),
      () => client.send(new org.CreateOrganizationalUnitCommand({ ParentId, Name: 'x' })), () => client.send(new org.UpdateOrganizationalUnitCommand({ ...ou, Name: 'x' })),
      () => client.send(new org.DeleteOrganizationalUnitCommand(ou)), () => client.send(new org.DescribeOrganizationalUnitCommand(ou)),
      () => client.send(new org.ListOrganizationalUnitsForParentCommand({ ParentId })), () => client.send(new org.ListParentsCommand({ ChildId: ACCOUNT })),
      () => client.send(new org.ListChildrenCommand({ ParentId, ChildType: 'ACCOUNT' })), () => client.send(new org.CreateAccountCommand({ Email: 'a@b.cde', AccountName: 'x' })),
      () => client.send(new org.DescribeCreateAccountStatusCommand({ CreateAccountRequestId: 'car-x' })), () => client.send(new org.ListCreateAccountStatusCommand({})),
      () => client.send(new org.ListAccountsCommand({})), () => client.send(new org.ListAccountsForParentCommand({ ParentId })), () => client.send(new org.DescribeAccountCommand({ AccountId })),
      () => client.send(new org.MoveAccountCommand({ AccountId, SourceParentId: root, DestinationParentId: root })),
      () => client.send(new org.RemoveAccountFromOrganizationCommand({ AccountId })), () => client.send(new org.InviteAccountToOrganizationCommand({ Target: target })),
      () => client.send(new org.AcceptHandshakeCommand(handshake)), () => client.send(new org.DeclineHandshakeCommand(handshake)),
      () => client.send(new org.CancelHandshakeCommand(handshake)), () => client.send(new org.DescribeHandshakeCommand(handshake)),
      () => client.send(new org.ListHandshakesForAccountCommand({})), () => client.send(new org.ListHandshakesForOrganizationCommand({})),
    ]) await assertRefused(call(), 'AccessDeniedException', /is not authorized to perform: organizations:/);
  });
});
