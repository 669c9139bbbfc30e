// Lets the threads that tests start run the bundles, as those of the commands do. Loading one takes 70 ms of processor time; the
// modules of dist/src, one by one, take 200. ava loads this module before each test file.
//
// The bundles are made after the modules by each build. If the modules are newer, as after a run of tsc alone, their threads run them.
import { statSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import workerThreads from 'node:worker_threads';

const DIST = join(import.meta.dirname, '../dist');
const ENTRY = /\/dist\/src\/(?:[a-z-]+\/)+((?:job|storage|catch-up)-thread|thread-entry)\.js$/;

/** Returns the path or URL of the script that a thread runs in place of `entry`; `entry` itself if there is none that is as new. */
export function bundled(entry, dist = DIST) {
  const [, name] = ENTRY.exec(String(entry)) ?? [];
  if (name === undefined || !areFresh(dist)) return entry;
  const script = String(entry).replace(/\/dist\/src\/.*$/, `/dist/bundle/${name}.js`);
  return entry instanceof URL ? new URL(script) : script;
}

/** True if the bundles were made after the modules were last compiled. */
function areFresh(dist) {
  const [modules, bundles] = ['.tsbuildinfo', 'bundle/packages.json'].map((file) =>
    statSync(join(dist, file), { throwIfNoEntry: false }),
  );
  return modules !== undefined && bundles !== undefined && bundles.mtimeMs >= modules.mtimeMs;
}

workerThreads.Worker = class Worker extends workerThreads.Worker {
  constructor(entry, options) {
    super(bundled(entry), options);
  }

  // The threads of a pool get the file that they run in their first message.
  postMessage(message, moved) {
    const { filename } = message ?? {};
    const isStart = typeof filename === 'string';
    super.postMessage(isStart ? { ...message, filename: bundled(filename) } : message, moved);
  }
};
syncBuiltinESMExports();
