// The region that all tests share: kilnd on a fresh data directory, and a private libvirt around it when there are
// guests. Started once a run by main.ts. Everything lives below one temporary directory; when this process ends, in
// whatever way, the pipe that keeps the namespaces alive closes, and all processes in them end.
import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { OrganizationsClient } from '@aws-sdk/client-organizations';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import { descendant, isAlive, output, type Ran, run, type RunOptions } from './processes.ts';
import { waitFor } from './wait.ts';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const BIN = path.join(process.env.KILN_BUILD ?? path.join(ROOT, 'build/release'), 'bin');
export const ACCOUNT = '123456789012'; // the one that every first start makes
export const OTHER_ACCOUNT = '222222222222'; // seeded by the configuration below
// What the other account belongs to: an organisation, and a unit of it.
export const MEMBER_OF = [
  'arn:aws:organizations::123456789012:organization/o-a1b2c3d4e5', 'arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-11111111',
];
export const REGION = 'us-east-1';
export const SECOND_REGION = 'eu-west-1';

export const FAKE = process.env.KILN_E2E === 'fake' || process.getuid?.() !== 0;
// Reason to skip a test that needs real guests, or false when they are there. node:test takes it as `skip`.
export const noGuests: string | false = !FAKE
  ? false
  : process.env.KILN_E2E === 'fake'
    ? 'KILN_E2E=fake runs without guests'
    : 'needs root, for namespaces and libvirt';

export interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kiln-e2e-'));
// QEMU may be another user, and has to get at its socket.
fs.chmodSync(directory, 0o711);
export const data = path.join(directory, 'data');
export const scratch = path.join(directory, 'scratch');
const host = path.join(directory, 'host');
const config = path.join(directory, 'kiln.toml');
const log = path.join(directory, 'kilnd.log');
const hostLog = path.join(directory, 'host.log');

let namespaces: ChildProcess | undefined;
let starter: ChildProcess | undefined; // becomes kilnd, or the nsenter that kilnd is the child of
let port = 0;

export const endpoint = (): string => `http://127.0.0.1:${port}`;
export const daemonLog = (): string => fs.readFileSync(log, 'utf8');

// --- start and stop

export async function startRegion(): Promise<void> {
  fs.mkdirSync(scratch, { recursive: true });
  fs.writeFileSync(log, '');
  // Enough for the largest guest here, a Debian; an emulated one takes only what it touches.
  fs.writeFileSync(config, `guest_memory_limit_mib = 512\n[[account]]\nid = "${OTHER_ACCOUNT}"\nmember_of = ${JSON.stringify(MEMBER_OF)}\n`);
  if (!FAKE) await startNamespaces();
  await startDaemon();
}

async function startNamespaces(): Promise<void> {
  const logFile = fs.openSync(hostLog, 'w');
  // cat ends when the pipe closes, and the namespaces end with it.
  namespaces = spawn(path.join(ROOT, 'guests/private-libvirt/run'), [host, '--', 'cat'], {
    stdio: ['pipe', logFile, logFile],
  });
  fs.closeSync(logFile);
  letGo(namespaces);
  await waitFor('a private libvirt', 30, async () => {
    if (namespaces?.exitCode != null) throw new Error(`no private libvirt:\n${fs.readFileSync(hostLog, 'utf8')}`);
    if (!fs.existsSync(path.join(host, 'pid'))) return false;
    return (await run(inHost(['virsh', '-q', '-c', 'qemu:///system', 'uri']))).status === 0;
  });
}

// The test runner calls its last hook, which stops the region, once nothing else keeps this process busy; what the region
// consists of must not count as that.
function letGo(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) (pipe as unknown as { unref(): void } | null)?.unref();
}

// A command as it runs next to the guests, where their addresses can be reached.
export function inHost(command: string[]): string[] {
  return FAKE ? command : [path.join(ROOT, 'guests/private-libvirt/enter'), host, '--', ...command];
}

// Starts kilnd, on the same port as before when it ran already, and waits until it serves.
export async function startDaemon(): Promise<void> {
  const kilnd = [path.join(BIN, 'kilnd'), '--data', data, '--config', config, '--hypervisor', FAKE ? 'fake' : 'libvirt'];
  const command = [path.join(ROOT, 'tools/dev/listen.py'), `127.0.0.1:${port}`, '--', ...inHost(kilnd)];
  const logFile = fs.openSync(log, 'a');
  const child = spawn('/usr/bin/python3', command, { stdio: ['ignore', 'pipe', logFile] });
  fs.closeSync(logFile);
  starter = child;
  letGo(child);
  let printed = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    fs.appendFileSync(log, text);
  });
  const ready = await waitFor('kilnd becoming ready', 60, () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`kilnd did not start:\n${daemonLog()}`);
    return /^kiln is ready at http:\/\/127\.0\.0\.1:(\d+)$/m.exec(printed);
  });
  port = Number(ready[1]);
}

export function daemonPid(): number {
  const pid = starter?.pid === undefined ? undefined : descendant(starter.pid, 'kilnd');
  if (pid === undefined) throw new Error('kilnd does not run');
  return pid;
}

// Ends kilnd with a signal and waits until it is gone. Guests go on.
export async function stopDaemon(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const pid = daemonPid();
  const child = starter!;
  process.kill(pid, signal);
  await waitFor(`kilnd ending after ${signal}`, 30, () => !isAlive(pid) && (child.exitCode !== null || child.signalCode !== null));
}

export async function restartDaemon(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await stopDaemon(signal);
  await startDaemon();
}

export async function stopRegion(): Promise<void> {
  try {
    await stopDaemon('SIGTERM');
  } finally {
    if (namespaces) {
      const ended = namespaces;
      ended.stdin!.end();
      await waitFor('the private libvirt ending', 30, () => ended.exitCode !== null || ended.signalCode !== null);
    }
  }
}

// What a failed run leaves to read, and removes it: the end of the logs on standard error.
export function removeRegion(failed: boolean): void {
  if (failed) {
    for (const file of [log, hostLog]) {
      if (!fs.existsSync(file)) continue;
      // Tests that wait ask over and over; those lines would fill the screen.
      const lines = fs.readFileSync(file, 'utf8').split('\n').filter((line) => !/ audit: .*:(Describe|Get)\w+ ok$/.test(line));
      process.stderr.write(`--- the last lines of ${path.basename(file)}:\n${lines.slice(-120).join('\n')}\n`);
    }
  }
  // Only after a failure is anything left to end: the daemon by name, what is in the namespaces with their pipe.
  try {
    process.kill(daemonPid(), 'SIGKILL');
  } catch {
    // It ended already.
  }
  if (process.env.KILN_KEEP) process.stderr.write(`kept: ${directory}\n`);
  else fs.rmSync(directory, { recursive: true, force: true });
}

// --- clients

export function keysOf(account: string): Keys {
  const profile = account === ACCOUNT ? 'default' : account;
  const text = fs.readFileSync(path.join(data, 'credentials'), 'utf8');
  const section = text.split(/^\[/m).find((part) => part.startsWith(`${profile}]`));
  const value = (name: string) => new RegExp(`^${name}\\s*=\\s*(\\S+)`, 'm').exec(section ?? '')?.[1];
  const accessKeyId = value('aws_access_key_id');
  const secretAccessKey = value('aws_secret_access_key');
  if (!accessKeyId || !secretAccessKey) throw new Error(`${data}/credentials has no profile ${profile}`);
  return { accessKeyId, secretAccessKey };
}

interface ClientOptions {
  region?: string;
  keys?: Keys;
  sockets?: number; // connections at a time
}

function settings(account: string, options: ClientOptions) {
  return {
    endpoint: endpoint(),
    region: options.region ?? REGION,
    credentials: options.keys ?? keysOf(account),
    maxAttempts: 1,
    ...(options.sockets ? { requestHandler: { httpAgent: { maxSockets: options.sockets } } } : {}),
  };
}

const clients = new Map<string, EC2Client>();

export function ec2(account: string = ACCOUNT, options: ClientOptions = {}): EC2Client {
  const name = `${account} ${options.region ?? REGION} ${options.keys?.secretAccessKey ?? ''} ${port}`;
  let client = clients.get(name);
  if (!client) clients.set(name, (client = new EC2Client(settings(account, options))));
  return client;
}

export function ebs(account: string = ACCOUNT, options: ClientOptions = {}): EBSClient {
  return new EBSClient(settings(account, options));
}

export function iam(account: string = ACCOUNT, options: ClientOptions = {}): IAMClient {
  return new IAMClient(settings(account, options));
}

export function kms(account: string = ACCOUNT, options: ClientOptions = {}): KMSClient {
  return new KMSClient(settings(account, options));
}

export function organizations(account: string = ACCOUNT, options: ClientOptions = {}): OrganizationsClient {
  return new OrganizationsClient(settings(account, options));
}

export function ssm(account: string = ACCOUNT, options: ClientOptions = {}): SSMClient {
  return new SSMClient(settings(account, options));
}

export function sts(account: string = ACCOUNT, options: ClientOptions = {}): STSClient {
  return new STSClient(settings(account, options));
}

const AWS = fs.existsSync('/usr/bin/aws') ? '/usr/bin/aws' : 'aws';

// The AWS CLI as a user calls it; its JSON, parsed. Fails when the command does.
export async function aws(words: string[], options: { account?: string; region?: string } = {}): Promise<any> {
  const text = await output([AWS, '--endpoint-url', endpoint(), '--output', 'json', ...words], {
    env: awsEnvironment(options.account ?? ACCOUNT, options.region ?? REGION),
  });
  return text.trim() === '' ? undefined : JSON.parse(text);
}

export function awsRun(words: string[], account: string = ACCOUNT, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return run([AWS, '--endpoint-url', endpoint(), ...words], { env: { ...awsEnvironment(account, REGION), ...env } });
}

export function awsEnvironment(account: string, region: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: directory,
    AWS_SHARED_CREDENTIALS_FILE: path.join(data, 'credentials'),
    AWS_CONFIG_FILE: path.join(directory, 'no-config'),
    AWS_PROFILE: account === ACCOUNT ? 'default' : account,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
  };
}

// The kiln program, against this region's daemon.
export function kiln(words: string[], options: RunOptions = {}): Promise<Ran> {
  return run([path.join(BIN, 'kiln'), ...words], { ...options, env: { ...process.env, KILN_DATA: data } });
}

export function kilnOutput(words: string[]): Promise<string> {
  return output([path.join(BIN, 'kiln'), ...words], { env: { ...process.env, KILN_DATA: data } });
}
