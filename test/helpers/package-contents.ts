/** Finds all components in an unpacked program without its list of contents. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

export interface Component {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly group?: string;
  readonly scope: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses?: readonly object[];
  readonly evidence?: { readonly occurrences: readonly { readonly location: string }[] };
}

export interface ContentsList {
  readonly bomFormat: string;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly metadata: { readonly component: { readonly version: string } };
}

interface LockEntry {
  readonly version: string;
  readonly name?: string;
  readonly integrity?: string;
}

const PLACE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;
const BUNDLE = 'dist/bundle';
/** The folder of the page, and the source map of its script. */
const PAGE = 'dist/bundle/page';
const PAGE_MAP = 'dist/page.js.map';

export function lockEntries(file: string): [string, LockEntry][] {
  const { packages } = JSON.parse(fs.readFileSync(file, 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  return Object.entries(packages).filter(([place]) => place !== '');
}

/** Returns name and version of a package in the form that lists use. */
export function titleOf({ group, name, version }: Omit<Component, 'bom-ref' | 'scope'>): string {
  return `${group === undefined ? '' : `${group}/`}${name}@${version}`;
}

/** Returns the SHA-512 of each package in a lock file, in hexadecimal, by its title. */
export function lockedHashes(file: string): Map<string, string> {
  return new Map(
    lockEntries(file).flatMap(([place, { version, integrity, name }]) => {
      if (integrity === undefined) return [];
      const title = `${name ?? place.slice(place.lastIndexOf('node_modules/') + 13)}@${version}`;
      const hash = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');
      return [[title, hash]];
    }),
  );
}

export function sha512Of(file: string): string {
  return createHash('sha512').update(fs.readFileSync(file)).digest('hex');
}

interface SourceMap {
  readonly sources?: string[];
  readonly sections?: { readonly map: SourceMap }[];
}

/** Returns the sources of a source map, or of its sections. */
function sourcesOf({ sources = [], sections = [] }: SourceMap): string[] {
  return [...sources, ...sections.flatMap(({ map }) => sourcesOf(map))];
}

/** Returns the places of the packages whose sources a source map names; they are relative to a folder. */
function packagesOf(map: string, folder: string): string[] {
  return sourcesOf(JSON.parse(fs.readFileSync(map, 'utf8')) as SourceMap).flatMap((source) => {
    const place = packageOf(path.join(folder, source));
    return place === undefined ? [] : [path.resolve(place)];
  });
}

/**
 * Returns the titles of npm packages in a program's folder. They are the packages that the source maps of its
 * bundles name, and those beside the bundles. Throws if a bundle is not the checkout's.
 */
export function npmPackagesIn(home: string): string[] {
  const bundle = path.join(home, BUNDLE);
  const places = new Set<string>();
  for (const name of fs.readdirSync(bundle).filter((file) => /\.c?js$/.test(file))) {
    const [packed, built] = [path.join(bundle, name), path.join(BUNDLE, name)];
    if (!fs.readFileSync(packed).equals(fs.readFileSync(built)))
      throw new Error(`${packed} is not the checkout's`);
    if (!fs.existsSync(`${built}.map`)) continue; // an entry, which has only our code
    for (const place of packagesOf(`${built}.map`, BUNDLE)) places.add(place);
  }
  if (fs.existsSync(path.join(bundle, 'page/page.js')))
    for (const place of packagesOf(PAGE_MAP, PAGE)) places.add(place);
  for (const file of fs.readdirSync(bundle, { recursive: true, encoding: 'utf8' })) {
    if (path.basename(file) !== 'package.json') continue;
    const place = path.dirname(file);
    if (PLACE.exec(place)?.[0] === place) places.add(path.join(bundle, place));
  }
  const titles = [...places].map((place) => {
    const described = fs.readFileSync(path.join(place, 'package.json'), 'utf8');
    const { name, version } = JSON.parse(described) as { name: string; version: string };
    return `${name}@${version}`;
  });
  return [...new Set(titles)].sort();
}

/**
 * Returns the folder of the package that a source belongs to. If a package is itself a bundle, its sources do not
 * exist.
 */
function packageOf(source: string): string | undefined {
  const [place] = PLACE.exec(source) ?? [];
  if (place === undefined || fs.existsSync(path.join(place, 'package.json'))) return place;
  return packageOf(path.dirname(place));
}

/** Returns the paths of libraries beside the addon, relative to the program's folder. */
export function librariesIn(home: string): string[] {
  const folder = 'native/build/Release';
  return fs
    .readdirSync(path.join(home, folder))
    .filter((name) => name.includes('.so'))
    .map((name) => `${folder}/${name}`)
    .sort();
}
