/** The program `ssh` for tests: stubs that run the command on this machine, and the real one with an sshd. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { openProgram, type ProgramAddress } from '../../src/system/index.js';
import { sshError } from '../../src/transport/index.js';
import { freePort } from '../support/free-port.js';
import { BIN } from './commands.js';
import { folderIn, scratchInMemory } from './scratch.js';
import { pause } from './until.js';

/** Lines of a stub that runs the command of the client as a shell on the other machine does. */
export const RUNS_IT = `for last; do :; done\nPATH='${BIN}':$PATH exec sh -c "$last"`;

/** A way to other machines. */
export interface SshWay {
  /** Variables with which commands find this `ssh`. */
  readonly env: Readonly<Record<string, string>>;
  /** Host of the server in addresses. */
  readonly host: string;
  /** Matches the command line of each process that is a connection. */
  readonly client: RegExp;
  /** Lets the keys of the client run this command only, whatever the client requests; undefined for any command. */
  force(command: string | undefined): void;
}

/** Makes a program `ssh` with these lines. */
export function sshProgram(t: ExecutionContext, lines: string): SshWay['env'] {
  const folder = folderIn(scratchInMemory(t), 'bin');
  fs.writeFileSync(path.join(folder, 'ssh'), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  return { PATH: `${folder}:${process.env['PATH']}` };
}

/** Returns a stub that runs commands on this machine. It stays between client and server, so that a test can end it. */
export function sshStub(t: ExecutionContext): SshWay {
  const home = scratchInMemory(t);
  const forced = path.join(home, 'forced');
  const env = sshProgram(
    t,
    `for last; do :; done\ntest -e '${forced}' && last=$(cat '${forced}')\n` +
      `PATH='${BIN}':$PATH sh -c "$last"; exit $?`,
  );
  return {
    env,
    host: 'nas',
    client: new RegExp(`${env['PATH']!.split(':')[0]}/ssh`),
    force: (command) => {
      if (command === undefined) fs.rmSync(forced, { force: true });
      else fs.writeFileSync(forced, command);
    },
  };
}

/** Starts an sshd on this machine. Returns the reason as text if there is none, or if it does not work here. */
export async function sshServer(t: ExecutionContext): Promise<SshWay | string> {
  const sshd = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((file) => fs.existsSync(file));
  const ssh = spawnSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).stdout.trim();
  if (sshd === undefined || ssh === '') return 'there is no openssh-server here';
  const home = scratchInMemory(t);
  const at = (name: string): string => path.join(home, name);
  for (const name of ['hostkey', 'id']) {
    const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
    if (made.status !== 0) return 'ssh-keygen fails';
  }
  const port = await freePort();
  const key = fs.readFileSync(at('id.pub'), 'utf8');
  const force = (command: string | undefined): void =>
    fs.writeFileSync(
      at('authorized'),
      command === undefined ? key : `restrict,command="${command}" ${key}`,
    );
  force(undefined);
  const hostKey = fs.readFileSync(at('hostkey.pub'), 'utf8');
  fs.writeFileSync(at('known'), `[127.0.0.1]:${port} ${hostKey}`);
  fs.writeFileSync(
    at('sshd'),
    `Port ${port}\nListenAddress 127.0.0.1\nHostKey ${at('hostkey')}\nPidFile none\nStrictModes no\n` +
      `AuthorizedKeysFile ${at('authorized')}\nUsePAM no\nPasswordAuthentication no\n` +
      `KbdInteractiveAuthentication no\nSetEnv PATH=${BIN}:${process.env['PATH']}\n`,
  );
  fs.writeFileSync(
    at('config'),
    `Host nas\n  HostName 127.0.0.1\n  Port ${port}\n  IdentityFile ${at('id')}\n` +
      `  IdentitiesOnly yes\n  UserKnownHostsFile ${at('known')}\n  StrictHostKeyChecking yes\n`,
  );
  fs.mkdirSync('/run/sshd', { recursive: true });
  const server = spawn(sshd, ['-D', '-e', '-f', at('sshd')], { stdio: 'ignore' });
  t.teardown(() => server.kill());
  const env = sshProgram(t, `exec '${ssh}' -F '${at('config')}' "$@"`);
  for (let tries = 0; tries < 100; tries += 1) {
    const tried = spawnSync('ssh', ['-o', 'BatchMode=yes', 'nas', 'true'], {
      env: { ...process.env, ...env },
    });
    if (tried.status === 0) return { env, host: 'nas', client: new RegExp(at('config')), force };
    await pause(50);
  }
  return 'the sshd does not let this user in';
}

/** Returns the address of a server that is started on this machine for a connection, and speaks through its pipes. */
export function pipedAddress(store: string, more: readonly string[] = []): ProgramAddress {
  const command = [path.join(BIN, 'tardisd'), '--stdio', '--database', store, ...more];
  return {
    kind: 'program',
    name: `ssh://nas${store}`,
    mayPrompt: false,
    open: () => openProgram(command),
    errorOf: (error, end) => sshError('nas', error, end),
  };
}

/** Returns the processes whose command line matches. */
export function processesLike(pattern: RegExp): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && pattern.test(commandLine(name)))
    .map(Number);
}

function commandLine(pid: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return ''; // it ended
  }
}
