// A guest from inside: commands over ssh, and its serial console.
import { GetConsoleOutputCommand, type Instance } from '@aws-sdk/client-ec2';

import { type Ran, run } from './processes.ts';
import { ec2, inHost } from './region.ts';
import { type KeyPair, userKey } from './things.ts';
import { waitFor } from './wait.ts';

const BOOT_SECONDS = 120; // a guest boots in 4 to 14 s without hardware virtualisation, on a machine that is not busy

function sshCommand(address: string, key: KeyPair, words: string[]): string[] {
  return inHost([
    'ssh', '-i', key.file, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
    '-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=5', `root@${address}`, ...words,
  ]);
}

// Runs a command in the guest; its exit status is the command's, or 255 when ssh could not connect.
export async function ssh(instance: Instance, command: string, input = '', seconds = 60): Promise<Ran> {
  return run(sshCommand(instance.PrivateIpAddress!, await userKey(), [command]), { input, seconds });
}

// The output of a command that has to succeed.
export async function sshOutput(instance: Instance, command: string, seconds = 60): Promise<string> {
  const ran = await ssh(instance, command, '', seconds);
  if (ran.status !== 0) throw new Error(`in ${instance.InstanceId}: ${command} ended with ${ran.status}: ${ran.stderr}${ran.stdout}`);
  return ran.stdout.trim();
}

export async function consoleOutput(id: string): Promise<string> {
  const answer = await ec2().send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }));
  return Buffer.from(answer.Output ?? '', 'base64').toString('utf8');
}

// Waits until the guest takes ssh connections; when it does not, the end of its console says what it did instead.
export async function waitForSsh(instance: Instance, seconds = BOOT_SECONDS): Promise<void> {
  let last = '';
  try {
    await waitFor(`ssh into ${instance.InstanceId}`, seconds, async () => {
      const ran = await ssh(instance, 'true');
      last = ran.stderr.trim();
      return ran.status === 0;
    }, () => last);
  } catch (error) {
    const text = await consoleOutput(instance.InstanceId!).catch((fault: Error) => fault.message);
    throw new Error(`${(error as Error).message}\nits console ends with:\n${text.slice(-2000)}`);
  }
}
