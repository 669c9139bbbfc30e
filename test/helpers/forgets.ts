/** Computes the expected result of forgetting paths in another way: the listing of each set without those paths. */
import fs from 'node:fs';
import path from 'node:path';
import { changeSets, forgetRequestsOf, type StoreLimits } from '../../src/store/writer/index.js';
import { finishSwitched, forgetHere } from '../../src/maintenance/rewrite/index.js';
import type { ForgetRequest } from '../../src/model/index.js';
import {
  Codec,
  decode,
  openClientDirectory,
  packName,
  packNumber,
  DirectoryBackend,
  readRecord,
  RECORD_CHUNKED,
  recordBytes,
  scanPack,
} from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { type Place, SMALL_STORE } from './inline.js';

export function requestFor(id: number, forgotten: string, lastSet: number): ForgetRequest {
  return { id, path: Buffer.from(forgotten), lastSet, requestedAtMs: 1, dueAtMs: 1 };
}

/** Records forget requests unchanged. */
export async function requestInline(
  { store, client }: Place,
  requests: readonly ForgetRequest[],
): Promise<void> {
  const system = nodeSystem();
  const directory = openClientDirectory(system, { store, client });
  await changeSets(system, directory, SMALL_STORE.store, () =>
    requests.map((request) => ({ type: 'forget-requested', ...request })),
  );
}

/** Executes the requests as a server does, for a client that does not encrypt. */
export async function forgetInline(
  system: System,
  place: Place,
  limits: StoreLimits = SMALL_STORE.store,
): Promise<void> {
  const directory = openClientDirectory(system, place);
  await finishSwitched(system, directory);
  const requests = forgetRequestsOf(system, directory);
  if (requests.length === 0) return;
  await forgetHere(system, directory, requests, {
    limits,
    skipFile: 'skip',
    verify: true,
    acceptDamage: false,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
}

/** Returns lines of `dumpedHistory` without forgotten entries, and without the first and last set of each version. */
export function dumpedWithout(
  lines: readonly string[],
  requests: readonly { readonly path: Buffer; readonly lastSet: number }[],
): string[] {
  return lines.flatMap((line) => {
    const [, number, at] = /^(\d+) (\/.*?) \d+,/s.exec(line) ?? [];
    if (number === undefined || at === undefined) return [line];
    const isGone = requests.some(({ path: gone, lastSet }) => {
      const start = gone.toString('latin1');
      return Number(number) <= lastSet && (at === start || at.startsWith(`${start}/`));
    });
    return isGone ? [] : [line.replace(/,[^,]*,[^,]*$/, '')];
  });
}

/** Returns all decoded records of a client that does not encrypt, and its other files as they are. */
export async function decodedBytes({ store, client }: Place): Promise<Buffer> {
  const directory = path.join(store, client);
  const { files } = nodeSystem();
  const backend = new DirectoryBackend(directory, files);
  const found: Buffer[] = [];
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const pack = packNumber(name);
    const full = path.join(directory, name);
    if (name === 'reserve' || !fs.statSync(full).isFile()) continue;
    found.push(Buffer.from(name), fs.readFileSync(full));
    if (pack === undefined) continue;
    for await (const { header, position } of scanPack(backend, pack, 0)) {
      if ((header.flags & RECORD_CHUNKED) !== 0 || header.codec === Codec.none) continue;
      const record = await readRecord(backend, packName(pack), position, recordBytes(header));
      const raw = Buffer.alloc(header.rawBytes);
      decode(header.codec, record.body, raw);
      found.push(raw);
    }
  }
  backend.close();
  return Buffer.concat(found);
}
