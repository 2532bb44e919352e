// Child processes of the tests: run one to its end, and find what a process has started.
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  input?: string;
  seconds?: number;
}

// Runs a program to its end; kills it when it takes longer than `seconds`.
export function run(command: string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), {
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: (options.seconds ?? 120) * 1000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => {}); // a program may end without reading its input
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ status: code ?? (signal ? 137 : 1), stdout, stderr }));
  });
}

// Runs a program that has to succeed, and returns what it printed.
export async function output(command: string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(command, options);
  if (ran.status !== 0) {
    throw new Error(`${command.join(' ')} ended with ${ran.status}:\n${ran.stderr}${ran.stdout}`);
  }
  return ran.stdout;
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie still answers to signal 0; its state tells that it is gone.
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function children(pid: number): number[] {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function commandOf(pid: number): string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

// The process below `pid` (or itself) whose program has this name. Ids are those of this process's pid namespace, in
// which a process of a namespace below has one as well.
export function descendant(pid: number, name: string): number | undefined {
  if (commandOf(pid)[0]?.split('/').pop() === name) return pid;
  for (const child of children(pid)) {
    const found = descendant(child, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

// Processes anywhere on this machine whose command line holds `text`.
export function processesWith(text: string): { pid: number; command: string[] }[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: commandOf(Number(name)) }))
    .filter(({ pid, command }) => pid !== process.pid && command.some((word) => word.includes(text)) && isAlive(pid));
}
