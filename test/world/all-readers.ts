/** Every reader of the store of a world, beside the sets as its model has them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { asTardisError } from '../../src/errors/index.js';
import {
  type History,
  type HistoryEntry,
  isAsOf,
  type PathVersion,
  provenVersion,
} from '../../src/history/index.js';
import { EntryType, pathBelow, SLASH_BYTES, splitPath } from '../../src/model/index.js';
import {
  DirectoriesAhead,
  PackedListings,
  PageCache,
  placeOfNode,
  ReadyPages,
  SetTree,
} from '../../src/mount/index.js';
import { compareTrees, Contents, isDifference, SetSide } from '../../src/restore/diff/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { DELETED_ROUTE, searchPage } from '../../src/web/api/index.js';
import { davNodeAt } from '../../src/web/dav/index.js';
import { jsonLines, type Outcome, run } from '../helpers/commands.js';
import type { Choose } from '../helpers/random-tree.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { makeWebLab, type WebLab } from '../helpers/web-lab.js';
import type { ModelSet } from './model.js';
import { wordsFor } from './readers.js';
import { scan } from './tree.js';
import type { World } from './world.js';

/** Unpacks a zip archive into the current directory. */
const UNZIP = `
import os, stat, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as whole:
    for info in whole.infolist():
        kind = info.external_attr >> 16
        if stat.S_ISLNK(kind): os.symlink(whole.read(info), info.filename)
        else: whole.extract(info)
`;

type Span = Pick<PathVersion, 'firstSet' | 'lastSet'>;

const UNREAD = /\[UNREAD_AT_BACKUP\]|not read whole by this set/;
const KINDS = ['all', 'change', 'checksum', 'last'] as const;

/** Returns what is at a path without its time, which no dump has. */
function untimed(what: string, at: string): string {
  return what.startsWith('file ') && path.dirname(at) !== '/' ? what.replace(/ \d+$/, '') : what;
}

/** Compares the readers of one opened history with the model. */
export class AllReaders {
  /** Differences, one line each. */
  readonly wrong: string[] = [];
  private readonly contents = new Map<string, Promise<string>>();

  constructor(
    private readonly world: World,
    private readonly history: History,
    private readonly choose: Choose,
  ) {}

  private is(what: string, found: unknown, right: unknown): void {
    const [one, other] = [JSON.stringify(found) ?? '', JSON.stringify(right) ?? ''];
    if (one !== other) this.wrong.push(`${what}: ${one}, not ${other}`);
  }

  private get sets(): ModelSet[] {
    return [...this.world.sets.values()];
  }

  private one<T>(of: readonly T[]): T {
    return of[this.choose(of.length)]!;
  }

  /** Reads all sets, and every path in each. */
  async ask(): Promise<void> {
    const { history, world } = this;
    const listed = await history.sets();
    this.is(
      'sets',
      listed.map(({ set }) => set),
      this.sets.map(({ set }) => set),
    );
    for (const at of world.known) await this.versions(at);
    for (const set of this.sets) {
      const shown = world.shown(set);
      for (const at of world.known) {
        const found = await history.find(Buffer.from(at), set.set);
        const right = world.shownIn(set, at);
        this.is(
          `find ${at} in ${set.set}`,
          found && (await this.what(found, at)),
          right === 'unknown' ? undefined : right,
        );
      }
      this.sameTree(`WebDAV ${set.set}`, await this.davTree(set), shown);
      await this.mounted(set, shown);
    }
    await this.differ(this.one(this.sets), this.one(this.sets));
  }

  /** Returns an entry in the words of the model; each content is read once. */
  private what(entry: HistoryEntry, at: string): Promise<string> {
    return wordsFor(this.history, entry, at, this.contents);
  }

  /** Expands spans of sets: what each set shows that has a root at the path or above it. */
  private expanded(
    spans: readonly (Pick<PathVersion, 'firstSet' | 'lastSet'> & { readonly what: string })[],
    at: string,
  ) {
    return this.sets.flatMap((set) => {
      if (this.world.shownIn(set, at) === 'unknown') return [];
      const those = spans.filter((span) => isAsOf(span, set.set)).map(({ what }) => what);
      return [`${set.set}: ${those.join(' and ') || 'gone'}`];
    });
  }

  private right(at: string, isAlike = false): string[] {
    return this.sets.flatMap((set) => {
      const what = this.world.shownIn(set, at) ?? 'gone';
      return what === 'unknown' ? [] : [`${set.set}: ${isAlike ? untimed(what, at) : what}`];
    });
  }

  private async versions(at: string): Promise<void> {
    const { history } = this;
    const newest = this.sets.at(-1)!;
    const spans = [];
    for (const version of await history.versions(Buffer.from(at))) {
      const { firstSet, lastSet } = version;
      const ends = [firstSet, lastSet ?? newest.set].map((set) => this.world.sets.get(set));
      const isShown = ends.every(
        (set) => set !== undefined && this.world.shownIn(set, at) !== 'unknown',
      );
      if (!isShown)
        this.wrong.push(
          `versions of ${at}: ${firstSet} to ${lastSet} ends in sets that do not show it`,
        );
      const entry = await provenVersion(history, Buffer.from(at), version, lastSet ?? newest.set);
      spans.push({ firstSet, lastSet, what: await this.what(entry, at) });
    }
    this.is(`versions of ${at}`, this.expanded(spans, at), this.right(at));
    const isNow = this.world.shownIn(newest, at);
    const isOpen = isNow !== undefined && isNow !== 'unknown';
    this.is(
      `the last version of ${at} is open`,
      spans.some(({ lastSet }) => lastSet === undefined),
      isOpen,
    );
  }

  private sameTree(
    what: string,
    found: ReadonlyMap<string, string>,
    right: ReadonlyMap<string, string>,
  ): void {
    for (const at of new Set([...found.keys(), ...right.keys()])) {
      this.is(`${what}: ${at}`, found.get(at), right.get(at));
    }
  }

  /** All that WebDAV shows of a set at its roots and below them. */
  private async davTree(set: ModelSet): Promise<Map<string, string>> {
    const { history } = this;
    const { name } = (await history.sets()).find((one) => one.set === set.set)!;
    const found = new Map<string, string>();
    const visit = async (names: readonly Buffer[]): Promise<void> => {
      const node = await davNodeAt(history, [Buffer.from(name), ...names]);
      for await (const page of node.pages?.() ?? []) {
        for (const entry of page) {
          const below = [...names, entry.name];
          const at = pathBelow(SLASH_BYTES, below).toString();
          if (this.world.shownIn(set, at) !== 'unknown') found.set(at, await this.what(entry, at));
          if (entry.type === EntryType.directory) await visit(below);
        }
      }
    };
    await visit([]);
    return found;
  }

  private async mounted(set: ModelSet, shown: ReadonlyMap<string, string>): Promise<void> {
    const { history } = this;
    const { native } = nodeSystem();
    const found = (await history.sets()).find((one) => one.set === set.set)!;
    const tree = new SetTree({
      history,
      native,
      set: found,
      tree: 1,
      cache: new PageCache(),
      packed: new PackedListings(native),
      ready: new ReadyPages(),
      ahead: new DirectoriesAhead(),
    });
    await tree.entryAt(0, -1);
    for (const at of this.world.known) {
      let directory = 0;
      let entry: HistoryEntry | undefined;
      for (const name of splitPath(Buffer.from(at))) {
        const one = directory < 0 ? undefined : await tree.lookup(directory, name);
        entry = one?.entry;
        const isDirectory = entry?.type === EntryType.directory;
        directory = isDirectory ? placeOfNode(one!.nodeLow, one!.nodeHigh).directory : -1;
      }
      const isOnWay = [...shown.keys()].some((one) => one.startsWith(`${at}/`));
      if (!shown.has(at) && isOnWay) continue; // only above a root
      this.is(`mount of ${set.set}: ${at}`, entry && (await this.what(entry, at)), shown.get(at));
    }
  }

  /** Compares two sets, with everything that only one of them shows. */
  private async differ(before: ModelSet, after: ModelSet): Promise<void> {
    const { history, world } = this;
    const system = nodeSystem();
    const side = (set: ModelSet, other: ModelSet) =>
      new SetSide({ history, set: set.set, other: other.set });
    using contents = new Contents(system, history, false);
    const compared = compareTrees({
      system,
      before: side(before, after),
      after: side(after, before),
      contents,
      paths: [{ before: SLASH_BYTES, after: SLASH_BYTES }],
      recurse: true,
      entersOnly: true,
      metadata: false,
    });
    const found = new Map<string, string>();
    for await (const one of compared) {
      const { path: at } = one;
      const sides = isDifference(one)
        ? [one.before, one.after, one.aspects.includes('type')]
        : [one.error.message];
      found.set(at.toString(), sides.map((seen) => (seen ? 'y' : 'n')).join(''));
    }
    const right = new Map<string, string>();
    for (const at of world.known) {
      const [was, is] = [before, after].map((set) => {
        const what = world.shownIn(set, at);
        return what === 'unknown' ? undefined : what && untimed(what, at);
      });
      const isOther =
        was?.split(' ')[0] !== is?.split(' ')[0] && was !== undefined && is !== undefined;
      if (was !== is) right.set(at, [was, is, isOther].map((one) => (one ? 'y' : 'n')).join(''));
    }
    this.sameTree(`diff of ${before.set} and ${after.set}`, found, right);
  }

  /** Runs the commands of a user on one path, and on one or two sets. */
  async command(): Promise<void> {
    const paths = [...this.world.known].filter((at) => {
      const all = this.sets.map((set) => this.world.shownIn(set, at));
      return all.some((what) => what !== undefined && !/^(unknown|dir)/.test(what));
    });
    if (paths.length > 0) for (const kind of KINDS) await this.listed(this.one(paths), kind);
    await this.found();
    await this.listedTree(this.one(this.sets));
    await this.restored(this.one(this.sets));
    await this.web();
    await this.restoredInPlace(this.one(this.sets));
  }

  /** Lists a root of a set with all that is below it. */
  private async listedTree(set: ModelSet): Promise<void> {
    const { path: root } = this.one(set.roots);
    const { stdout } = await this.tool(
      'lstardis',
      '--json',
      '--recurse',
      '-b',
      String(set.set),
      root,
    );
    const rows = jsonLines<{ name: string; directory?: { name: string } }>(stdout);
    const found = rows.map(({ name, directory }) =>
      directory ? `${directory.name}/${name}` : root,
    );
    const right = [...this.world.shown(set).keys()].filter((at) => at.startsWith(`${root}/`));
    if (this.world.shown(set).get(root) !== 'dir') right.push(root);
    this.is(`list -R -b ${set.set} ${root}`, found.sort(), right.sort());
  }

  /** Searches all sets as the page does, and reads the names that directories have no more. */
  private async web(): Promise<void> {
    const { world, history } = this;
    const sets = await history.sets();
    const found: string[] = [];
    for (
      let after: string | undefined, isFirst = true;
      isFirst || after !== undefined;
      isFirst = false
    ) {
      const query = { pattern: Buffer.from('*'), sets, limit: 7, after, limits: {} };
      const page = await searchPage(history, query);
      for (const { path: at, set } of page.found) {
        found.push(at);
        const newest = this.sets.findLast(
          (one) => !['unknown', undefined].includes(world.shownIn(one, at)),
        );
        this.is(`search: set of ${at}`, set, newest?.set);
      }
      after = page.next;
    }
    const ever = [...world.known].filter((at) =>
      this.sets.some((set) => !['unknown', undefined].includes(world.shownIn(set, at))),
    );
    this.is('search', found.sort(), ever.sort());
    const kept = Object.create(history, { close: { value: () => undefined } }) as History;
    const lab = await makeWebLab('me', async () => kept, false, [DELETED_ROUTE]);
    try {
      for (const set of this.sets) await this.deleted(lab, set);
    } finally {
      await lab.close();
    }
  }

  private async deleted({ app }: WebLab, set: ModelSet): Promise<void> {
    const shown = this.world.shown(set);
    for (const [at] of [...shown].filter(([, what]) => what === 'dir')) {
      const url = `/api/v1/clients/me/sets/${set.set}/deleted?path=${encodeURIComponent(at)}`;
      const found: string[] = [];
      for (let after = ''; ; ) {
        const { body } = await app.inject({
          url: `${url}${after}`,
          headers: { authorization: 'Bearer me:all' },
        });
        const page = JSON.parse(body) as {
          deleted: { entry: { name: string }; lastSet: number }[];
          next?: string;
        };
        found.push(...page.deleted.map(({ entry, lastSet }) => `${entry.name} ${lastSet}`));
        if (page.next === undefined) break;
        after = `&after=${page.next}`;
      }
      const right = [...this.world.known]
        .filter((one) => path.dirname(one) === at)
        .flatMap((one) => {
          const isThere = (of: ModelSet): boolean =>
            !['unknown', undefined].includes(this.world.shownIn(of, one));
          const last = this.sets.findLast((of) => of.set < set.set && isThere(of));
          return last === undefined || isThere(set) ? [] : [`${path.basename(one)} ${last.set}`];
        });
      this.is(`deleted of ${at} as of ${set.set}`, found.sort(), right.sort());
    }
  }

  private async tool(
    tool: 'lstardis' | 'regenerate' | 'tardiff',
    ...args: string[]
  ): Promise<Outcome> {
    const { store, client } = this.world.place;
    const file = path.join(this.world.home, 'password');
    fs.writeFileSync(file, PASSWORD, { mode: 0o600 });
    const keys = this.world.isEncrypting ? ['-F', file] : [];
    const done = await run(tool, ['-D', store, '-C', client, ...keys, ...args]);
    // A protected root is named, and no seal of the set covers what it keeps.
    const isUnread = done.status === 3 && UNREAD.test(done.stderr);
    if (done.status !== 0 && !isUnread)
      this.wrong.push(
        `${tool} ${args.join(' ')}: ${done.status}, ${done.stderr}${done.stdout.slice(0, 300)}`,
      );
    return done;
  }

  private async listed(at: string, kind: (typeof KINDS)[number]): Promise<void> {
    const { stdout } = await this.tool('lstardis', '--json', '-V', kind, at);
    const rows = jsonLines<{
      firstSet: number;
      lastSet?: number;
      gone?: boolean;
      digest?: string;
      type: string;
      mtimeNs: string;
    }>(stdout);
    const isChecksum = kind === 'checksum';
    const versions = await this.history.versions(Buffer.from(at));
    const spans: (Span & { readonly what: string })[] = [];
    for (const { firstSet, lastSet, gone, mtimeNs } of rows) {
      const version = versions.find((one) => isAsOf(one, firstSet));
      const what =
        gone === true || version === undefined ? 'gone' : await this.what(version.entry, at);
      const isFile = untimed(what, at) !== what;
      const shown = isChecksum ? untimed(what, at) : what;
      const isOther = isFile && !isChecksum && !what.endsWith(` ${mtimeNs}`);
      spans.push({ firstSet, lastSet, what: isOther ? `${shown}, not ${mtimeNs}` : shown });
    }
    const found = this.expanded(spans, at);
    const all = this.right(at, isChecksum);
    if (kind !== 'last') {
      const first = all.findIndex((one) => !one.endsWith(': gone'));
      this.is(`list -V ${kind} ${at}`, found.slice(first), all.slice(first));
    } else
      this.is(
        `list -V last ${at}`,
        found.findLast((one) => !one.endsWith(': gone')),
        all.findLast((one) => !one.endsWith(': gone')),
      );
    const isJoined = spans.every(
      (span, index) => index === 0 || span.what === 'dir' || span.what !== spans[index - 1]!.what,
    );
    if (kind === 'change' && !isJoined)
      this.wrong.push(`list -V change ${at}: versions that are alike: ${JSON.stringify(spans)}`);
  }

  private async found(): Promise<void> {
    const { stdout } = await this.tool('lstardis', '--json', '--find', '*');
    const rows = Map.groupBy(
      jsonLines<{ name: string; firstSet: number; lastSet?: number; goneSince?: number }>(stdout),
      ({ name }) => name,
    );
    for (const at of new Set([...rows.keys(), ...this.world.known])) {
      const those = rows.get(at) ?? [];
      const found = this.expanded(
        those.map(({ firstSet, lastSet }) => ({ firstSet, lastSet, what: 'there' })),
        at,
      );
      const right = this.right(at).map((one) => one.replace(/: (?!gone$).*$/, ': there'));
      if (!right.some((one) => one.endsWith('there'))) this.is(`find of ${at}`, those.length, 0);
      else {
        this.is(`find of ${at}`, found, right);
        const last = right.findLastIndex((one) => one.endsWith('there'));
        const since = right[last + 1]?.split(':')[0];
        this.is(`find of ${at}: gone since`, those[0]?.goneSince, since && Number(since));
      }
    }
  }

  private async restored(set: ModelSet): Promise<void> {
    const paths = [...this.world.shown(set).keys()];
    for (const at of [undefined, this.one(paths)]) {
      const words = ['-b', String(set.set), ...(at === undefined ? ['--all'] : ['-H', at])];
      for (const unpack of [undefined, ['tar', '-xf'], ['python3', '-c', UNZIP]]) {
        const out = path.join(this.world.home, 'out');
        fs.rmSync(out, { recursive: true, force: true });
        await this.written(words, out, unpack);
        const found = new Map<string, string>();
        if (fs.existsSync(out)) scan(out, found);
        this.sameRestored(`${unpack?.[0] ?? 'restore'} ${words.join(' ')}`, set, {
          isIn: (own) => at === undefined || own === at || own.startsWith(`${at}/`),
          found: new Map([...found].map(([one, what]) => [one.slice(out.length), what])),
          hasTimes: unpack?.[0] !== 'python3', // zip has seconds
        });
      }
    }
  }

  /** Restores into a directory, or into an archive that is unpacked there. */
  private async written(
    words: readonly string[],
    out: string,
    unpack: readonly string[] | undefined,
  ): Promise<void> {
    if (unpack === undefined) {
      await this.tool('regenerate', ...words, '-o', out);
      return;
    }
    const [command = '', ...flags] = unpack;
    const archive = path.join(this.world.home, 'archive');
    await this.tool('regenerate', ...words, command === 'tar' ? '--tar' : '--zip', archive);
    fs.mkdirSync(out);
    const { status, stderr } = spawnSync(command, [...flags, archive], { cwd: out });
    if (status !== 0) this.wrong.push(`${command}: ${status}, ${stderr.toString()}`);
    fs.rmSync(archive, { force: true });
  }

  /** Restores all roots of the tree to where they were, and nothing is there. */
  private async restoredInPlace(set: ModelSet): Promise<void> {
    const tree = this.world.tree.top;
    const isIn = (own: string): boolean => own.startsWith(`${tree}/`);
    const roots = set.roots.map(({ path: root }) => root).filter(isIn);
    if (roots.length === 0) return;
    fs.rmSync(tree, { recursive: true });
    await this.tool('regenerate', '-b', String(set.set), '--in-place', ...roots);
    const found = new Map<string, string>();
    if (fs.existsSync(tree)) scan(tree, found);
    this.sameRestored('restore in place', set, { isIn, found, hasTimes: true });
  }

  /** Compares what was restored with what a set shows of it. Directories that are only above it do not count. */
  private sameRestored(
    what: string,
    set: ModelSet,
    {
      isIn,
      found,
      hasTimes,
    }: {
      readonly isIn: (at: string) => boolean;
      readonly found: ReadonlyMap<string, string>;
      readonly hasTimes: boolean;
    },
  ): void {
    const shown = [...this.world.shown(set)].filter(([at]) => isIn(at));
    const made = [...found].filter(
      ([at]) => at !== '' && isIn(at) && this.world.shownIn(set, at) !== 'unknown',
    );
    const undated = (one: string, at: string): string =>
      path.dirname(at) === '/' ? one.replace(/ \d+$/, '') : one; // the life does not know when a dump was made
    const worded = (all: typeof made): Map<string, string> =>
      new Map(all.map(([at, one]) => [at, hasTimes ? one : untimed(one, at)]));
    const right = worded(shown);
    const those = worded(made.map(([at, one]) => [at, undated(one, at)]));
    this.sameTree(`${what} of ${set.set}`, those, right);
  }
}

/** Returns what differs between the readers of a world and its model; at most the first lines. */
export async function disagreements(
  world: World,
  history: History,
  choose: Choose,
  hasCommands: boolean,
): Promise<string[]> {
  const readers = new AllReaders(world, history, choose);
  try {
    await readers.ask();
    if (hasCommands) await readers.command();
  } catch (error) {
    readers.wrong.push(`ended: ${asTardisError(error).stack}`);
  }
  return readers.wrong;
}
