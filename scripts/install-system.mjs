/**
 * Puts the built program into the system, or takes it away: `npm run install:system`, `npm run uninstall:system`. It
 * has no prompts, prints each file, and keeps configuration files that somebody has changed.
 *
 *   PREFIX      where programs go; /usr/local by default
 *   SYSCONFDIR  where configuration goes; /etc by default. The programs read /etc/tardis: change it for packages only
 *   DESTDIR     put before all of these, to fill a package; empty by default
 *   PARTS       a folder whose files go in place of those of the checkout, to fill a package (packaging/replaced-files.mjs)
 *   ARCH        whose native code goes along, in Node.js's words (x64, arm64); by default this machine's
 *
 * PREFIX/lib/tardis/installed.json lists the installed files with their checksums. A file that is there and was not put there
 * by this script is replaced by nothing: it is named, and nothing is done.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const TOOLS = fs.readdirSync(path.join(ROOT, 'bin')).filter((name) => !name.includes('.'));
/** Packages that are not in the bundles. INSTALL_TIME are packages that are needed only to install them. */
const RUNTIME = ['better-sqlite3', 'piscina', 'snappy'];
const INSTALL_TIME = new Set(['prebuild-install', 'node-addon-api', 'node-gyp']);
/** Matches files of packages to copy: code, and files that their licences require beside it. */
const WANTED = /(?:\.(?:js|cjs|mjs|json|node)|(?:^|\/)(?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$/i;
const UNWANTED =
  /(?:^|\/)(?:benchmark|bin|deps|docs|obj|obj\.target|scripts|src|test|test-jest|tests|\.bin|\.deps)\/|\.musl\.node$|\.abi\d+\.\w+\.node$|^(?:bin|build-test|optional)\.js$/;
/** Matches native code for other systems, which SQLite's folder also has. */
const arch = process.env.ARCH || process.arch;
const OF_OTHERS = new RegExp(`(?:^|/)prebuilds/(?!linux-${arch}\\.node$)`);
const [MANUALS, COMPLETIONS] = ['dist/man', 'dist/completions'];
const MANIFEST_VERSION = 1;
const [PROGRAM_MODE, FILE_MODE, SECRET_MODE] = [0o755, 0o644, 0o600];

const prefix = absolute('PREFIX', '/usr/local');
const sysconfdir = absolute('SYSCONFDIR', '/etc');
const destdir = process.env.DESTDIR ? path.resolve(process.env.DESTDIR) : '';
const parts = process.env.PARTS ? path.resolve(process.env.PARTS) : ROOT;
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

const print = (what, file) => console.log(`${what.padEnd(8)} ${file}`);
const real = (file) => path.join(destdir, file);
/** Returns the path of a file or folder of the checkout. If the parts have it, returns the path there. */
const source = (file) =>
  [parts, ROOT].map((top) => path.join(top, file)).find((place) => fs.existsSync(place));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Returns the checksum of the file at a path, or `-> target` for a link; undefined if there is nothing. */
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

/** Returns the packages that are needed at run time, as their folders below node_modules. */
function runtimePackages() {
  const folders = new Set();
  const add = (name, from) => {
    if (INSTALL_TIME.has(name) || name.startsWith('@types/')) return;
    const places = [path.join(from, 'node_modules', name), path.join('node_modules', name)];
    const folder = places.find((place) => source(path.join(place, 'package.json')) !== undefined);
    if (folder === undefined || folders.has(folder)) return; // optional, of another system
    const described = JSON.parse(
      fs.readFileSync(source(path.join(folder, 'package.json')), 'utf8'),
    );
    if (described.cpu !== undefined && !described.cpu.includes(arch)) return;
    folders.add(folder);
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

/**
 * Returns everything to install, as `{ to, bytes, mode }`, or `{ to, link }` for links. `isConfig` means that the owner
 * of the machine may change the file.
 */
function plan() {
  const items = [];
  const put = (to, bytes, mode = FILE_MODE, more = {}) => items.push({ to, bytes, mode, ...more });
  const read = (file) => fs.readFileSync(source(file));
  const copyAll = (folder, to, wanted) => {
    for (const file of filesBelow(source(folder), wanted)) {
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
  const release = path.join('native', 'build', 'Release');
  const addon = path.join(release, 'tardis_native.node');
  for (const [file, how] of [
    [path.join(bundle, 'tardis.js'), 'npm run build'],
    [path.join(bundle, 'page', 'index.html'), 'npm run build'],
    [addon, 'npm run build:native'],
    [MANUALS, 'npm run build'],
    [COMPLETIONS, 'npm run build'],
  ]) {
    if (source(file) === undefined) fail(`${file} is not there: run \`${how}\` first`);
  }
  for (const file of filesBelow(path.join(ROOT, 'bin'))) {
    const mode = TOOLS.includes(file) ? PROGRAM_MODE : FILE_MODE;
    put(path.join(home, 'bin', file), read(path.join('bin', file)), mode);
  }
  for (const file of fs.readdirSync(path.join(ROOT, bundle)).sort()) {
    const isWanted = /\.c?js$/.test(file) || file === 'flags';
    if (isWanted) put(path.join(home, bundle, file), read(path.join(bundle, file)));
  }
  copyAll(path.join(bundle, 'page'), path.join(home, bundle, 'page')); // what tardis-web sends
  copyAll('schema', path.join(home, 'schema'));
  put(path.join(home, addon), read(addon));
  if (parts !== ROOT) copyAll(release, path.join(home, release), (file) => /\.so\.\d+$/.test(file));
  put(path.join(home, 'package.json'), read('package.json'));
  const node = path.join('runtime', 'bin', 'node');
  if (source(node) !== undefined) put(path.join(home, node), read(node), PROGRAM_MODE);
  for (const folder of runtimePackages()) {
    const isWanted = (file) => WANTED.test(file) && !UNWANTED.test(file) && !OF_OTHERS.test(file);
    // Copies packages to the place where the bundles look for them. npm, which may have installed this package, looks
    // for no packages there.
    copyAll(
      folder,
      path.join(home, bundle, folder),
      (file) => isWanted(file) && !file.startsWith('node_modules/'),
    );
  }
}

const UNITS = ['tardisd.service', 'tardisremote.service', 'tardis.service', 'tardis.timer'];

/** Descriptions of the servers in the two init scripts, which are otherwise equal. */
const BACKUP_SERVER = 'Backup server of tardis';
const HTTP_INTERFACE = 'HTTP interface of tardis';

/** Plans the files for init systems, logrotate and logwatch. */
function planSystem(put, read) {
  const fill = (file) => Buffer.from(read(file).toString('utf8').replaceAll('@PREFIX@', prefix));
  const config = (to, file, mode) =>
    put(path.join(sysconfdir, to), fill(path.join('system', file)), mode, { isConfig: true });
  for (const unit of UNITS) {
    put(path.join(prefix, 'lib/systemd/system', unit), fill(path.join('system/init', unit)));
  }
  for (const kind of ['sysusers.d', 'tmpfiles.d']) {
    put(
      path.join(prefix, 'lib', kind, 'tardis.conf'),
      fill(path.join('system', kind, 'tardis.conf')),
    );
  }
  config('init.d/tardisd', 'init/tardisd', PROGRAM_MODE);
  const script = fill(path.join('system', 'init/tardisd')).toString('utf8');
  const other = script.replaceAll('tardisd', 'tardisremote').replace(BACKUP_SERVER, HTTP_INTERFACE);
  put(path.join(sysconfdir, 'init.d/tardisremote'), Buffer.from(other), PROGRAM_MODE, {
    isConfig: true,
  });
  config('tardis/tardisd.cfg', 'etc/tardisd.cfg');
  config('tardis/tardisremote.cfg', 'etc/tardisremote.cfg');
  config('tardis/tardis.cfg', 'etc/tardis.cfg', SECRET_MODE);
  config('logrotate.d/tardis', 'logrotate/tardis');
  config('logwatch/conf/logfiles/tardisd.conf', 'logwatch/logfiles/tardisd.conf');
  config('logwatch/conf/services/tardisd.conf', 'logwatch/services/tardisd.conf');
  config('logwatch/scripts/services/tardisd', 'logwatch/scripts/tardisd', PROGRAM_MODE);
}

/** Plans documents, man pages and completions. */
function planManuals(put, read, copyAll) {
  const share = path.join(prefix, 'share');
  const documents = path.join(share, 'doc', 'tardis');
  for (const file of ['README.md', 'CHANGELOG.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']) {
    put(path.join(documents, file), read(file));
  }
  copyAll('docs', path.join(documents, 'docs'), (file) => file.endsWith('.md'));
  copyAll('system/recovery', path.join(documents, 'examples'));
  const each = (folder, place) => {
    for (const name of filesBelow(path.join(ROOT, folder))) {
      put(path.join(share, place(name)), read(path.join(folder, name)));
    }
  };
  each(MANUALS, (name) => path.join('man', `man${name.at(-1)}`, name));
  each(COMPLETIONS, (name) => {
    if (name.endsWith('.fish')) return path.join('fish/vendor_completions.d', name);
    if (name.startsWith('_')) return path.join('zsh/site-functions', name);
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

/** Creates a directory and those above it. Returns those that did not exist. */
function makeDirectory(directory) {
  if (fs.existsSync(real(directory))) return [];
  const made = directory === '/' ? [] : makeDirectory(path.dirname(directory));
  fs.mkdirSync(real(directory), { recursive: true });
  fs.chmodSync(real(directory), PROGRAM_MODE); // whatever the umask is
  return [...made, directory];
}

/** Writes a file or link in one step, so that a running program keeps the file that it has open. */
function write({ to, bytes, mode, link }) {
  const temporary = `${real(to)}.new`;
  fs.rmSync(temporary, { force: true });
  if (link === undefined) {
    fs.writeFileSync(temporary, bytes, { mode, flag: 'wx' });
    fs.chmodSync(temporary, mode); // whatever the umask is
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
    if (isChanged) print('kept', `${real(to)} (it was changed)`);
    else if (now !== sum) {
      write(item);
      print(now === undefined ? 'put' : 'replaced', real(to));
    }
    // A file that was changed later has another checksum. So it stays when the others are removed.
    files.push({ path: to, sum, isConfig });
  }
  const wanted = new Set(items.map(({ to }) => to));
  for (const file of before?.files ?? []) if (!wanted.has(file.path)) takeAway(file);
  const manifest = { version: MANIFEST_VERSION, files, directories: [...directories].sort() };
  write({ to: manifestPath, bytes: `${JSON.stringify(manifest, null, 1)}\n`, mode: FILE_MODE });
  console.log(`${files.length} files are in place below ${real(prefix)} and ${real(sysconfdir)}.`);
  if (destdir === '') printNextSteps();
}

function printNextSteps() {
  console.log(`
Next, as root, for a server (its configuration: ${sysconfdir}/tardis/tardisd.cfg):
  systemd-sysusers && systemd-tmpfiles --create ${prefix}/lib/tmpfiles.d/tardis.conf
  install -o tardis -g tardis -m 640 /dev/null /srv/tardis/.tardis-store  # a new store, not the place of a disk
  systemctl daemon-reload && systemctl enable --now tardisd
or without systemd:
  useradd --system --home-dir /srv/tardis tardis && install -d -o tardis -g tardis -m 750 /srv/tardis
  install -o tardis -g tardis -m 640 /dev/null /srv/tardis/.tardis-store
  update-rc.d tardisd defaults && service tardisd start
for the same store over HTTP, with systemd (its configuration: ${sysconfdir}/tardis/tardisremote.cfg):
  systemctl enable --now tardisremote
and on a machine to back up (its configuration: ${sysconfdir}/tardis/tardis.cfg):
  systemctl daemon-reload && systemctl enable --now tardis.timer`);
}

/** Removes a file if it is unchanged, or if it is not a configuration file. */
function takeAway({ path: file, sum, isConfig }) {
  const now = found(file);
  if (now === undefined) return;
  const isOurs = now === sum;
  const isLink = sum.startsWith('-> ');
  if (!isOurs && (isConfig || isLink)) {
    print('kept', `${real(file)} (it was changed)`);
    return;
  }
  fs.rmSync(real(file));
  print('removed', real(file));
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
      if (!['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes(error.code)) throw error; // others use the directory
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
