// Pace: slow
/** The commands on a sheet connect to the server through which the sheet was printed. */
import test from 'ava';
import { newKeyRecord } from '../../src/crypto/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { sheetWords } from '../../src/tools/index.js';

const PLACE = {
  client: 'me',
  database: Buffer.from('/store'),
  port: 7420,
  insecureTcp: false,
  insecureNetwork: false,
};

test('a sheet names how its server is reached where that is not the usual way', async (t) => {
  const { modPow } = nodeSystem().native;
  const { record } = await newKeyRecord(modPow, Buffer.from('a password of the tests'), true);
  const commands = (throughServer: string | undefined, port: number, more = {}): string =>
    sheetWords({ ...PLACE, throughServer, port, ...more }, record)
      .steps.flatMap((step) => step.commands)
      .join('\n');
  t.regex(commands('backup.lan', 7421), /^lstardis --server backup\.lan --port 7421 /m);
  t.regex(commands('backup.lan', 7421), /^regenerate --server backup\.lan --port 7421 /m);
  t.notRegex(commands('backup.lan', 7420), /--port/);
  t.notRegex(commands('/run/tardisd.sock', 7421), /--port/);
  t.notRegex(commands(undefined, 7421), /--port/);
  const plain = commands('localhost', 7421, { insecureTcp: true });
  t.regex(plain, /^lstardis --server localhost --port 7421 --insecure-tcp /m);
  t.regex(plain, /^regenerate --server localhost --port 7421 --insecure-tcp /m);
  const open = commands('backup.lan', 7420, { insecureNetwork: true });
  t.regex(open, /^lstardis --server backup\.lan --insecure-network /m);
});

test('a sheet has the facts by which a server that lost the keys is known', async (t) => {
  const { modPow } = nodeSystem().native;
  const { record } = await newKeyRecord(modPow, Buffer.from('a password of the tests'), true);
  const lastStep = (throughServer: string | undefined): string =>
    sheetWords({ ...PLACE, throughServer }, record).steps.at(-1)!.text;
  t.regex(lastStep('backup.lan'), /LOGIN_FAILED.*on its machine/);
  t.notRegex(lastStep(undefined), /LOGIN_FAILED/);
});
