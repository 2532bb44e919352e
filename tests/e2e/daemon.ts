// A kilnd of a test's own, beside the one that all tests share: on the fake host, with its own data, configuration and
// port. And a way to it that counts what passes, and that can be cut.
import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';

import { output } from './processes.ts';
import { BIN, type Keys, scratch } from './region.ts';
import { waitFor } from './wait.ts';

const running = new Set<Daemon>();
process.on('exit', () => {
  for (const daemon of running) daemon.kill();
});

export class Daemon {
  readonly region: string;
  readonly data: string;
  port = 0;
  private readonly config: string;
  private readonly log: string;
  private readonly keys: Keys;
  private child: ChildProcess | undefined;

  constructor(region: string, keys: Keys, config = '') {
    const directory = fs.mkdtempSync(path.join(scratch, `${region}-`));
    this.region = region;
    this.keys = keys;
    this.data = path.join(directory, 'data');
    this.log = path.join(directory, 'kilnd.log');
    this.config = path.join(directory, 'kiln.toml');
    fs.writeFileSync(this.log, '');
    fs.writeFileSync(this.config, [
      config, `[[region]]`, `name = "${region}"`, `[[account]]`, `id = "123456789012"`, `access_key = "${keys.accessKeyId}"`,
      `secret_key = "${keys.secretAccessKey}"`, '',
    ].join('\n'));
  }

  async start(): Promise<void> {
    this.begin();
    await this.ready();
  }
  begin(): void {
    this.readyBefore = this.readyLines().length;
    const logFile = fs.openSync(this.log, 'a');
    this.child = spawn(path.join(BIN, 'kilnd'), [
      '--data', this.data, '--config', this.config, '--hypervisor', 'fake', '--listen', `127.0.0.1:${this.port}`,
    ], { stdio: ['ignore', logFile, logFile] });
    fs.closeSync(logFile);
    this.child.unref();
    running.add(this);
  }
  async ready(): Promise<void> {
    const child = this.child!;
    const ready = await waitFor(`the kilnd of ${this.region} becoming ready`, 60, () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`kilnd did not start:\n${this.text().slice(-4000)}`);
      return this.readyLines()[this.readyBefore];
    });
    this.port = Number(ready[1]);
  }
  private readyBefore = 0;
  private readyLines(): RegExpMatchArray[] {
    return [...this.text().matchAll(/^kiln is ready at http:\/\/127\.0\.0\.1:(\d+)$/gm)];
  }

  // Without waiting, from the middle of whatever it does.
  kill(): void {
    this.child?.kill('SIGKILL');
  }
  // Waits until it was killed; that it ends in another way is a failure.
  async killed(): Promise<void> {
    const child = this.child!;
    await waitFor(`the kilnd of ${this.region} being killed`, 60, () => child.exitCode !== null || child.signalCode !== null);
    if (child.signalCode !== 'SIGKILL') throw new Error(`kilnd ended by itself:\n${this.text().slice(-4000)}`);
    running.delete(this);
  }
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.child!;
    child.kill(signal);
    await waitFor(`the kilnd of ${this.region} ending`, 60, () => child.exitCode !== null || child.signalCode !== null);
    running.delete(this);
  }

  text(): string {
    return fs.readFileSync(this.log, 'utf8');
  }
  // How often its API was asked for this, with success.
  answered(action: string): number {
    return this.text().split(` ${action} ok`).length - 1;
  }

  private settings() {
    return { endpoint: `http://127.0.0.1:${this.port}`, region: this.region, credentials: this.keys, maxAttempts: 3 };
  }
  // One for each port that it had: every client keeps connections of its own.
  private readonly clients = new Map<number, { ec2: EC2Client; ebs: EBSClient }>();
  private client(): { ec2: EC2Client; ebs: EBSClient } {
    let made = this.clients.get(this.port);
    if (!made) this.clients.set(this.port, (made = { ec2: new EC2Client(this.settings()), ebs: new EBSClient(this.settings()) }));
    return made;
  }
  ec2(): EC2Client {
    return this.client().ec2;
  }
  ebs(): EBSClient {
    return this.client().ebs;
  }
  kiln(words: string[]): Promise<string> {
    return output([path.join(BIN, 'kiln'), ...words], { env: { ...process.env, KILN_DATA: this.data } });
  }
}

// A listening socket that passes bytes on to a server.
export class Way {
  readonly port: number;
  passed = 0; // bytes that came back
  onPassed: ((passed: number) => void) | undefined;
  private readonly server: net.Server;
  private readonly sockets = new Set<net.Socket>();
  private open = true;

  private constructor(server: net.Server) {
    this.server = server;
    this.port = (server.address() as net.AddressInfo).port;
  }

  static async to(target: () => number): Promise<Way> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    server.unref();
    const way = new Way(server);
    server.on('connection', (client) => way.connect(client, target()));
    return way;
  }

  private connect(client: net.Socket, port: number): void {
    if (!this.open) return void client.destroy();
    const upstream = net.connect(port, '127.0.0.1');
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      this.sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      this.passed += bytes.length;
      this.onPassed?.(this.passed);
    });
    upstream.pipe(client);
  }

  cut(): void {
    this.open = false;
    for (const socket of this.sockets) socket.destroy();
  }
  mend(): void {
    this.open = true;
  }
  close(): void {
    this.cut();
    this.server.close();
  }
}
