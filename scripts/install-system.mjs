/**
 * Puts the built program into the system, or takes it away: `npm run install:system`, `npm run uninstall:system`. It
 * asks nothing, says each file, and keeps configuration files that somebody has changed.
 *
 *   PREFIX      where programs go; /usr/local by default
 *   SYSCONFDIR  where configuration goes; /etc by default. The programs read /etc/tardis: change it for packages only
 *   DESTDIR     put before all of these, to fill a package; empty by default
 *
 * What was put where is in PREFIX/lib/tardis/installed.json, with checksums. A file that is there and was not put there
 * by this script is replaced by nothing: it is named, and nothing is done.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const TOOLS = fs.readdirSync(path.join(ROOT, 'bin')).filter((name) => !name.includes('.'));
/** What the bundles leave outside, and what that needs to be installed only. */
const RUNTIME = ['better-sqlite3', 'piscina', 'snappy', 'zstd-napi', 'msgpackr-extract'];
const INSTALL_TIME = new Set(['prebuild-install', 'node-addon-api', 'node-gyp']);
/** Of packages: code, and what their licences want to be beside it. */
const WANTED = /(?:\.(?:js|cjs|mjs|json|node)|(?:^|\/)(?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$/i;
const UNWANTED = /(?:^|\/)(?:deps|src|test|tests|docs|obj|obj\.target|\.deps|\.bin)\//;
const MANIFEST_VERSION = 1;
const [PROGRAM_MODE, FILE_MODE, SECRET_MODE] = [0o755, 0o644, 0o600];

const prefix = absolute('PREFIX', '/usr/local');
const sysconfdir = absolute('SYSCONFDIR', '/etc');
const destdir = process.env.DESTDIR ? path.resolve(process.env.DESTDIR) : '';
const home = path.join(prefix, 'lib', 'tardis');
const manifestPath = path.join(home, 'installed.json');

function absolute(variable, usual) {
  const given = process.env[variable] || usual;
  if (!/^\/[\w./+-]*$/.test(given))
    fail(`${variable} must be an absolute path of plain characters`);
  return path.resolve(given);
}

function fail(message) {
  console.error(`install-system: ${message}`);
  process.exit(1);
}

const say = (what, file) => console.log(`${what.padEnd(8)} ${file}`);
const real = (file) => path.join(destdir, file);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What is at a place now: the checksum of a file, `-> target` of a link; undefined: nothing. */
function found(file) {
  const stat = fs.lstatSync(real(file), { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) return `-> ${fs.readlinkSync(real(file))}`;
  return stat.isFile() ? sha256(fs.readFileSync(real(file))) : 'something else';
}

function filesBelow(folder, wanted = () => true) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)))
    .filter(wanted)
    .sort();
}

/** The packages that are needed when it runs, as their folders below node_modules. */
function runtimePackages() {
  const folders = new Set();
  const add = (name, from) => {
    if (INSTALL_TIME.has(name) || name.startsWith('@types/')) return;
    const places = [path.join(from, 'node_modules', name), path.join('node_modules', name)];
    const folder = places.find((place) => fs.existsSync(path.join(ROOT, place, 'package.json')));
    if (folder === undefined || folders.has(folder)) return; // optional, of another system
    folders.add(folder);
    const described = JSON.parse(fs.readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8'));
    for (const next of Object.keys({
      ...described.dependencies,
      ...described.optionalDependencies,
    })) {
      add(next, folder);
    }
  };
  for (const name of RUNTIME) add(name, '');
  return [...folders].sort();
}

/** All that belongs into the system: `{ to, bytes, mode }`, of links `{ to, link }`; `isConfig`: may be changed by its owner. */
function plan() {
  const items = [];
  const put = (to, bytes, mode = FILE_MODE, more = {}) => items.push({ to, bytes, mode, ...more });
  const read = (file) => fs.readFileSync(path.join(ROOT, file));
  const copyAll = (folder, to, wanted) => {
    for (const file of filesBelow(path.join(ROOT, folder), wanted)) {
      put(path.join(to, file), read(path.join(folder, file)));
    }
  };
  planProgram(put, read, copyAll);
  for (const tool of TOOLS) {
    items.push({ to: path.join(prefix, 'bin', tool), link: `../lib/tardis/bin/${tool}` });
  }
  planSystem(put, read);
  planManuals(put, read, copyAll);
  return items;
}

function planProgram(put, read, copyAll) {
  const bundle = path.join('dist', 'bundle');
  const addon = path.join('native', 'build', 'Release', 'tardis_native.node');
  for (const [file, how] of [
    [path.join(bundle, 'tardis.js'), 'npm run build'],
    [addon, 'npm run build:native'],
  ]) {
    if (!fs.existsSync(path.join(ROOT, file))) fail(`${file} is not there: run \`${how}\` first`);
  }
  for (const file of filesBelow(path.join(ROOT, 'bin'))) {
    put(path.join(home, 'bin', file), read(path.join('bin', file)), PROGRAM_MODE);
  }
  copyAll(bundle, path.join(home, bundle), (file) => file.endsWith('.js'));
  copyAll('schema', path.join(home, 'schema'));
  put(path.join(home, addon), read(addon));
  put(path.join(home, 'package.json'), read('package.json'));
  for (const folder of runtimePackages()) {
    const isWanted = (file) => WANTED.test(file) && !UNWANTED.test(file);
    copyAll(
      folder,
      path.join(home, folder),
      (file) => isWanted(file) && !file.startsWith('node_modules/'),
    );
  }
}

/** What the init systems, logrotate and logwatch read. */
function planSystem(put, read) {
  const fill = (file) => Buffer.from(read(file).toString('utf8').replaceAll('@PREFIX@', prefix));
  const config = (to, file, mode) =>
    put(path.join(sysconfdir, to), fill(path.join('system', file)), mode, { isConfig: true });
  for (const unit of ['tardisd.service', 'tardis.service', 'tardis.timer']) {
    put(path.join(prefix, 'lib/systemd/system', unit), fill(path.join('system/init', unit)));
  }
  for (const kind of ['sysusers.d', 'tmpfiles.d']) {
    put(
      path.join(prefix, 'lib', kind, 'tardis.conf'),
      fill(path.join('system', kind, 'tardis.conf')),
    );
  }
  config('init.d/tardisd', 'init/tardisd', PROGRAM_MODE);
  config('tardis/tardisd.cfg', 'etc/tardisd.cfg');
  config('tardis/tardis.cfg', 'etc/tardis.cfg', SECRET_MODE);
  config('logrotate.d/tardis', 'logrotate/tardis');
  config('logwatch/conf/logfiles/tardisd.conf', 'logwatch/logfiles/tardisd.conf');
  config('logwatch/conf/services/tardisd.conf', 'logwatch/services/tardisd.conf');
  config('logwatch/scripts/services/tardisd', 'logwatch/scripts/tardisd', PROGRAM_MODE);
}

/** Documents; man pages and completions, if they were made. */
function planManuals(put, read, copyAll) {
  const share = path.join(prefix, 'share');
  const documents = path.join(share, 'doc', 'tardis');
  for (const file of ['README.md', 'CHANGELOG.md', 'ARCHITECTURE.md']) {
    put(path.join(documents, file), read(file));
  }
  copyAll('docs', path.join(documents, 'docs'), (file) => file.endsWith('.md'));
  const each = (folder, place) => {
    if (!fs.existsSync(path.join(ROOT, folder))) return;
    for (const file of filesBelow(path.join(ROOT, folder))) {
      const to = place(path.basename(file));
      if (to !== undefined) put(path.join(share, to), read(path.join(folder, file)));
    }
  };
  each('man', (name) => {
    const section = /\.([1-8])(?:\.gz)?$/.exec(name)?.[1];
    return section === undefined ? undefined : path.join('man', `man${section}`, name);
  });
  each('completions', (name) => {
    if (name.endsWith('.fish')) return path.join('fish/vendor_completions.d', name);
    if (name.startsWith('_')) return path.join('zsh/site-functions', name);
    if (name.endsWith('.zsh')) return path.join('zsh/site-functions', `_${name.slice(0, -4)}`);
    return path.join('bash-completion/completions', name.replace(/\.bash$/, ''));
  });
}

function readManifest() {
  let text;
  try {
    text = fs.readFileSync(real(manifestPath), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
  const manifest = JSON.parse(text);
  if (manifest.version !== MANIFEST_VERSION)
    fail(`${manifestPath} is of another release: uninstall with that`);
  return manifest;
}

/** Makes a directory and those above it; returns those that were not there. */
function makeDirectory(directory) {
  if (fs.existsSync(real(directory))) return [];
  const made = directory === '/' ? [] : makeDirectory(path.dirname(directory));
  fs.mkdirSync(real(directory), { recursive: true });
  fs.chmodSync(real(directory), PROGRAM_MODE); // whatever the umask
  return [...made, directory];
}

/** In one step: a program that runs keeps what it has opened. */
function write({ to, bytes, mode, link }) {
  const temporary = `${real(to)}.new`;
  fs.rmSync(temporary, { force: true });
  if (link === undefined) {
    fs.writeFileSync(temporary, bytes, { mode, flag: 'wx' });
    fs.chmodSync(temporary, mode); // whatever the umask
  } else fs.symlinkSync(link, temporary);
  fs.renameSync(temporary, real(to));
}

function install() {
  const before = readManifest();
  const known = new Map(before?.files.map((file) => [file.path, file]) ?? []);
  const items = plan();
  const foreign = items.filter(
    ({ to, isConfig }) => !isConfig && !known.has(to) && found(to) !== undefined,
  );
  if (foreign.length > 0) {
    fail(
      `not put there by this script, nothing was done:\n${foreign.map(({ to }) => `  ${real(to)}`).join('\n')}`,
    );
  }
  const directories = new Set(before?.directories ?? []);
  const files = [];
  for (const item of items) {
    const { to, bytes, link, isConfig = false } = item;
    for (const made of makeDirectory(path.dirname(to))) directories.add(made);
    const sum = link === undefined ? sha256(bytes) : `-> ${link}`;
    const now = found(to);
    const isChanged = isConfig && now !== undefined && now !== sum && now !== known.get(to)?.sum;
    if (isChanged) say('kept', `${real(to)} (it was changed)`);
    else if (now !== sum) {
      write(item);
      say(now === undefined ? 'put' : 'replaced', real(to));
    }
    // Of a changed file the sum is not that of what is there, so it stays when all else goes.
    files.push({ path: to, sum, isConfig });
  }
  const wanted = new Set(items.map(({ to }) => to));
  for (const file of before?.files ?? []) if (!wanted.has(file.path)) takeAway(file);
  const manifest = { version: MANIFEST_VERSION, files, directories: [...directories].sort() };
  write({ to: manifestPath, bytes: `${JSON.stringify(manifest, null, 1)}\n`, mode: FILE_MODE });
  console.log(`${files.length} files are in place below ${real(prefix)} and ${real(sysconfdir)}.`);
  if (destdir === '') tellNext();
}

function tellNext() {
  console.log(`
Next, as root, for a server (its configuration: ${sysconfdir}/tardis/tardisd.cfg):
  systemd-sysusers && systemd-tmpfiles --create ${prefix}/lib/tmpfiles.d/tardis.conf
  systemctl daemon-reload && systemctl enable --now tardisd
or without systemd:
  useradd --system --home-dir /srv/tardis tardis && install -d -o tardis -g tardis -m 750 /srv/tardis
  update-rc.d tardisd defaults && service tardisd start
and on a machine to back up (its configuration: ${sysconfdir}/tardis/tardis.cfg):
  systemctl daemon-reload && systemctl enable --now tardis.timer`);
}

/** Removes a file that is as it was put there, and any that is no configuration. */
function takeAway({ path: file, sum, isConfig }) {
  const now = found(file);
  if (now === undefined) return;
  const isOurs = now === sum;
  const isLink = sum.startsWith('-> ');
  if (!isOurs && (isConfig || isLink)) {
    say('kept', `${real(file)} (it was changed)`);
    return;
  }
  fs.rmSync(real(file));
  say('removed', real(file));
}

function uninstall() {
  const manifest = readManifest();
  if (manifest === undefined) fail(`nothing is installed here: there is no ${real(manifestPath)}`);
  for (const file of manifest.files) takeAway(file);
  fs.rmSync(real(manifestPath));
  for (const directory of manifest.directories.toReversed()) {
    try {
      fs.rmdirSync(real(directory));
    } catch (error) {
      if (!['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes(error.code)) throw error; // others use it
    }
  }
  console.log(
    'All that was put in place is gone. The store, logs and the user "tardis" were not touched.',
  );
}

const [mode = 'install', ...rest] = process.argv.slice(2);
if (!['install', 'uninstall'].includes(mode) || rest.length > 0) {
  fail(
    'usage: [PREFIX=…] [SYSCONFDIR=…] [DESTDIR=…] node scripts/install-system.mjs [install|uninstall]',
  );
}
try {
  if (mode === 'install') install();
  else uninstall();
} catch (error) {
  if (error.code === undefined) throw error;
  fail(`${error.message}`);
}
