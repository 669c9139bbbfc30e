/** Licences of what packages bring along: a file with their texts, and Debian's copyright file. */
import fs from 'node:fs';
import path from 'node:path';
import { about, filesBelow, PackageError, ROOT } from './common.mjs';
import { nodeLicence } from './replaced-files.mjs';

const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)/i;

/** Licences by words that only they have. */
const BY_TEXT = [
  [
    /Permission is hereby granted, free of charge, to any person obtaining a copy[^]*THE SOFTWARE/,
    'MIT',
  ],
];

/** Returns the texts of the licence files of a package. */
const textsOf = (folder) =>
  fs
    .readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => fs.readFileSync(path.join(folder, file), 'utf8').trim());

/**
 * Returns the licence of a package of npm: by its package.json, else by its licence file. Throws a PackageError without
 * either.
 */
export function licenceOf(folder) {
  const { name, license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  if (license !== undefined) return license.type ?? license;
  const text = textsOf(folder).join('\n');
  const found = BY_TEXT.find(([pattern]) => pattern.test(text))?.[1];
  if (found === undefined) throw new PackageError(`${name} does not say what its licence is`);
  return found;
}

/**
 * Returns `{ place, folder, name, version, license, files }` of each package of npm that is joined into the bundles or lies beside
 * them. `staged` is the folder of the bundles in the package; `place` is the key in package-lock.json; `files` are those in
 * `staged` that it is in, or its folder there.
 */
export function shippedPackages(staged) {
  const bundled = JSON.parse(fs.readFileSync(path.join(ROOT, 'dist/bundle/packages.json'), 'utf8'));
  const vendored = filesBelow(staged).flatMap((file) =>
    /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(file)
      ? [path.dirname(file)]
      : [],
  );
  const isBeside = new Set(vendored);
  return [...new Set([...Object.keys(bundled), ...vendored])].sort().flatMap((place) => {
    const folder = path.join(isBeside.has(place) ? staged : ROOT, place);
    const joined = (bundled[place] ?? []).filter((file) => fs.existsSync(path.join(staged, file)));
    const files = [...joined, ...(isBeside.has(place) ? [place] : [])];
    if (files.length === 0) return [];
    const { name, version } = JSON.parse(
      fs.readFileSync(path.join(folder, 'package.json'), 'utf8'),
    );
    return [{ place, folder, name, version, license: licenceOf(folder), files }];
  });
}

/** Returns the texts of all licences. `libraries`: `{ name, version, copyright }` of packaged libraries of the system. */
export function licenceTexts(staged, arch, libraries, { withNode = true } = {}) {
  const rule = `\n${'='.repeat(80)}\n`;
  const packages = shippedPackages(staged).map(({ folder, name, version, license }) => {
    const texts = textsOf(folder);
    return `${name} ${version} (${license})\n\n${texts.join('\n\n') || `It brings no text of its licence, ${license}.`}\n`;
  });
  const others = libraries.map(
    ({ name, version, copyright: text }) =>
      `${name} ${version}, a library of the system\n\n${text.trim()}\n`,
  );
  const head =
    'Licences of what this package brings along. Tardis itself grants none: its rights are reserved.\n';
  const node = withNode ? [`Node.js, and what is inside of it\n\n${nodeLicence(arch)}`] : [];
  return [head, ...packages, ...others, ...node].join(rule);
}

/** Returns debian/copyright in the format of DEP-5. */
export function copyright(staged, maintainer) {
  const packages = shippedPackages(staged);
  const licences = [...new Set(packages.map(({ license }) => license))].sort();
  const list = packages.map(({ name, version, license }) => `  ${name} ${version}: ${license}`);
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ${about.name}
Upstream-Contact: ${maintainer}

Files: *
Copyright: © the authors of Tardis
License: ${about.license}

Files: usr/lib/tardis/dist/bundle/*
Copyright: © the authors of Tardis, and of the packages below
License: ${about.license} and others
Comment: These files are Tardis joined with packages of npm, or such packages:
${list.join('\n')}

Files: usr/lib/tardis/runtime/bin/node
Copyright: © Node.js contributors, and the authors of what is inside of it
License: Node.js

License: ${about.license}
 No licence is granted: all rights are reserved.

License: ${about.license} and others
 Of Tardis as above; of the packages: ${licences.join(', ')}. Their texts are in
 /usr/share/doc/tardis/LICENSES.txt.gz.

License: Node.js
 MIT, and others for what is inside of it. The texts are in
 /usr/share/doc/tardis/LICENSES.txt.gz.
`;
}
