/**
 * Lists of contents in the CycloneDX format: one of each package, with exactly what is inside of it, and one of all that the
 * build takes from the lock files. Equal contents give equal bytes. (`npm sbom` gives each list a random number and the time of
 * day, knows nothing of Node.js and of libraries, and cannot distinguish what a bundle contains from what only builds it.)
 *
 * A component has where it is inside (`evidence`), its licence, and a hash: that of npm's archive from the lock file, else of the
 * file inside, or of the source that it is compiled from.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { about, epoch, filesBelow, PackageError, ROOT } from './common.mjs';
import { debPurl } from './libraries.mjs';
import { licenceOf, shippedPackages } from './licences.mjs';

const MAIN = `pkg:npm/${about.name}@${about.version}`;
const BUNDLE = 'dist/bundle';
const RELEASE = 'native/build/Release';
const SQLITE = 'node_modules/better-sqlite3';

const lockOf = (file) => JSON.parse(fs.readFileSync(path.join(ROOT, file), 'utf8')).packages;

/** Returns the name of the package at a place of a lock file. */
const nameAt = (place, { name }) => name ?? place.slice(place.lastIndexOf('node_modules/') + 13);

const purlOf = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

const sha512 = (content) => [{ alg: 'SHA-512', content }];
const hashOf = (file) => sha512(createHash('sha512').update(fs.readFileSync(file)).digest('hex'));

function integrityHash({ integrity }) {
  const [, bytes] = /^sha512-(\S+)$/.exec(integrity);
  return sha512(Buffer.from(bytes, 'base64').toString('hex'));
}

function licences(text) {
  if (text === undefined) return {};
  const isExpression = /\s(?:AND|OR|WITH)\s/.test(text);
  const isName = /^(?:SEE|see)\s|^UNLICENSED$/.test(text);
  return {
    licenses: [
      isExpression ? { expression: text } : { license: isName ? { name: text } : { id: text } },
    ],
  };
}

/** Returns a component. `purl` is its name in the list too; `places`: where it is inside. */
function component({ purl, name, version, scope, hashes, license, places = [] }) {
  const parts = name.startsWith('@') ? name.split('/') : [undefined, name];
  const [group, own] = parts;
  const occurrences = places.map((location) => ({ location }));
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name: own,
    version,
    scope,
    hashes,
    ...licences(license),
    purl,
    ...(places.length === 0 ? {} : { evidence: { occurrences } }),
  };
}

function npmComponent(place, entry, more) {
  const name = nameAt(place, entry);
  const { version, license } = entry;
  const purl = purlOf(name, version);
  return component({ purl, name, version, hashes: integrityHash(entry), license, ...more });
}

/** Returns the place of the package that Node.js loads when the one at `place` requires `name`. */
function resolve(packages, place, name) {
  for (let from = place; ; from = from.slice(0, Math.max(from.lastIndexOf('/node_modules/'), 0))) {
    const key = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (packages[key] !== undefined) return key;
    if (from === '') return undefined;
  }
}

/** Returns pairs of listed components, of which the first needs the second. */
function edges(packages, listed) {
  return Object.entries(packages).flatMap(([place, entry]) => {
    const from = place === '' ? MAIN : listed.get(place);
    if (from === undefined) return [];
    const needed = {
      ...entry.dependencies,
      ...entry.optionalDependencies,
      ...(place === '' ? entry.devDependencies : {}),
    };
    return Object.keys(needed).flatMap((name) => {
      const to = listed.get(resolve(packages, place, name));
      return to === undefined ? [] : [[from, to]];
    });
  });
}

/** Returns the components of npm that are in the bundles and beside them, by their places in the lock file. */
function npmInside(packages, home, at) {
  const listed = new Map();
  const places = new Map();
  for (const { place, license, files } of shippedPackages(path.join(home, BUNDLE))) {
    const entry = packages[place];
    const ref = purlOf(nameAt(place, entry), entry.version);
    const before = places.get(ref) ?? [];
    places.set(ref, [...before, ...files.map((file) => `${at}${BUNDLE}/${file}`)].sort());
    const more = { scope: 'required', license, places: places.get(ref) };
    listed.set(place, npmComponent(place, entry, more));
  }
  return listed;
}

/** Returns the component of SQLite, which is compiled into an addon; its sources are beside that. */
function sqliteInside(home, at) {
  const source = path.join(ROOT, SQLITE, 'deps/sqlite3/sqlite3.c');
  const text = fs.readFileSync(source, 'latin1');
  const defined = (name) => new RegExp(`^#define ${name} +"(.+)"`, 'm').exec(text)?.[1];
  const [version, id] = ['SQLITE_VERSION', 'SQLITE_SOURCE_ID'].map(defined);
  const folder = path.join(home, BUNDLE, SQLITE);
  const addon = filesBelow(folder).find((file) => file.endsWith('.node'));
  if (!fs.readFileSync(path.join(folder, addon)).includes(id))
    throw new PackageError(`${addon} of better-sqlite3 is not of SQLite ${version} (${id})`);
  const places = [`${at}${BUNDLE}/${SQLITE}/${addon}`];
  const purl = `pkg:generic/sqlite@${version}`;
  const more = { scope: 'required', hashes: hashOf(source), license: 'blessing', places };
  return component({ purl, name: 'sqlite', version, ...more });
}

/** Returns the components of the libraries that lie beside the addon. */
function librariesInside(home, at, libraries) {
  const folder = path.join(home, RELEASE);
  return filesBelow(folder)
    .filter((file) => file.includes('.so'))
    .map((file) => {
      const known = libraries.find((library) => library.file === file);
      if (known === undefined)
        throw new PackageError(`packaging/libraries.mjs does not know the licence of ${file}`);
      const hashes = hashOf(path.join(folder, file));
      const places = [`${at}${RELEASE}/${file}`];
      return component({ ...known, scope: 'required', hashes, places });
    });
}

/** Returns the components of Debian's packages in an image: the hash is that of the package. */
function baseComponents(system) {
  return system.map(({ name, version, arch, sha512: content }) => {
    const license = `see /usr/share/doc/${name}/copyright`;
    const more = { scope: 'required', hashes: sha512(content), license };
    return component({ purl: debPurl({ name, version, arch }), name, version, ...more });
  });
}

/**
 * Returns the list of one package as text. `home`: the folder of the program, which has all that goes in; `at`: where that lies in
 * the package; `libraries`: those of the system; `system`: packages of the distribution that an image has.
 */
export function makeSbom({ arch, kind, home, at = '', libraries, system = [] }) {
  const packages = lockOf('package-lock.json');
  const inside = npmInside(packages, home, at);
  const others = [...librariesInside(home, at, libraries), ...baseComponents(system)];
  if (fs.existsSync(path.join(home, 'runtime/bin/node'))) others.push(nodeComponent(arch, at));
  const sqlite = sqliteInside(home, at);
  const listed = new Map([...inside].map(([place, one]) => [place, one['bom-ref']]));
  const needs = edges(packages, listed);
  for (const other of others) needs.push([MAIN, other['bom-ref']]);
  needs.push([listed.get(SQLITE), sqlite['bom-ref']]);
  return listText({ arch, kind, components: [...inside.values(), ...others, sqlite], needs });
}

function nodeComponent(arch, at) {
  const place = `node_modules/node-linux-${arch}`;
  const entry = lockOf('runtime/package-lock.json')[place];
  const license = entry.license ?? 'MIT';
  const places = at === undefined ? [] : [`${at}runtime/bin/node`];
  return npmComponent(place, entry, { scope: 'required', license, places });
}

/**
 * Returns the list of all packages of the lock files that the build takes, those that compile and test it too, as text. `scope` is
 * `required` for what `home` has, else `excluded`.
 */
export function makeBuildSbom({ arch, home }) {
  const packages = lockOf('package-lock.json');
  const inside = npmInside(packages, home, '');
  const listed = new Map();
  const components = [nodeComponent(arch, undefined)];
  for (const [place, entry] of Object.entries(packages)) {
    if (place === '' || entry.integrity === undefined) continue; // of other systems, and never fetched
    const folder = path.join(ROOT, place);
    const license = entry.license ?? licenceOf(folder);
    const scope = inside.has(place) ? 'required' : 'excluded';
    const one = npmComponent(place, entry, { scope, license });
    listed.set(place, one['bom-ref']);
    components.push(one);
  }
  const needs = [...edges(packages, listed), [MAIN, components[0]['bom-ref']]];
  return listText({ arch, kind: 'build', components, needs });
}

/** Returns a list as text: components by name, each once. */
function listText({ arch, kind, components, needs: pairs }) {
  const byRef = new Map();
  for (const one of components) {
    const before = byRef.get(one['bom-ref']);
    if (before === undefined || before.scope === 'excluded' || one.evidence !== undefined)
      byRef.set(one['bom-ref'], one);
  }
  const order = (a, b) => (a < b ? -1 : 1);
  const refs = [...byRef.keys()].sort(order);
  const needs = new Map([MAIN, ...refs].sort(order).map((ref) => [ref, new Set()]));
  for (const [from, to] of pairs) needs.get(from).add(to);
  const body = {
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        type: 'application',
        'bom-ref': MAIN,
        name: about.name,
        version: about.version,
        description: about.description,
        ...licences(about.license),
        purl: MAIN,
      },
      properties: [
        { name: 'tardis:architecture', value: arch },
        { name: 'tardis:package', value: kind },
      ],
    },
    components: refs.map((ref) => byRef.get(ref)),
    dependencies: [...needs].map(([ref, set]) => ({ ref, dependsOn: [...set].sort(order) })),
  };
  const head = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: serialOf(body),
    version: 1,
  };
  return `${JSON.stringify({ ...head, ...body }, null, 1)}\n`;
}

/** Returns a UUID (version 8) that is made of the contents. */
function serialOf(body) {
  const bytes = createHash('sha256').update(JSON.stringify(body)).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return `urn:uuid:${bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
}
