/**
 * Settings as later releases of Tardis (Python) spell them: a row that stands for another one, and the repository, which
 * names a store or a server and the client in one text.
 */
import path from 'node:path';
import { byteText } from '../system/index.js';
import { configInvalid } from './invalid.js';
import type { Found, Layer, Rows } from './layers.js';
import { placeBytes } from './store-place.js';
import { shownText } from './displayed-text.js';
import type { Value } from './values.js';

const SERVER = /^(?:tardis:\/\/([^/?#@]+)|(ssh:\/\/.*[^/]))\/+([^/?#]+)\/*$/i;
/** A scheme with a host or a bucket, but without a client. */
const WITHOUT_CLIENT = /^(?:tardis:|(?:s3|ssh):\/*[^/]*\/*$)/i;
const FORM =
  'DIRECTORY/CLIENT, s3://BUCKET/CLIENT, tardis://HOST[:PORT]/CLIENT or ssh://HOST/PLACE/CLIENT';
/** Settings that a repository replaces. */
const REPLACED = ['database', 'server', 'throughServer', 'client'];

/**
 * Returns the values of one source, with those of the settings for which its other names stand. A setting that the source
 * has itself counts more. Throws CONFIG_INVALID for a malformed repository, and for one beside the settings that it replaces.
 */
export function withMeanings(rows: Rows, layer: Layer): Layer {
  const meant = new Map(layer);
  for (const [name, { standsFor }] of rows) {
    const found = layer.get(name);
    if (found !== undefined && standsFor !== undefined && !layer.has(standsFor)) {
      meant.set(standsFor, found);
    }
  }
  const repository = meant.get('repository');
  if (repository === undefined) return meant;
  const known = new Set(rows.map(([name]) => name));
  for (const [name, value] of partsOf(repository, known)) meant.set(name, { ...repository, value });
  const other = REPLACED.map((name) => layer.get(name)).find((found) => found !== undefined);
  if (other === undefined) return meant;
  throw configInvalid(
    `${repository.where} names the store and the client: leave out ${other.where}`,
  );
}

/** Returns the settings for which a repository stands, in a command that has the settings `known`. */
function partsOf({ value, where, source }: Found, known: ReadonlySet<string>): [string, Value][] {
  const text = byteText(value as Buffer);
  const [, named, bySsh, ofServer] = SERVER.exec(text) ?? [];
  const host = named ?? bySsh;
  if (host !== undefined && ofServer !== undefined) {
    const server = ['server', 'throughServer'].find((name) => known.has(name));
    if (server !== undefined)
      return [
        [server, host],
        ['client', ofServer],
      ];
    throw configInvalid(
      `${where}: this command works on the store itself: run it there, with DIRECTORY/CLIENT`,
    );
  }
  const place = text
    .replace(/^file:(?:\/\/(?:localhost)?(?=\/))?/i, '')
    .replace(/(?<=[^/])\/+$/, '');
  const client = path.basename(place);
  if (WITHOUT_CLIENT.test(text) || ['', '.', '..'].includes(client)) {
    throw configInvalid(`${where} must be ${FORM}, not "${shownText(text)}"`);
  }
  const isInFile = source === 'configuration file' || source === 'system defaults';
  const database = placeBytes(path.dirname(place), where, isInFile);
  const parts: [string, Value][] = [
    ['database', database],
    ['client', client],
  ];
  return known.has('local') ? [...parts, ['local', true]] : parts;
}
