/** Compares the readers of a world with its model after each act. */
import { type History, type HistoryEntry } from '../../src/history/index.js';
import { EntryType } from '../../src/model/index.js';
import { bytesOfEntry } from '../helpers/history-lab.js';
import { contentWords, type Model, type ModelSet } from './model.js';
import type { World } from './world.js';

/** Checks the newest sets and an older one with each path that was ever shown, and the data of the store. */
export async function lookBriefly(world: World): Promise<readonly string[]> {
  const wrong = await world.reading(async (history) => {
    const found: string[] = [];
    const listed = await history.sets();
    const whole = listed.filter(({ state }) => state === 'complete');
    world.recognize(whole);
    const complete = whole.map(({ set }) => set);
    const right = [...world.sets.keys()];
    if (String(complete) !== String(right)) return [`sets ${complete.join()}, not ${right.join()}`];
    for (const set of world.some()) found.push(...(await wrongIn(world, history, set)));
    return found;
  });
  if (wrong.length > 0) return wrong;
  const runs = await world.wrongRuns();
  return runs.length > 0 || !world.isDoubted ? runs : world.sound();
}

/** Returns what a history shows of a set otherwise than the model, at each path that was ever shown. */
export async function wrongIn(world: Model, history: History, set: ModelSet): Promise<string[]> {
  const wrong: string[] = [];
  for (const at of world.known) {
    const entry = await history.find(Buffer.from(at), set.set);
    const found = entry && (await wordsFor(history, entry, at));
    const shown = world.shownIn(set, at);
    const right = shown === 'unknown' ? undefined : shown;
    if (found !== right) wrong.push(`find ${at} in ${set.set}: ${found}, not ${right}`);
  }
  return wrong;
}

/** Returns an entry in the words of the model. Each content is read once, if a map of those that were read is given. */
export async function wordsFor(
  history: History,
  entry: HistoryEntry,
  at: string,
  known = new Map<string, Promise<string>>(),
): Promise<string> {
  if (entry.damage !== undefined) return entry.damage.message;
  if (entry.type === EntryType.directory) return 'dir';
  if (entry.type === EntryType.symlink) return `link ${entry.linkTarget!.toString()}`;
  const key = entry.digest?.toString('hex') ?? `${entry.contentId}`;
  const words = known.get(key) ?? readWords(history, entry);
  known.set(key, words);
  const content = `file ${await words}`;
  const isDump = at.lastIndexOf('/') === 0; // the model does not know when a dump was made
  return isDump ? content : `${content} ${entry.mtimeNs}`;
}

async function readWords(history: History, entry: HistoryEntry): Promise<string> {
  const bytes = await bytesOfEntry(history, entry);
  return bytes === undefined ? 'lost' : contentWords(bytes);
}
