/** Implements `tardisfs`: mounts the backup sets of a client as a read-only file system. */
import type { Settings } from '../config/index.js';
import { asTardisError, usageError } from '../errors/index.js';
import {
  isInBackground,
  secretOfStarter,
  startInBackground,
  reportToStarter,
} from './shared/background.js';
import { askPassword, withTyped } from './opening/password.js';
import { print } from './output/output.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { promptFor } from './opening/keys.js';
import { displayName } from '../model/index.js';
import { absolutePath, loadNative } from '../system/index.js';
import { mountWords, withAbsolutePaths } from './tardisfs/mount-words.js';
import { serveMount } from './tardisfs/serve-mount.js';
import { SLASH } from '../model/index.js';

type MountSettings = Settings<'tardisfs'>;
const NO_SECRET = Buffer.alloc(0);

const command = toolCommand({ tool: 'tardisfs', isWork: true, run: start });

async function start(given: MountSettings): Promise<number> {
  const { settings, mountPoint } = placesOf(given);
  if (!settings.foreground && !isInBackground()) {
    await goToBackground(settings);
    return 0;
  }
  if (!isInBackground()) {
    const shown = displayName(absolutePath(mountPoint));
    const onReady = (): void => print(`Mounted at ${shown}; Ctrl-C unmounts it.`);
    await serveMount(settings, { mountPoint, onReady });
    return 0;
  }
  process.stderr.on('error', () => undefined); // nobody reads it after the starting process has ended
  try {
    const secret = secretOfStarter();
    const placed = withAbsolutePaths(settings);
    await serveMount(secret.length === 0 ? placed : withTyped(placed, secret.toString('utf8')), {
      mountPoint,
      onReady: () => {
        loadNative().newSession();
        process.chdir('/'); // so that the file system of the present directory can be unmounted
        reportToStarter();
      },
    });
    return 0;
  } catch (error) {
    if (!isInBackground()) throw error; // the starting process has ended
    reportToStarter(error); // the starting process prints it
    return 1;
  }
}

/**
 * Splits the paths into a source and the mount point. A source that begins with a slash is used as the store, unless
 * the command line has --database.
 */
function placesOf(settings: MountSettings): { settings: MountSettings; mountPoint: Buffer } {
  const [first, second, ...others] = settings.mountPaths;
  if (first === undefined || others.length > 0) {
    throw usageError('give the directory to mount at');
  }
  if (second === undefined) return { settings, mountPoint: first };
  const isStore = first[0] === SLASH && settings.sources.get('database')?.source !== 'command line';
  return { settings: isStore ? { ...settings, database: first } : settings, mountPoint: second };
}

/** Mounts in another process. Prompts for a password if one is needed, since that process has no terminal. */
async function goToBackground(settings: MountSettings): Promise<void> {
  // An automounter lets only its own process group access the directory before it is mounted.
  const options = { failure: 'MOUNT_FAILED', what: 'the mount', keepsGroup: true } as const;
  try {
    await startInBackground({ ...options, secret: NO_SECRET });
  } catch (error) {
    const { passwordFile, passwordProg, client, account } = settings;
    const isElsewhere = passwordFile !== undefined || passwordProg !== undefined;
    if (isElsewhere || asTardisError(error).code !== 'PASSWORD_NEEDED') throw error;
    const secret = await askPassword(promptFor(client, account));
    await startInBackground({ ...options, secret });
  }
}

export default runTool(command, mountWords);
