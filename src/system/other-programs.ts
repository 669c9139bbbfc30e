/** Environments and users of programs that are not ours, and the note about proxies that are not used. */
import { execFileSync } from 'node:child_process';

/** Variables of the access key of a bucket. A program that finds only some of them would refuse to work. */
const ACCESS_KEY = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
];

/**
 * Returns the environment for a program that is not part of this package: that of this process without the access key,
 * and with some variables more. Any process that it starts could pass the key on.
 */
export function environmentOfOthers(
  more: Readonly<Record<string, string>> = {},
): Record<string, string | undefined> {
  const environment: Record<string, string | undefined> = { ...process.env, ...more };
  for (const name of ACCESS_KEY) delete environment[name];
  return environment;
}

/** Returns a phrase that names the proxy of the environment for a protocol, since none is used; empty for none. */
export function unusedProxy(protocol: string): string {
  const wanted = protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const found = [wanted, 'all_proxy'].flatMap((name) => [name, name.toUpperCase()]);
  const name = found.find((one) => (process.env[one] ?? '') !== '');
  return name === undefined ? '' : `; ${name} is set, but no proxy is used`;
}

/** Returns the ids of a user (`-u`), of its group (`-g`), or of its groups (`-G`). Throws if the system has no such user. */
export function idsOf(user: string, which: '-u' | '-g' | '-G'): number[] {
  const output = execFileSync('id', [which, '--', user], { stdio: 'pipe' }).toString();
  return output.trim().split(' ').map(Number);
}
