/** Tests of `TokenHistory` in src/remote/remote-history.ts, for a client that encrypts and one that does not. */
import path from 'node:path';
import test from 'ava';
import { contentIdOf, type RightName, RIGHTS } from '../../src/model/index.js';
import { removeAccount } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { backupInline, inlineSystem, type Place, startInline } from '../helpers/inline.js';
import { giveKeys, PASSWORD } from '../helpers/rewrites.js';
import { openTokenAt } from '../helpers/token-history.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { file, makeTree } from '../helpers/tree.js';
import { giveToken, startOverTls, type TlsServer } from '../helpers/web-gateway.js';

for (const isEncrypting of [false, true]) tokenHistorySuite(isEncrypting);

function tokenHistorySuite(isEncrypting: boolean): void {
  const home = makeScratch();
  const place: Place = { store: path.join(home, 'store'), client: 'me' };
  const source = path.join(home, 'tree');
  let server: TlsServer;
  test.before(async () => {
    makeTree(source, [file('secret name', 'contents')]);
    const keys = isEncrypting ? { password: PASSWORD } : {};
    await backupInline(inlineSystem(), place, [source], { create: true, ...keys });
    if (!isEncrypting) await giveKeys(place, false);
    server = await startOverTls(home, place.store);
  });
  test.after.always(async () => {
    await server.stop();
    removeScratch(home);
  });
  const kind = isEncrypting ? 'sealed' : 'plain';
  let accounts = 0;
  const open = async (rights: readonly RightName[]) => {
    accounts += 1;
    const account = `reader-${accounts}`;
    const token = await giveToken(place, account, rights);
    return { account, token, opened: await openTokenAt(server, 'me', token) };
  };

  test(`${kind}: the rights are those that the account has and that concern reading`, async (t) => {
    for (const [given, granted] of [
      [['list'], ['list']],
      [
        ['list', 'read'],
        ['list', 'read'],
      ],
      [RIGHTS, ['list', 'read', 'admin']],
    ] as const) {
      const { opened } = await open(given);
      t.deepEqual([...opened.rights].sort(), [...granted].sort(), given.join());
      opened.history.close();
    }
  });

  test(`${kind}: without the right to list there is no session`, async (t) => {
    t.is(await rejectedCode(open(['read', 'admin'])), 'NOT_PERMITTED');
  });

  test(`${kind}: the server refuses what the rights do not cover`, async (t) => {
    const { opened } = await open(['list']);
    t.is((await opened.history.sets()).length, 1);
    t.is(await rejectedCode(opened.clients()), 'NOT_PERMITTED');
    t.is(await rejectedCode(opened.history.sets()), 'NOT_PERMITTED', 'the session has ended');
    const { history } = (await open(['list', 'admin'])).opened;
    t.is(await rejectedCode(history.locate([{ contentId: contentIdOf(1) }])), 'NOT_PERMITTED');
    for (const one of [opened.history, history]) one.close();
  });

  test(`${kind}: names are in the clear if the client does not encrypt, and sealed otherwise`, async (t) => {
    const { opened } = await open(['list', 'read']);
    const { history, isSealed } = opened;
    t.is(isSealed, isEncrypting);
    t.is(history.contentKeys, undefined, 'this program has no keys');
    const found = await history.find(Buffer.from(path.join(source, 'secret name')), 1);
    t.is(found === undefined, isEncrypting);
    const [root] = await history.roots(1);
    t.is(root!.path.equals(Buffer.from(source)), !isEncrypting);
    history.close();
  });

  test(`${kind}: an account with the right sees the clients of its owner`, async (t) => {
    const { opened } = await open(['list', 'admin']);
    t.deepEqual(
      (await opened.clients()).map(({ client }) => client),
      ['me'],
    );
    opened.history.close();
  });

  test(`${kind}: a wrong token, one of nobody, and one that was taken away open nothing`, async (t) => {
    const { account, token, opened } = await open(['list']);
    opened.history.close();
    const secret = token.slice(token.lastIndexOf('/') + 1);
    for (const wrong of [
      token.slice(0, -1),
      `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
      `me/${account}/`,
      `me/${account}`,
      `me/nobody/${secret}`,
      `other/${account}/${secret}`,
      `../me/${account}/${secret}`,
      '',
    ]) {
      t.is(await rejectedCode(openTokenAt(server, 'me', wrong)), 'NOT_LOGGED_IN', wrong);
    }
    await removeAccount(nodeSystem(), path.join(place.store, 'me'), account);
    t.is(await rejectedCode(openTokenAt(server, 'me', token)), 'NOT_LOGGED_IN');
  });

  test(`${kind}: no token is sent over a line that is not encrypted`, async (t) => {
    const { token, opened } = await open(['list']);
    opened.history.close();
    const insecure = await startInline(inlineSystem(), place.store);
    const { address } = insecure;
    const opening = openTokenAt({ address, tls: undefined }, 'me', token);
    t.is(await rejectedCode(opening), 'INSECURE_TCP_REFUSED');
    await insecure.stop();
  });
}
