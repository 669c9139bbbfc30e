// Pace: slow
/** Root takes nothing from, and leaves nothing in, places that another user can change. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  type CommandOptions,
  poolsStayAway,
  run,
  succeed,
} from '../helpers/commands.js';
import { Mounts, unlessLeftOut } from '../helpers/mounts.js';
import { folderIn } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

const ALICE = 12_345;

const isNoCreation = (word: string): boolean => word !== '--create';

/** A machine on which root has an empty home, and runs commands with HOME of a user. */
class Lab {
  readonly source: string;
  readonly store: string;
  readonly alices: string;
  readonly roots: string;
  readonly asRoot: CommandOptions;
  private readonly mounts: Mounts;

  private constructor(mounts: Mounts) {
    this.mounts = mounts;
    this.source = mounts.directory('source');
    this.store = path.join(mounts.home, 'store');
    this.roots = mounts.directory('root');
    this.alices = mounts.directory('alice');
    fs.chownSync(this.alices, ALICE, ALICE);
    mounts.run('mount', '--bind', this.roots, os.userInfo().homedir);
    const env = { HOME: this.alices, XDG_STATE_HOME: '', XDG_CACHE_HOME: '' };
    this.asRoot = { mountsOf: mounts.mountsOf, env };
  }

  static async on(t: ExecutionContext, work: (lab: Lab) => Promise<void>): Promise<void> {
    await unlessLeftOut(t, async () => work(new Lab(await Mounts.open(t))));
  }

  backup(...options: string[]): string[] {
    return ['--local', '--create', '-D', this.store, '-C', 'me', ...options, this.source];
  }

  at(...names: string[]): string {
    return path.join(this.mounts.home, ...names);
  }

  write(file: string, text: string, mode = 0o644): string {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    fs.chmodSync(file, mode);
    return file;
  }

  /** Returns a program that leaves a mark, and the path of the mark. */
  marker(): { readonly program: string; readonly mark: string } {
    const mark = this.at('mark');
    return { program: this.write(this.at('run-me'), `#!/bin/sh\n: >${mark}\n`, 0o755), mark };
  }
}

test('root with HOME of another user keeps its state in its own home, and follows no link of that user', async (t) => {
  await Lab.on(t, async (lab) => {
    await succeed('tardis', lab.backup(), lab.asRoot);
    t.deepEqual(fs.readdirSync(lab.alices), []);
    const clients = path.join(lab.roots, '.local/state/tardis/clients');
    t.is(fs.readdirSync(clients).length, 1);
    const elsewhere = fs.mkdirSync(lab.at('elsewhere', 'clients'), { recursive: true })!;
    fs.mkdirSync(path.join(lab.alices, '.local/state'), { recursive: true });
    fs.symlinkSync(elsewhere, path.join(lab.alices, '.local/state/tardis'));
    fs.rmSync(clients, { recursive: true });
    await succeed('lstardis', ['-D', lab.store, '-C', 'me'], lab.asRoot);
    t.deepEqual(fs.readdirSync(elsewhere, { recursive: true }), ['clients']);
    t.is(fs.readdirSync(clients).length, 1);
    // The directory that leads to the home counts too, and what does not exist yet.
    const below = folderIn(lab.alices, 'root-owned');
    for (const HOME of [below, path.join(below, 'missing')]) {
      await succeed('lstardis', ['-D', lab.store, '-C', 'me'], {
        ...lab.asRoot,
        env: { ...lab.asRoot.env, HOME },
      });
    }
    t.deepEqual(fs.readdirSync(below), []);
  });
});

test('root with TMPDIR of another user makes and removes its temporary files elsewhere', async (t) => {
  await Lab.on(t, async (lab) => {
    await succeed('tardis', lab.backup(), lab.asRoot);
    const below = path.join(lab.alices, 'root-owned');
    const open = lab.at('open');
    const sticky = lab.at('sticky');
    for (const directory of [below, open, sticky]) fs.mkdirSync(directory);
    fs.chmodSync(open, 0o777);
    fs.chmodSync(sticky, 0o1777);
    const isLeft = async (TMPDIR: string): Promise<boolean> => {
      // A killed run of root has left this. The next one removes it, wherever the name leads to by then.
      const left = path.join(TMPDIR, 'tardis-copy-AAAAAA');
      fs.mkdirSync(left, { mode: 0o700 });
      fs.utimesSync(left, 0, 0);
      const before = fs.statSync(TMPDIR).mtimeMs;
      const env = { ...lab.asRoot.env, TMPDIR };
      const asRoot = { ...lab.asRoot, env };
      await succeed('tardis', ['--report', ...lab.backup().filter(isNoCreation)], asRoot);
      await succeed('sonic', ['check', '-D', lab.store, '-C', 'me'], asRoot);
      return fs.existsSync(left) && fs.statSync(TMPDIR).mtimeMs === before;
    };
    for (const directory of [lab.alices, below, open]) t.true(await isLeft(directory), directory);
    for (const directory of [sticky, lab.at()]) t.false(await isLeft(directory), directory);
  });
});

test('a credential_process that another user can change is not run by root', async (t) => {
  await Lab.on(t, async (lab) => {
    const { program, mark } = lab.marker();
    const config = `[default]\ncredential_process = ${program}\n`;
    const file = lab.write(path.join(lab.alices, '.aws/config'), config);
    const asRoot = (env: Record<string, string>): CommandOptions => ({
      ...lab.asRoot,
      env: { ...lab.asRoot.env, AWS_EC2_METADATA_DISABLED: 'true', ...env },
    });
    const bucket = ['-D', 's3://bucket/x', '--endpoint', 'http://127.0.0.1:1', '-C', 'me'];
    const inHome = exited(t, 1, await run('lstardis', bucket, asRoot({})));
    t.regex(
      inHome.stderr,
      /not in the profile "default" of \/root\/\.aws.*\[CREDENTIALS_MISSING\]/,
    );
    const named = exited(t, 1, await run('lstardis', bucket, asRoot({ AWS_CONFIG_FILE: file })));
    t.regex(named.stderr, /does not run, since user 12345 owns .*alice \[CONFIG_UNSAFE\]/);
    t.false(fs.existsSync(mark));
    fs.cpSync(file, path.join(lab.roots, '.aws/config'));
    await run('lstardis', bucket, asRoot({}));
    t.true(fs.existsSync(mark), "root's own is run");
  });
});

/** Ways by which another user can change a file, each with the text that names it. */
const HANDS: Readonly<Record<string, (lab: Lab, text: string) => string>> = {
  'every user may write to .*job.cfg \\(0666\\)': (lab, text) =>
    lab.write(lab.at('job.cfg'), text, 0o666),
  'group 12345 may write to .*job.cfg \\(0664\\)': (lab, text) => {
    const file = lab.write(lab.at('job.cfg'), text, 0o664);
    fs.chownSync(file, 0, ALICE);
    return file;
  },
  'user 12345 owns .*job.cfg': (lab, text) => {
    const file = lab.write(lab.at('job.cfg'), text);
    fs.chownSync(file, ALICE, ALICE);
    return file;
  },
  'user 12345 owns .*alice': (lab, text) => lab.write(path.join(lab.alices, 'job.cfg'), text),
  'every user may write to .*open \\(0777\\)': (lab, text) => {
    const file = lab.write(lab.at('open', 'below', 'job.cfg'), text);
    fs.chmodSync(lab.at('open'), 0o777);
    return file;
  },
  'user 12345 owns .*alice$': (lab, text) => {
    const real = lab.write(lab.at('real.cfg'), text);
    const link = path.join(lab.alices, 'link.cfg');
    fs.symlinkSync(real, link);
    fs.symlinkSync(link, lab.at('outer.cfg'));
    return lab.at('outer.cfg');
  },
};

for (const [words, make] of Object.entries(HANDS)) {
  test(`root runs no command of a configuration if ${words.replaceAll('\\', '')}`, async (t) => {
    await Lab.on(t, async (lab) => {
      const { program, mark } = lab.marker();
      const named = new RegExp(words.replace(/\$$/, ''), 'u');
      for (const key of [
        'HookBefore',
        'PasswordProg',
        'LocalServerCmd',
        'MailCommand',
        'dump.sql',
      ]) {
        const section = key === 'dump.sql' ? 'Sources' : 'Tardis';
        fs.rmSync(lab.at('outer.cfg'), { force: true });
        fs.rmSync(path.join(lab.alices, 'link.cfg'), { force: true });
        const file = make(lab, `[${section}]\n${key} = ${program}\n`);
        const { status, stderr } = await run('tardis', lab.backup('--config', file), lab.asRoot);
        t.is(status, 1, stderr);
        t.regex(stderr, named);
        t.regex(stderr, new RegExp(`:2: ${key} is a command .*\\[CONFIG_UNSAFE\\]`, 'u'));
      }
      t.false(fs.existsSync(mark));
      t.false(fs.existsSync(lab.store));
    });
  });
}

test('a configuration without commands that another user can change is read by root with a warning', async (t) => {
  await Lab.on(t, async (lab) => {
    const file = lab.write(path.join(lab.alices, 'job.cfg'), '[Tardis]\nWorkers = 0\n');
    const { stderr } = exited(t, 0, await run('tardis', lab.backup('--config', file), lab.asRoot));
    t.regex(stderr, /warning: .*job\.cfg .*user 12345 owns .*alice; commands in it are refused/);
  });
});

test('a file of arguments, system.defaults and the file of a server are judged as a configuration is', async (t) => {
  await Lab.on(t, async (lab) => {
    const { program, mark } = lab.marker();
    const words = lab.write(path.join(lab.alices, 'words'), `--hook-before ${program}\n`);
    const inWords = exited(t, 1, await run('tardis', lab.backup(`@${words}`), lab.asRoot));
    t.regex(inWords.stderr, /--hook-before in @.*words is a command .*\[CONFIG_UNSAFE\]/);
    const text = `[Tardis]\nBaseDir = ${lab.store}\nHookFailure = ${program}\n`;
    const served = lab.write(path.join(lab.alices, 'tardisd.cfg'), text);
    const server = exited(t, 1, await run('tardisd', ['--config', served], lab.asRoot));
    t.regex(server.stderr, /:3: HookFailure is a command .*\[CONFIG_UNSAFE\]/);
    const usual = lab.write(path.join(lab.alices, 'defaults'), '[Tardis]\nTARDIS_CLIENT = other\n');
    const env = { ...lab.asRoot.env, TARDIS_DEFAULTS: usual };
    const warned = exited(t, 0, await run('tardis', lab.backup(), { ...lab.asRoot, env }));
    t.regex(warned.stderr, /warning: .*defaults .*user 12345 owns/);
    t.false(fs.existsSync(mark));
  });
});

test('root runs the commands of its own configuration, and another user those of an own one', async (t) => {
  await Lab.on(t, async (lab) => {
    const { program, mark } = lab.marker();
    const file = lab.write(lab.at('job.cfg'), `[Tardis]\nHookBefore = ${program}\n`, 0o664);
    await succeed('tardis', lab.backup('--config', file), lab.asRoot);
    t.true(fs.existsSync(mark), 'the group of root may write to it');
    const own = lab.write(path.join(lab.alices, 'own.cfg'), '[Tardis]\nPasswordProg = echo -n\n');
    for (const place of [own, lab.alices]) fs.chownSync(place, ALICE, ALICE);
    fs.chmodSync(lab.at(), 0o755);
    const words = ['--explain-config', '--config', own, '-D', lab.at('hers'), lab.source];
    const hers = await run('tardis', words, { uid: ALICE, env: { HOME: lab.alices } });
    t.is(hers.status, 0, hers.stderr);
    t.is(hers.stderr, '');
  });
});
