// Pace: slow
/** Accounts in a bucket: changes at once, requests that fail, and objects that somebody has swapped, repeated or deleted. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  addTokenAccount,
  fetchAccounts,
  isTokenOf,
  listTokenAccounts,
  putAccount,
  removeAccount,
  tokenHash,
  writtenOnce,
} from '../../../src/store/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import { type AccountMachine, accountMachine, createMe } from '../../helpers/bucket-accounts.js';
import { codeOf, rejectedCode } from '../../helpers/codes.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../../support/memory-object-store.js';

const system = nodeSystem();
const SECRET = 'A'.repeat(43);
const HASH = tokenHash(SECRET);
const PLACE = 'c/me/accounts/';

type Lab = Awaited<ReturnType<typeof labOf>>;

async function labOf(t: ExecutionContext, keys?: Buffer) {
  const objects: Objects = new Map();
  const machine = (before?: BeforeRequest): AccountMachine =>
    accountMachine(t, new MemoryObjectStore(objects, before));
  await createMe(machine(), keys);
  return { objects, machine };
}

async function joined(lab: Lab, before?: BeforeRequest): Promise<AccountMachine> {
  const machine = lab.machine(before);
  await machine.look();
  return machine;
}

function give(machine: AccountMachine, name: string): Promise<void> {
  return addTokenAccount(system, machine.directory, { name, rights: ['read'] }, HASH);
}

function names({ directory }: AccountMachine): string[] {
  return listTokenAccounts(system, directory).map(({ name }) => name);
}

function mayEnter({ directory }: AccountMachine, account: string): boolean {
  return isTokenOf(system, directory, { client: 'me', account, secret: SECRET });
}

function nameOf(number: number): string {
  return `${PLACE}${String(number).padStart(10, '0')}.json`;
}

/** Replaces the body of an object. */
function forge(objects: Objects, name: string, change: (body: Record<string, unknown>) => unknown) {
  const there = objects.get(name)!;
  const record = JSON.parse(there.bytes.toString()) as { body: Record<string, unknown> };
  const bytes = Buffer.from(JSON.stringify({ ...record, body: change(record.body) }));
  objects.set(name, { ...there, bytes });
}

test('of changes at once none is lost, whatever machine makes them', async (t) => {
  const lab = await labOf(t);
  const machines = await Promise.all(Array.from({ length: 6 }, () => joined(lab)));
  await Promise.all(machines.map((machine, index) => give(machine, `a${index}`)));
  await Promise.all(
    machines.map((machine, index) =>
      removeAccount(system, machine.directory, `a${(index + 1) % 6}`).then(() =>
        give(machine, `b${index}`),
      ),
    ),
  );
  const fresh = await joined(lab);
  t.deepEqual(names(fresh), ['b0', 'b1', 'b2', 'b3', 'b4', 'b5']);
  t.is([...lab.objects.keys()].filter((name) => name.startsWith(PLACE)).length, 18);
});

test('one name is given once, and an account that is gone is not changed back into being', async (t) => {
  const lab = await labOf(t);
  const [one, two] = [await joined(lab), await joined(lab)];
  const both = await Promise.all([one, two].map((machine) => rejectedCode(give(machine, 'bot'))));
  t.deepEqual(
    both.filter((code) => code !== undefined),
    ['USAGE'],
  );
  await two.look();
  await removeAccount(system, one.directory, 'bot');
  const stale = putAccount(system, two.directory, { name: 'bot', rights: ['admin'] }, undefined);
  t.is(await rejectedCode(stale), 'NO_SUCH_ACCOUNT');
});

test('a look takes one request and no list if nothing is new, for a client without accounts too', async (t) => {
  const lab = await labOf(t);
  const requested: string[] = [];
  const machine = lab.machine((kind, name) => {
    if (name.startsWith(PLACE)) requested.push(kind);
  });
  await machine.look();
  t.deepEqual(requested.splice(0), ['read']);
  await give(machine, 'bot');
  requested.length = 0;
  await machine.look();
  t.deepEqual(requested.splice(0), ['read']);
});

test('a machine that has never looked skips to the newest list', async (t) => {
  const lab = await labOf(t);
  const one = await joined(lab);
  for (let round = 0; round < 40; round += 1) await give(one, `a${round}`);
  const requested: string[] = [];
  const count: BeforeRequest = (kind, name) => {
    if (name.startsWith(PLACE)) requested.push(kind);
  };
  const fresh = await joined(lab, count);
  t.is(names(fresh).length, 40);
  t.deepEqual(requested, ['read', 'list', 'read', 'read']);
  const late = await joined({ ...lab, objects: lab.objects });
  for (let round = 0; round < 40; round += 1)
    await removeAccount(system, one.directory, `a${round}`);
  await late.look();
  t.deepEqual(names(late), []);
});

test('a removed token does not come back where it was seen removed, whatever is deleted or repeated', async (t) => {
  const lab = await labOf(t);
  const one = await joined(lab);
  await give(one, 'bot');
  const given = lab.objects.get(nameOf(1))!;
  await removeAccount(system, one.directory, 'bot');
  const taken = lab.objects.get(nameOf(2))!;
  const two = await joined(lab);
  t.false(mayEnter(two, 'bot'));
  lab.objects.delete(nameOf(2));
  await two.look();
  t.false(mayEnter(two, 'bot'), 'deleted');
  t.is(await rejectedCode(give(two, 'other')), 'ACCOUNTS_DAMAGED', 'and no change hides that');
  // The same bytes as a later object.
  lab.objects.set(nameOf(3), given);
  t.is(await rejectedCode(two.look()), 'ACCOUNTS_DAMAGED', 'repeated');
  t.false(mayEnter(two, 'bot'));
  lab.objects.delete(nameOf(3));
  lab.objects.set(nameOf(2), given);
  t.is(await rejectedCode(give(two, 'other')), 'ACCOUNTS_DAMAGED', 'replaced');
  lab.objects.set(nameOf(2), taken);
  const { accounts } = (JSON.parse(given.bytes.toString()) as { body: { accounts: object } }).body;
  forge(lab.objects, nameOf(2), (body) => ({ ...body, accounts }));
  t.is(
    await rejectedCode(give(two, 'other')),
    'ACCOUNTS_DAMAGED',
    'replaced by one with its number',
  );
  await two.look();
  t.false(mayEnter(two, 'bot'));
  // Another history, which a machine begins that knows nothing.
  lab.objects.set(nameOf(2), given);
  lab.objects.delete(nameOf(1));
  lab.objects.delete(nameOf(2));
  const three = await joined(lab);
  for (let round = 1; round <= 3; round += 1) await give(three, `x${round}`);
  t.is(await rejectedCode(two.look()), 'ACCOUNTS_DAMAGED', 'another history');
  t.deepEqual(names(two), []);
});

test('objects that are not ours open no door', async (t) => {
  const lab = await labOf(t);
  const one = await joined(lab);
  await give(one, 'bot');
  const original = lab.objects.get(nameOf(1))!;
  const bodies: readonly [string, (body: Record<string, unknown>) => unknown][] = [
    ['client', (body) => ({ ...body, client: 'other' })],
    ['accounts', (body) => ({ ...body, accounts: [] as unknown, clientId: 1 })],
    ['no accounts', ({ client, clientId }) => ({ client, clientId })],
    [
      'name',
      (body) => ({ ...body, accounts: { '../bot': { rights: [], token: 'a'.repeat(64) } } }),
    ],
    [
      'rights',
      (body) => ({ ...body, accounts: { bot: { rights: ['keys'], token: 'a'.repeat(64) } } }),
    ],
    ['token', (body) => ({ ...body, accounts: { bot: { rights: [], token: '' } } })],
    ['nothing', (body) => ({ ...body, accounts: { bot: null } })],
    ['neither', (body) => ({ ...body, accounts: { bot: { rights: ['read'] } } })],
    ['no body', () => null],
  ];
  for (const [what, change] of bodies) {
    lab.objects.set(nameOf(1), original);
    forge(lab.objects, nameOf(1), change);
    const fresh = lab.machine();
    t.is(await rejectedCode(fresh.look()), 'ACCOUNTS_DAMAGED', what);
    t.false(mayEnter(fresh, 'bot'), what);
  }
  const wrongNumber = original.bytes.toString().replace('"number":1', '"number":2');
  for (const [what, text] of [
    ['another number', wrongNumber],
    ['no JSON', '{"version":1'],
    ['null', 'null'],
    ['number', '{"version":1,"number":2,"previous":"","body":{}}'],
    ['no number', '{"version":1,"number":"1","previous":"","body":{}}'],
  ] as const) {
    lab.objects.set(nameOf(1), { ...original, bytes: Buffer.from(text) });
    t.is(await rejectedCode(lab.machine().look()), 'ACCOUNTS_DAMAGED', what);
  }
  lab.objects.set(nameOf(1), { ...original, bytes: Buffer.from('{"version":2}') });
  t.is(await rejectedCode(lab.machine().look()), 'STORE_NEWER');
  lab.objects.set(nameOf(1), { ...original, bytes: Buffer.alloc((4 << 20) + 1, ' ') });
  t.is(await rejectedCode(lab.machine().look()), 'BUCKET_ANSWER_INVALID', 'huge');
});

test('accounts of an earlier client with that name, and of other keys, do not count', async (t) => {
  const lab = await labOf(t);
  const one = await joined(lab);
  await give(one, 'bot');
  for (const [what, change] of [
    ['client', { clientId: 'f'.repeat(32) }],
    ['keys', { keyset: 'f'.repeat(32) }],
  ] as const) {
    const objects: Objects = new Map(lab.objects);
    forge(objects, nameOf(1), (body) => ({ ...body, ...change }));
    const other: Lab = {
      objects,
      machine: (before) => accountMachine(t, new MemoryObjectStore(objects, before)),
    };
    const fresh = await joined(other);
    t.false(mayEnter(fresh, 'bot'), what);
    t.deepEqual(names(fresh), []);
    await give(fresh, 'later');
    t.deepEqual(names(await joined(other)), ['later'], what);
  }
});

test('a machine with an earlier client of that name voids no account of the present one', async (t) => {
  const lab = await labOf(t);
  const [late, early] = [await joined(lab), await joined(lab)];
  await give(early, 'former');
  const lists = [...lab.objects].filter(([name]) => name.startsWith(PLACE));
  lab.objects.clear();
  const again = lab.machine();
  await createMe(again);
  for (const [name, stored] of lists) lab.objects.set(name, stored); // they are put back
  await give(again, 'new');
  await give(late, 'later');
  t.deepEqual(names(await joined(lab)), ['later', 'new']);
  lab.objects.delete('c/me/client.json');
  fs.rmSync(late.directory, { recursive: true });
  const { size } = lab.objects;
  t.is(await rejectedCode(give(late, 'none')), 'FORMAT_DAMAGED');
  t.is(lab.objects.size, size, 'no list without a client is made');
});

test('no account enters a client whose keys are lost here, and a change brings them back first', async (t) => {
  const lab = await labOf(t, Buffer.alloc(64, 1));
  const machine = await joined(lab);
  await give(machine, 'bot');
  t.true(mayEnter(machine, 'bot'));
  fs.rmSync(path.join(machine.directory, 'keys'), { recursive: true });
  t.false(mayEnter(machine, 'bot'));
  await give(machine, 'later');
  t.deepEqual(names(await joined(lab)), ['bot', 'later']);
});

test('a change of which any request fails is made or not made, and a repeated one finds out', async (t) => {
  const lab = await labOf(t);
  const failure = new Error('the request failed');
  for (const isApplied of [false, true]) {
    for (let at = 0; ; at += 1) {
      const name = `bot-${isApplied}-${at}`;
      let left = Infinity;
      let isStruck = false;
      const machine = await joined(lab, (_kind, _object, apply) => {
        left -= 1;
        if (left >= 0) return;
        [left, isStruck] = [Infinity, true];
        if (isApplied) apply();
        throw failure;
      });
      left = at;
      const first = await give(machine, name).then(
        () => 'made',
        (error: unknown) => (error === failure ? 'failed' : codeOf(error)),
      );
      left = Infinity;
      t.is(first, isStruck ? 'failed' : 'made');
      const isThere = names(await joined(lab)).includes(name);
      if (!isStruck) {
        t.true(isThere && at >= 3, `${at} requests`);
        break;
      }
      t.is(await rejectedCode(give(machine, name)), isThere ? 'USAGE' : undefined, name);
      t.true(names(await joined(lab)).includes(name));
      t.true(mayEnter(machine, name));
    }
  }
});

test('what this machine keeps is secret, and damage to it is no door and no end', async (t) => {
  const lab = await labOf(t);
  const one = await joined(lab);
  await give(one, 'bot');
  const kept = path.join(one.access.cache, '.sub-accounts', 'me.json');
  t.is(fs.statSync(kept).mode & 0o077, 0);
  fs.writeFileSync(kept, 'x');
  t.false(mayEnter(one, 'bot'));
  await one.look();
  t.true(mayEnter(one, 'bot'));
});

test('a list of accounts is an object that is created once', (t) => {
  t.deepEqual(writtenOnce(nameOf(7)), {
    client: 'me',
    generation: undefined,
    pack: undefined,
    commit: undefined,
  });
  for (const other of [
    'c/me/accounts/0.json',
    'c/me/accounts/0000000000.json',
    'c/../accounts/x',
  ]) {
    t.is(writtenOnce(other), undefined, other);
  }
});

test('a look that took long does not bring an earlier list back over a later one', async (t) => {
  const lab = await labOf(t);
  const [one, two] = [await joined(lab), await joined(lab)];
  await give(one, 'bot');
  await two.look();
  await give(one, 'other');
  await removeAccount(system, one.directory, 'bot');
  const last = lab.objects.get(nameOf(3))!;
  lab.objects.delete(nameOf(3));
  const folder = path.join(two.access.cache, '.sub-accounts');
  // Another process has the third list while this one writes the second.
  const random = {
    ...system.random,
    bytes: (count: number): Buffer => {
      fs.writeFileSync(path.join(folder, 'me.json'), last.bytes);
      return system.random.bytes(count);
    },
  };
  await fetchAccounts({ ...system, random }, two.access, 'me');
  t.deepEqual(names(two), ['other']);
  t.deepEqual(fs.readdirSync(folder), ['me.json'], 'and nothing else is left');
});
