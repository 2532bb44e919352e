// Identities: users, groups, roles, instance profiles, their keys and policies, and temporary credentials.
import { DeleteVolumeCommand, DescribeImagesCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import * as iamApi from '@aws-sdk/client-iam';
import { ListKeysCommand } from '@aws-sdk/client-kms';
import {
  AssumeRoleCommand, DecodeAuthorizationMessageCommand, GetCallerIdentityCommand, GetSessionTokenCommand, type Credentials,
} from '@aws-sdk/client-sts';
import * as assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { allServed } from './model.ts';
import { assertRefused, refusal, send } from './refusals.ts';
import { ACCOUNT, aws, ec2, iam, kms, type Keys, OTHER_ACCOUNT, restartDaemon, sts } from './region.ts';
import { uniqueName } from './things.ts';

const USER_NOT_FOUND = /^The user with name .* cannot be found\.$/;

type Statement = Record<string, unknown>;
const policy = (...statements: Statement[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const allow = (action: string | string[], resource: string | string[] = '*', more: Statement = {}): Statement => (
  { Effect: 'Allow', Action: action, Resource: resource, ...more });
const deny = (action: string | string[], resource: string | string[] = '*', more: Statement = {}): Statement => (
  { Effect: 'Deny', Action: action, Resource: resource, ...more });
const trust = (principal: Statement, more: Statement = {}): string => (
  policy({ Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole', ...more }));

const root = () => iam();

async function newUser(...statements: Statement[]): Promise<{ name: string; keys: Keys }> {
  const name = uniqueName('user');
  await root().send(new iamApi.CreateUserCommand({ UserName: name }));
  if (statements.length > 0) await put(name, ...statements);
  const made = await root().send(new iamApi.CreateAccessKeyCommand({ UserName: name }));
  return { name, keys: { accessKeyId: made.AccessKey!.AccessKeyId!, secretAccessKey: made.AccessKey!.SecretAccessKey! } };
}

async function put(user: string, ...statements: Statement[]): Promise<void> {
  await root().send(new iamApi.PutUserPolicyCommand({ UserName: user, PolicyName: 'its', PolicyDocument: policy(...statements) }));
}

const keysOfSession = (made: Credentials): Keys & { sessionToken: string } => (
  { accessKeyId: made.AccessKeyId!, secretAccessKey: made.SecretAccessKey!, sessionToken: made.SessionToken! });

const as = (keys: Keys) => ({ keys });
const describeImages = () => new DescribeImagesCommand({ Owners: ['self'] });

describe('iam: users and their keys', () => {
  test('a user is made, found, listed, renamed, tagged and deleted', async () => {
    const name = uniqueName('ann');
    const made = await root().send(new iamApi.CreateUserCommand({ UserName: name, Path: '/staff/', Tags: [{ Key: 'team', Value: 'red' }] }));
    assert.equal(made.User!.Arn, `arn:aws:iam::${ACCOUNT}:user/staff/${name}`);
    assert.match(made.User!.UserId!, /^AIDA[A-Z2-7]{17}$/);
    assert.deepEqual(made.User!.Tags, [{ Key: 'team', Value: 'red' }]);
    assert.ok(made.User!.CreateDate instanceof Date);
    await assertRefused(root().send(new iamApi.CreateUserCommand({ UserName: name.toUpperCase() })), 'EntityAlreadyExists');
    await assertRefused(root().send(new iamApi.CreateUserCommand({ UserName: 'a/b' })), 'ValidationError');
    const listed = await root().send(new iamApi.ListUsersCommand({ PathPrefix: '/staff/', MaxItems: 1000 }));
    assert.ok(listed.Users!.some((user) => user.UserName === name));
    await root().send(new iamApi.UpdateUserCommand({ UserName: name, NewUserName: `${name}-2`, NewPath: '/' }));
    await assertRefused(root().send(new iamApi.GetUserCommand({ UserName: name })), 'NoSuchEntity', USER_NOT_FOUND);
    await root().send(new iamApi.TagUserCommand({ UserName: `${name}-2`, Tags: [{ Key: 'a', Value: 'b' }] }));
    await root().send(new iamApi.UntagUserCommand({ UserName: `${name}-2`, TagKeys: ['team'] }));
    assert.deepEqual((await root().send(new iamApi.ListUserTagsCommand({ UserName: `${name}-2` }))).Tags, [{ Key: 'a', Value: 'b' }]);
    const found = await root().send(new iamApi.GetUserCommand({ UserName: `${name}-2` }));
    assert.equal(found.User!.UserId, made.User!.UserId);
    assert.equal(found.User!.Arn, `arn:aws:iam::${ACCOUNT}:user/${name}-2`);
    await root().send(new iamApi.DeleteUserCommand({ UserName: `${name}-2` }));
    await assertRefused(root().send(new iamApi.DeleteUserCommand({ UserName: `${name}-2` })), 'NoSuchEntity', USER_NOT_FOUND);
  });

  test('lists come in pages', async () => {
    const path = `/${uniqueName('pages')}/`;
    const names = ['a', 'b', 'c'].map((letter) => uniqueName(letter));
    for (const name of names) await root().send(new iamApi.CreateUserCommand({ UserName: name, Path: path }));
    const found: string[] = [];
    let marker: string | undefined;
    do {
      const page = await root().send(new iamApi.ListUsersCommand({ PathPrefix: path, MaxItems: 2, Marker: marker }));
      found.push(...page.Users!.map((user) => user.UserName!));
      assert.equal(page.IsTruncated, page.Marker !== undefined);
      marker = page.Marker;
    } while (marker);
    assert.deepEqual(found, [...names].sort());
    await assertRefused(root().send(new iamApi.ListUsersCommand({ MaxItems: 0 })), 'ValidationError');
    await assertRefused(root().send(new iamApi.ListUsersCommand({ Marker: 'nobody' })), 'ValidationError');
  });

  test('a key signs for its user until it is switched off or deleted, across a restart too', async () => {
    const { name, keys } = await newUser();
    const who = await sts(ACCOUNT, as(keys)).send(new GetCallerIdentityCommand({}));
    assert.equal(who.Arn, `arn:aws:iam::${ACCOUNT}:user/${name}`);
    assert.match(who.UserId!, /^AIDA/);
    await restartDaemon('SIGKILL');
    await sts(ACCOUNT, as(keys)).send(new GetCallerIdentityCommand({}));
    await assertRefused(
      sts(ACCOUNT, as({ ...keys, secretAccessKey: 'wrong' })).send(new GetCallerIdentityCommand({})), 'SignatureDoesNotMatch');

    const second = await root().send(new iamApi.CreateAccessKeyCommand({ UserName: name }));
    await assertRefused(root().send(new iamApi.CreateAccessKeyCommand({ UserName: name })), 'LimitExceeded', /AccessKeysPerUser: 2/);
    const listed = await root().send(new iamApi.ListAccessKeysCommand({ UserName: name }));
    assert.deepEqual(new Set(listed.AccessKeyMetadata!.map((key) => key.AccessKeyId)), new Set([keys.accessKeyId, second.AccessKey!.AccessKeyId]));

    const status = (Status: 'Active' | 'Inactive') =>
      root().send(new iamApi.UpdateAccessKeyCommand({ UserName: name, AccessKeyId: keys.accessKeyId, Status }));
    await status('Inactive');
    await assertRefused(sts(ACCOUNT, as(keys)).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');
    await status('Active');
    await sts(ACCOUNT, as(keys)).send(new GetCallerIdentityCommand({}));
    await assertRefused(status('Maybe' as 'Active'), 'ValidationError');
    await assertRefused(root().send(new iamApi.DeleteUserCommand({ UserName: name })), 'DeleteConflict', /access keys/);
    await root().send(new iamApi.DeleteAccessKeyCommand({ UserName: name, AccessKeyId: keys.accessKeyId }));
    await assertRefused(sts(ACCOUNT, as(keys)).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');
    const gone = { UserName: name, AccessKeyId: keys.accessKeyId };
    await assertRefused(root().send(new iamApi.DeleteAccessKeyCommand(gone)), 'NoSuchEntity');
    // Another account's root finds neither user nor key.
    await assertRefused(iam(OTHER_ACCOUNT).send(new iamApi.ListAccessKeysCommand({ UserName: name })), 'NoSuchEntity');
    await root().send(new iamApi.DeleteAccessKeyCommand({ UserName: name, AccessKeyId: second.AccessKey!.AccessKeyId! }));
    await root().send(new iamApi.DeleteUserCommand({ UserName: name }));
  });

  test('a user may look after its own keys when its policy says so, and its only', async () => {
    const { name, keys } = await newUser(allow(['iam:*AccessKey*', 'iam:GetUser'], `arn:aws:iam::${ACCOUNT}:user/\${aws:username}`));
    const mine = iam(ACCOUNT, as(keys));
    assert.equal((await mine.send(new iamApi.GetUserCommand({}))).User!.UserName, name);
    assert.equal((await mine.send(new iamApi.ListAccessKeysCommand({}))).AccessKeyMetadata!.length, 1);
    const other = await newUser();
    await assertRefused(mine.send(new iamApi.ListAccessKeysCommand({ UserName: other.name })), 'AccessDenied');
  });
});

describe('iam: groups', () => {
  test('members have the policies of their groups', async () => {
    const { name, keys } = await newUser();
    const GroupName = uniqueName('group');
    const made = await root().send(new iamApi.CreateGroupCommand({ GroupName }));
    assert.match(made.Group!.GroupId!, /^AGPA/);
    await assertRefused(root().send(new iamApi.CreateGroupCommand({ GroupName })), 'EntityAlreadyExists');
    await root().send(new iamApi.PutGroupPolicyCommand({ GroupName, PolicyName: 'see', PolicyDocument: policy(allow('ec2:DescribeImages')) }));
    assert.deepEqual((await root().send(new iamApi.ListGroupPoliciesCommand({ GroupName }))).PolicyNames, ['see']);
    const read = await root().send(new iamApi.GetGroupPolicyCommand({ GroupName, PolicyName: 'see' }));
    assert.equal(decodeURIComponent(read.PolicyDocument!), policy(allow('ec2:DescribeImages')));
    await assertRefused(ec2(ACCOUNT, as(keys)).send(describeImages()), 'UnauthorizedOperation');
    await root().send(new iamApi.AddUserToGroupCommand({ GroupName, UserName: name }));
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    assert.deepEqual((await root().send(new iamApi.GetGroupCommand({ GroupName }))).Users!.map((user) => user.UserName), [name]);
    const groups = await root().send(new iamApi.ListGroupsForUserCommand({ UserName: name }));
    assert.deepEqual(groups.Groups!.map((group) => group.GroupName), [GroupName]);
    assert.ok((await root().send(new iamApi.ListGroupsCommand({ MaxItems: 1000 }))).Groups!.some((group) => group.GroupName === GroupName));
    await root().send(new iamApi.UpdateGroupCommand({ GroupName, NewGroupName: `${GroupName}-2` }));
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    const renamed = { GroupName: `${GroupName}-2` };
    await assertRefused(root().send(new iamApi.DeleteGroupCommand(renamed)), 'DeleteConflict');
    await root().send(new iamApi.RemoveUserFromGroupCommand({ ...renamed, UserName: name }));
    await assertRefused(root().send(new iamApi.RemoveUserFromGroupCommand({ ...renamed, UserName: name })), 'NoSuchEntity');
    await assertRefused(ec2(ACCOUNT, as(keys)).send(describeImages()), 'UnauthorizedOperation');
    const arn = 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess';
    await root().send(new iamApi.AttachGroupPolicyCommand({ ...renamed, PolicyArn: arn }));
    const attached = await root().send(new iamApi.ListAttachedGroupPoliciesCommand(renamed));
    assert.deepEqual(attached.AttachedPolicies, [{ PolicyName: 'AmazonEC2ReadOnlyAccess', PolicyArn: arn }]);
    await root().send(new iamApi.DetachGroupPolicyCommand({ ...renamed, PolicyArn: arn }));
    await root().send(new iamApi.DeleteGroupPolicyCommand({ ...renamed, PolicyName: 'see' }));
    await root().send(new iamApi.DeleteGroupCommand(renamed));
    await assertRefused(root().send(new iamApi.GetGroupCommand(renamed)), 'NoSuchEntity');
  });
});

describe('iam: policies', () => {
  test('an inline policy is put, read, listed and deleted', async () => {
    const { name } = await newUser(allow('ec2:*'));
    const of = { UserName: name, PolicyName: 'its' };
    assert.equal(decodeURIComponent((await root().send(new iamApi.GetUserPolicyCommand(of))).PolicyDocument!), policy(allow('ec2:*')));
    assert.deepEqual((await root().send(new iamApi.ListUserPoliciesCommand({ UserName: name }))).PolicyNames, ['its']);
    await root().send(new iamApi.DeleteUserPolicyCommand(of));
    await assertRefused(root().send(new iamApi.GetUserPolicyCommand(of)), 'NoSuchEntity');
    await assertRefused(root().send(new iamApi.DeleteUserPolicyCommand(of)), 'NoSuchEntity');
    const long = policy(allow('ec2:*', Array.from({ length: 100 }, (_, i) => `arn:aws:ec2:*:*:instance/i-${i}`)));
    await assertRefused(root().send(new iamApi.PutUserPolicyCommand({ ...of, PolicyDocument: long })), 'LimitExceeded', /2048/);
  });

  test('a malformed policy is refused with the place where it is', async () => {
    const { name } = await newUser();
    const tryPolicy = (PolicyDocument: string) =>
      root().send(new iamApi.PutUserPolicyCommand({ UserName: name, PolicyName: 'bad', PolicyDocument }));
    await assertRefused(tryPolicy('{'), 'MalformedPolicyDocument', /^Syntax errors in policy/);
    await assertRefused(tryPolicy(policy(allow('ec2:*'), allow('Run'))), 'MalformedPolicyDocument', /^Statement 2: Action: /);
    await assertRefused(tryPolicy(policy(allow('ec2:*', 'ami-1'))), 'MalformedPolicyDocument', /^Statement 1: Resource: /);
    await assertRefused(
      tryPolicy(policy({ ...allow('ec2:*'), Principal: '*' })), 'MalformedPolicyDocument', /should not specify a principal/);
    await assertRefused(
      tryPolicy(policy(allow('ec2:*', '*', { Condition: { IpAddress: { 'aws:SourceIp': 'home' } } }))), 'MalformedPolicyDocument', /aws:SourceIp/);
  });

  test('a managed policy has versions, of which one counts', async () => {
    const { name, keys } = await newUser();
    const PolicyName = uniqueName('policy');
    const made = await root().send(new iamApi.CreatePolicyCommand({
      PolicyName, PolicyDocument: policy(allow('ec2:DescribeImages')), Description: 'sees', Tags: [{ Key: 'a', Value: 'b' }],
    }));
    const PolicyArn = made.Policy!.Arn!;
    assert.equal(PolicyArn, `arn:aws:iam::${ACCOUNT}:policy/${PolicyName}`);
    assert.match(made.Policy!.PolicyId!, /^ANPA/);
    await assertRefused(root().send(new iamApi.CreatePolicyCommand({ PolicyName, PolicyDocument: policy(allow('*')) })), 'EntityAlreadyExists');
    await root().send(new iamApi.AttachUserPolicyCommand({ UserName: name, PolicyArn }));
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    const second = await root().send(new iamApi.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: policy(allow('ec2:DescribeVolumes')) }));
    assert.equal(second.PolicyVersion!.VersionId, 'v2');
    assert.equal(second.PolicyVersion!.IsDefaultVersion, false);
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    await root().send(new iamApi.SetDefaultPolicyVersionCommand({ PolicyArn, VersionId: 'v2' }));
    await assertRefused(ec2(ACCOUNT, as(keys)).send(describeImages()), 'UnauthorizedOperation');
    await ec2(ACCOUNT, as(keys)).send(new DescribeVolumesCommand({}));
    const versions = await root().send(new iamApi.ListPolicyVersionsCommand({ PolicyArn }));
    assert.deepEqual(versions.Versions!.map((version) => [version.VersionId, version.IsDefaultVersion]), [['v2', true], ['v1', false]]);
    const read = await root().send(new iamApi.GetPolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
    assert.equal(decodeURIComponent(read.PolicyVersion!.Document!), policy(allow('ec2:DescribeImages')));
    await assertRefused(root().send(new iamApi.GetPolicyVersionCommand({ PolicyArn, VersionId: 'v9' })), 'NoSuchEntity');
    await assertRefused(root().send(new iamApi.DeletePolicyVersionCommand({ PolicyArn, VersionId: 'v2' })), 'DeleteConflict');
    await root().send(new iamApi.DeletePolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
    for (let i = 0; i < 4; ++i) await root().send(new iamApi.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: policy(allow('s3:*')) }));
    await assertRefused(root().send(new iamApi.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: policy(allow('s3:*')) })), 'LimitExceeded');
    const found = (await root().send(new iamApi.GetPolicyCommand({ PolicyArn }))).Policy!;
    assert.deepEqual([found.AttachmentCount, found.DefaultVersionId, found.Description], [1, 'v2', 'sees']);
    await root().send(new iamApi.TagPolicyCommand({ PolicyArn, Tags: [{ Key: 'c', Value: 'd' }] }));
    await root().send(new iamApi.UntagPolicyCommand({ PolicyArn, TagKeys: ['a'] }));
    assert.deepEqual((await root().send(new iamApi.ListPolicyTagsCommand({ PolicyArn }))).Tags, [{ Key: 'c', Value: 'd' }]);
    const entities = await root().send(new iamApi.ListEntitiesForPolicyCommand({ PolicyArn }));
    assert.deepEqual(entities.PolicyUsers!.map((user) => user.UserName), [name]);
    const local = await root().send(new iamApi.ListPoliciesCommand({ Scope: 'Local', OnlyAttached: true, MaxItems: 1000 }));
    assert.ok(local.Policies!.some((each) => each.Arn === PolicyArn));
    await assertRefused(root().send(new iamApi.DeletePolicyCommand({ PolicyArn })), 'DeleteConflict');
    assert.deepEqual((await root().send(new iamApi.ListAttachedUserPoliciesCommand({ UserName: name }))).AttachedPolicies, [{ PolicyName, PolicyArn }]);
    await root().send(new iamApi.DetachUserPolicyCommand({ UserName: name, PolicyArn }));
    await assertRefused(root().send(new iamApi.DetachUserPolicyCommand({ UserName: name, PolicyArn })), 'NoSuchEntity');
    for (const VersionId of ['v3', 'v4', 'v5', 'v6']) await root().send(new iamApi.DeletePolicyVersionCommand({ PolicyArn, VersionId }));
    await root().send(new iamApi.DeletePolicyCommand({ PolicyArn }));
    await assertRefused(root().send(new iamApi.GetPolicyCommand({ PolicyArn })), 'NoSuchEntity');
  });

  test("AWS's own policies are there and cannot be changed", async () => {
    const listed = await root().send(new iamApi.ListPoliciesCommand({ Scope: 'AWS' }));
    const names = listed.Policies!.map((each) => each.PolicyName!);
    for (const name of ['AdministratorAccess', 'ReadOnlyAccess', 'AmazonEC2FullAccess', 'AmazonEC2ReadOnlyAccess']) assert.ok(names.includes(name), name);
    const PolicyArn = 'arn:aws:iam::aws:policy/AdministratorAccess';
    const read = await root().send(new iamApi.GetPolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
    assert.deepEqual(JSON.parse(decodeURIComponent(read.PolicyVersion!.Document!)).Statement, [allow('*')]);
    await assertRefused(root().send(new iamApi.DeletePolicyCommand({ PolicyArn })), 'AccessDenied');
    await assertRefused(root().send(new iamApi.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: policy(allow('*')) })), 'AccessDenied');
    const { name, keys } = await newUser();
    await root().send(new iamApi.AttachUserPolicyCommand({ UserName: name, PolicyArn }));
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    await kms(ACCOUNT, as(keys)).send(new ListKeysCommand({}));
    await iam(ACCOUNT, as(keys)).send(new iamApi.ListUsersCommand({ MaxItems: 1 }));
  });

  test('a boundary takes away and gives nothing', async () => {
    const { name, keys } = await newUser(allow('*'));
    const made = await root().send(new iamApi.CreatePolicyCommand({ PolicyName: uniqueName('limit'), PolicyDocument: policy(allow('ec2:DescribeImages')) }));
    const limit = made.Policy!.Arn!;
    await root().send(new iamApi.PutUserPermissionsBoundaryCommand({ UserName: name, PermissionsBoundary: limit }));
    await ec2(ACCOUNT, as(keys)).send(describeImages());
    await assertRefused(
      ec2(ACCOUNT, as(keys)).send(new DescribeVolumesCommand({})), 'UnauthorizedOperation', /because no permissions boundary allows the ec2:DescribeVolumes action/);
    assert.equal((await root().send(new iamApi.GetUserCommand({ UserName: name }))).User!.PermissionsBoundary!.PermissionsBoundaryArn, limit);
    const limited = await root().send(new iamApi.ListEntitiesForPolicyCommand({ PolicyArn: limit, PolicyUsageFilter: 'PermissionsBoundary' }));
    assert.deepEqual(limited.PolicyUsers!.map((user) => user.UserName), [name]);
    await assertRefused(root().send(new iamApi.DeletePolicyCommand({ PolicyArn: limit })), 'DeleteConflict');
    await root().send(new iamApi.DeleteUserPermissionsBoundaryCommand({ UserName: name }));
    await ec2(ACCOUNT, as(keys)).send(new DescribeVolumesCommand({}));
    await assertRefused(root().send(new iamApi.DeleteUserPermissionsBoundaryCommand({ UserName: name })), 'NoSuchEntity');
    await assertRefused(
      root().send(new iamApi.PutUserPermissionsBoundaryCommand({ UserName: name, PermissionsBoundary: `${limit}-none` })), 'NoSuchEntity');
  });
});

describe('iam: roles and instance profiles', () => {
  test('a role is made, found, changed and deleted', async () => {
    const RoleName = uniqueName('role');
    const document = trust({ Service: 'ec2.amazonaws.com' });
    const made = await root().send(new iamApi.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: document, Description: 'of guests' }));
    assert.match(made.Role!.RoleId!, /^AROA/);
    assert.equal(decodeURIComponent(made.Role!.AssumeRolePolicyDocument!), document);
    await assertRefused(root().send(new iamApi.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: document })), 'EntityAlreadyExists');
    const bad = (AssumeRolePolicyDocument: string) => root().send(new iamApi.CreateRoleCommand({ RoleName: uniqueName('bad'), AssumeRolePolicyDocument }));
    await assertRefused(bad(policy(allow('sts:AssumeRole'))), 'MalformedPolicyDocument');
    await assertRefused(bad(trust({ AWS: 'somebody' })), 'MalformedPolicyDocument', /Invalid principal/);
    await root().send(new iamApi.UpdateRoleCommand({ RoleName, Description: 'of hosts', MaxSessionDuration: 7200 }));
    await assertRefused(root().send(new iamApi.UpdateRoleCommand({ RoleName, MaxSessionDuration: 60 })), 'ValidationError');
    await root().send(new iamApi.UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument: trust({ AWS: ACCOUNT }) }));
    await root().send(new iamApi.TagRoleCommand({ RoleName, Tags: [{ Key: 'a', Value: 'b' }, { Key: 'c', Value: 'd' }] }));
    await root().send(new iamApi.UntagRoleCommand({ RoleName, TagKeys: ['c'] }));
    assert.deepEqual((await root().send(new iamApi.ListRoleTagsCommand({ RoleName }))).Tags, [{ Key: 'a', Value: 'b' }]);
    const found = (await root().send(new iamApi.GetRoleCommand({ RoleName }))).Role!;
    assert.deepEqual([found.Description, found.MaxSessionDuration, decodeURIComponent(found.AssumeRolePolicyDocument!)],
      ['of hosts', 7200, trust({ AWS: ACCOUNT })]);
    assert.ok((await root().send(new iamApi.ListRolesCommand({ MaxItems: 1000 }))).Roles!.some((role) => role.RoleName === RoleName));
    const PolicyArn = 'arn:aws:iam::aws:policy/ReadOnlyAccess';
    await root().send(new iamApi.AttachRolePolicyCommand({ RoleName, PolicyArn }));
    assert.equal((await root().send(new iamApi.ListAttachedRolePoliciesCommand({ RoleName }))).AttachedPolicies!.length, 1);
    await root().send(new iamApi.PutRolePolicyCommand({ RoleName, PolicyName: 'x', PolicyDocument: policy(allow('ec2:*')) }));
    assert.deepEqual((await root().send(new iamApi.ListRolePoliciesCommand({ RoleName }))).PolicyNames, ['x']);
    assert.ok((await root().send(new iamApi.GetRolePolicyCommand({ RoleName, PolicyName: 'x' }))).PolicyDocument);
    await root().send(new iamApi.PutRolePermissionsBoundaryCommand({ RoleName, PermissionsBoundary: PolicyArn }));
    await root().send(new iamApi.DeleteRolePermissionsBoundaryCommand({ RoleName }));
    await assertRefused(root().send(new iamApi.DeleteRoleCommand({ RoleName })), 'DeleteConflict');
    await root().send(new iamApi.DeleteRolePolicyCommand({ RoleName, PolicyName: 'x' }));
    await root().send(new iamApi.DetachRolePolicyCommand({ RoleName, PolicyArn }));
    await root().send(new iamApi.DeleteRoleCommand({ RoleName }));
    await assertRefused(root().send(new iamApi.GetRoleCommand({ RoleName })), 'NoSuchEntity');
  });

  test('an instance profile holds one role', async () => {
    const InstanceProfileName = uniqueName('profile'), RoleName = uniqueName('role');
    await root().send(new iamApi.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust({ Service: 'ec2.amazonaws.com' }) }));
    const made = await root().send(new iamApi.CreateInstanceProfileCommand({ InstanceProfileName }));
    assert.equal(made.InstanceProfile!.Arn, `arn:aws:iam::${ACCOUNT}:instance-profile/${InstanceProfileName}`);
    await assertRefused(root().send(new iamApi.CreateInstanceProfileCommand({ InstanceProfileName })), 'EntityAlreadyExists');
    await root().send(new iamApi.AddRoleToInstanceProfileCommand({ InstanceProfileName, RoleName }));
    await assertRefused(root().send(new iamApi.AddRoleToInstanceProfileCommand({ InstanceProfileName, RoleName })), 'LimitExceeded');
    const found = await root().send(new iamApi.GetInstanceProfileCommand({ InstanceProfileName }));
    assert.deepEqual(found.InstanceProfile!.Roles!.map((role) => role.RoleName), [RoleName]);
    const of = await root().send(new iamApi.ListInstanceProfilesForRoleCommand({ RoleName }));
    assert.deepEqual(of.InstanceProfiles!.map((profile) => profile.InstanceProfileName), [InstanceProfileName]);
    assert.ok((await root().send(new iamApi.ListInstanceProfilesCommand({ MaxItems: 1000 }))).InstanceProfiles!
      .some((profile) => profile.InstanceProfileName === InstanceProfileName));
    await assertRefused(root().send(new iamApi.DeleteRoleCommand({ RoleName })), 'DeleteConflict');
    await assertRefused(root().send(new iamApi.DeleteInstanceProfileCommand({ InstanceProfileName })), 'DeleteConflict');
    await root().send(new iamApi.RemoveRoleFromInstanceProfileCommand({ InstanceProfileName, RoleName }));
    await root().send(new iamApi.DeleteInstanceProfileCommand({ InstanceProfileName }));
    await assertRefused(root().send(new iamApi.GetInstanceProfileCommand({ InstanceProfileName })), 'NoSuchEntity');
    await root().send(new iamApi.DeleteRoleCommand({ RoleName }));
  });
});

describe('iam: temporary credentials', () => {
  const newRole = async (document: string, ...statements: Statement[]): Promise<string> => {
    const RoleName = uniqueName('role');
    const made = await root().send(new iamApi.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: document }));
    await root().send(new iamApi.PutRolePolicyCommand({ RoleName, PolicyName: 'its', PolicyDocument: policy(...statements) }));
    return made.Role!.Arn!;
  };

  test('who is trusted and allowed becomes the role, for a time, and no more than the session says', async () => {
    const { name, keys } = await newUser(allow('sts:AssumeRole'));
    const RoleArn = await newRole(trust({ AWS: ACCOUNT }), allow(['ec2:DescribeImages', 'ec2:DescribeVolumes']));
    const assume = (more: object = {}) => sts(ACCOUNT, as(keys)).send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me', ...more }));
    const made = await assume();
    const role = RoleArn.slice(RoleArn.lastIndexOf('/') + 1);
    assert.equal(made.AssumedRoleUser!.Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/me`);
    const session = keysOfSession(made.Credentials!);
    assert.equal((await sts(ACCOUNT, as(session)).send(new GetCallerIdentityCommand({}))).Arn, made.AssumedRoleUser!.Arn);
    await ec2(ACCOUNT, as(session)).send(describeImages());
    await assertRefused(ec2(ACCOUNT, as(session)).send(new DeleteVolumeCommand({ VolumeId: 'vol-0123456789abcdef0' })), 'UnauthorizedOperation');

    const less = keysOfSession((await assume({ Policy: policy(allow('ec2:DescribeVolumes')) })).Credentials!);
    await ec2(ACCOUNT, as(less)).send(new DescribeVolumesCommand({}));
    await assertRefused(ec2(ACCOUNT, as(less)).send(describeImages()), 'UnauthorizedOperation', /no session policy allows/);

    const PolicyArns = ['AmazonEC2ReadOnlyAccess', 'ReadOnlyAccess', 'IAMFullAccess'].map((each) => ({ arn: `arn:aws:iam::aws:policy/${each}` }));
    const managed = keysOfSession((await assume({ PolicyArns })).Credentials!);
    await ec2(ACCOUNT, as(managed)).send(describeImages());
    const only = keysOfSession((await assume({ PolicyArns: PolicyArns.slice(2) })).Credentials!);
    await assertRefused(ec2(ACCOUNT, as(only)).send(describeImages()), 'UnauthorizedOperation', /no session policy allows/);
    await assertRefused(assume({ PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/None' }] }), 'NoSuchEntity');
    await assertRefused(assume({ DurationSeconds: 60 }), 'ValidationError');
    await assertRefused(assume({ DurationSeconds: 7200 }), 'ValidationError', /MaxSessionDuration/);
    await assertRefused(assume({ RoleSessionName: 'a b' }), 'ValidationError');
    await assertRefused(assume({ Policy: '{' }), 'MalformedPolicyDocument');
    await assertRefused(assume({ RoleArn: `${RoleArn}-none` }), 'AccessDenied');
    const { sessionToken, ...torn } = session;
    assert.ok(sessionToken);
    await assertRefused(sts(ACCOUNT, as(torn)).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');
    const swapped = { ...session, sessionToken: less.sessionToken };
    await assertRefused(sts(ACCOUNT, as(swapped)).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');

    await put(name, deny('sts:AssumeRole'));
    await assertRefused(assume(), 'AccessDenied', /explicit deny in an identity-based policy/);
    await root().send(new iamApi.DeleteRolePolicyCommand({ RoleName: role, PolicyName: 'its' }));
    await assertRefused(ec2(ACCOUNT, as(session)).send(describeImages()), 'UnauthorizedOperation');
    await root().send(new iamApi.DeleteRoleCommand({ RoleName: role }));
    await assertRefused(sts(ACCOUNT, as(session)).send(new GetCallerIdentityCommand({})), 'InvalidClientTokenId');
  });

  test('a trust policy decides: by its names, its conditions, and between accounts both sides', async () => {
    const ann = await newUser(), bea = await newUser(allow('sts:AssumeRole'));
    const assume = (keys: Keys, RoleArn: string, more: object = {}) =>
      sts(ACCOUNT, as(keys)).send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'me', ...more }));
    const ofAnn = await newRole(trust({ AWS: `arn:aws:iam::${ACCOUNT}:user/${ann.name}` }), allow('ec2:*'));
    await assume(ann.keys, ofAnn); // named herself, she needs no policy
    await assertRefused(assume(bea.keys, ofAnn), 'AccessDenied', /no resource-based policy allows/);
    const secret = await newRole(trust({ AWS: ACCOUNT }, { Condition: { StringEquals: { 'sts:ExternalId': 'x' } } }), allow('ec2:*'));
    await assertRefused(assume(bea.keys, secret), 'AccessDenied');
    await assume(bea.keys, secret, { ExternalId: 'x' });
    await assertRefused(assume(ann.keys, secret, { ExternalId: 'x' }), 'AccessDenied', /no identity-based policy allows/);
    await assertRefused(sts().send(new AssumeRoleCommand({ RoleArn: secret, RoleSessionName: 'me' })), 'AccessDenied', /root/);
    // A role of the other account.
    const RoleName = uniqueName('far');
    const far = await iam(OTHER_ACCOUNT).send(new iamApi.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust({ AWS: ACCOUNT }) }));
    const there = keysOfSession((await assume(bea.keys, far.Role!.Arn!)).Credentials!);
    assert.equal((await sts(ACCOUNT, as(there)).send(new GetCallerIdentityCommand({}))).Account, OTHER_ACCOUNT);
    await assertRefused(assume(ann.keys, far.Role!.Arn!), 'AccessDenied');
  });

  test('a session of a user is the user', async () => {
    const { name, keys } = await newUser(allow('ec2:DescribeImages'));
    const made = await sts(ACCOUNT, as(keys)).send(new GetSessionTokenCommand({ DurationSeconds: 900 }));
    assert.ok(Math.abs(made.Credentials!.Expiration!.getTime() - Date.now() - 900_000) < 60_000);
    const session = keysOfSession(made.Credentials!);
    assert.equal((await sts(ACCOUNT, as(session)).send(new GetCallerIdentityCommand({}))).Arn, `arn:aws:iam::${ACCOUNT}:user/${name}`);
    await ec2(ACCOUNT, as(session)).send(describeImages());
    await assertRefused(sts(ACCOUNT, as(session)).send(new GetSessionTokenCommand({})), 'AccessDenied');
    await assertRefused(sts(ACCOUNT, as(keys)).send(new GetSessionTokenCommand({ DurationSeconds: 1 })), 'ValidationError');
    await root().send(new iamApi.DeleteUserPolicyCommand({ UserName: name, PolicyName: 'its' }));
    await assertRefused(ec2(ACCOUNT, as(session)).send(describeImages()), 'UnauthorizedOperation');
  });

  test('why a request was refused is told to who may decode it', async () => {
    const { keys } = await newUser(allow('ec2:*'), deny('ec2:DescribeVolumes', '*', { Sid: 'NoVolumes' }));
    const refused = await refusal(ec2(ACCOUNT, as(keys)).send(new DescribeVolumesCommand({})));
    assert.equal(refused.status, 403);
    const EncodedMessage = /Encoded authorization failure message: (\S+)$/.exec(refused.message)![1]!;
    const told = JSON.parse((await sts().send(new DecodeAuthorizationMessageCommand({ EncodedMessage }))).DecodedMessage!);
    assert.deepEqual([told.allowed, told.explicitDeny, told.context.action], [false, true, 'ec2:DescribeVolumes']);
    assert.equal(told.matchedStatements.items[0].statementId, 'NoVolumes');
    await assertRefused(sts(ACCOUNT, as(keys)).send(new DecodeAuthorizationMessageCommand({ EncodedMessage })), 'AccessDenied');
    const invalid = 'InvalidAuthorizationMessageException';
    await assertRefused(sts(OTHER_ACCOUNT).send(new DecodeAuthorizationMessageCommand({ EncodedMessage })), invalid);
    await assertRefused(sts().send(new DecodeAuthorizationMessageCommand({ EncodedMessage: 'abc' })), invalid);
  });
});

describe('iam: every operation', () => {
  const byName = async (service: string) => (await allServed()).filter((served) => served.service === service).map((served) => served.operation);

  test('is refused to a user without policies', async () => {
    const { keys } = await newUser();
    const open = new Set(['GetCallerIdentity', 'GetSessionToken']);
    for (const service of ['iam', 'sts', 'ec2']) {
      for (const operation of await byName(service)) {
        if (open.has(operation)) continue;
        const parameters = operation === 'AssumeRole' ? '&RoleArn=arn:aws:iam::123456789012:role/none&RoleSessionName=me' : '';
        const answer = await send({ service, keys, body: `Action=${operation}&Version=x${parameters}` });
        assert.equal(answer.code, service === 'ec2' ? 'UnauthorizedOperation' : 'AccessDenied', `${service} ${operation}: ${answer.body}`);
        assert.equal(answer.status, 403);
      }
    }
    for (const operation of await byName('kms')) {
      const headers = { 'x-amz-target': `TrentService.${operation}` };
      const answer = await send({ service: 'kms', keys, body: '{"KeyId":"alias/none"}', contentType: 'application/x-amz-json-1.1', headers });
      assert.match(answer.body, /AccessDeniedException/, `${operation}: ${answer.body}`);
    }
  });

  test('refuses a request that says nothing, in words of its own', async () => {
    const needNothing = new Set([
      'GetUser', 'ListUsers', 'ListGroups', 'ListRoles', 'ListPolicies', 'ListInstanceProfiles', 'GetCallerIdentity', 'GetSessionToken']);
    for (const service of ['iam', 'sts']) {
      for (const operation of await byName(service)) {
        if (needNothing.has(operation)) continue;
        const answer = await send({ service, body: `Action=${operation}&Version=x` });
        assert.ok(answer.status >= 400 && answer.status < 500, `${operation}: ${answer.status} ${answer.body}`);
        assert.match(answer.code, /^(ValidationError|MalformedPolicyDocument|InvalidAuthorizationMessageException|NoSuchEntity|AccessDenied)$/, operation);
      }
    }
  });
});

describe('iam: clients', () => {
  test('the AWS CLI makes a user with a key and a policy', async () => {
    const name = uniqueName('cli');
    assert.equal((await aws(['iam', 'create-user', '--user-name', name])).User.UserName, name);
    await aws(['iam', 'attach-user-policy', '--user-name', name, '--policy-arn', 'arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess']);
    const made = (await aws(['iam', 'create-access-key', '--user-name', name])).AccessKey;
    await ec2(ACCOUNT, as({ accessKeyId: made.AccessKeyId, secretAccessKey: made.SecretAccessKey })).send(describeImages());
    const listed = await aws(['iam', 'list-attached-user-policies', '--user-name', name]);
    assert.equal(listed.AttachedPolicies[0].PolicyName, 'AmazonEC2ReadOnlyAccess');
    const read = await aws(['iam', 'get-policy-version', '--policy-arn', 'arn:aws:iam::aws:policy/AdministratorAccess', '--version-id', 'v1']);
    assert.deepEqual(read.PolicyVersion.Document.Statement, [allow('*')]);
  });
});
