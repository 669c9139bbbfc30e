/**
 * Loads the scripts of a program with the code that V8 compiled for them in earlier runs. The cache of Node.js has only
 * the code that runs while a module is loaded. With that cache alone, the functions would be compiled again at each
 * start, which takes a quarter of the time of a start (measured).
 *
 * scripts/bundle.mjs makes this module the entry of each program, and joins the program into scripts beside it. This
 * module gets the modules of Node.js by `getBuiltinModule`. An `import` would read each of their exports and thereby
 * load further modules: 8 ms of each start and 5 MB (measured).
 */
import type NodeModule from 'node:module';

const fs = process.getBuiltinModule('node:fs');
const path = process.getBuiltinModule('node:path');
const vm = process.getBuiltinModule('node:vm');
const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url');
const { crc32 } = process.getBuiltinModule('node:zlib');
const { createRequire, getCompileCacheDir } = process.getBuiltinModule('node:module');
const { isMainThread, threadId } = process.getBuiltinModule('node:worker_threads');

type Require = ReturnType<typeof NodeModule.createRequire>;
interface Exported {
  exports: Record<string, unknown>;
}
/** A part of a script: the body of a module. It gets `require` under a short name, too. */
type Part = (
  ...given: [exports: unknown, require: Load, module: Exported, url: string, $r: Load]
) => void;
type Load = (name: string) => Record<string, unknown>;
/** The parts of a script, by name; undefined if the script is empty. */
type Script = Readonly<Record<string, Part>> | undefined;

/** Matches the name of a part: its script, and its own name if that is another one. */
const NAME = /^\.\/([^#]+)\.js(?:#(.+))?$/;
const GUARD = './whole-addons.js';
/**
 * Bytes before compiled code: how often it was written, checksums of the script and of the code, and four unused bytes.
 * V8 copies code that does not begin at a multiple of eight.
 */
const HEAD_BYTES = 16;
/**
 * Maximum number of runs of a program that write compiled code. Each run uses some other functions, and adds the code
 * of those.
 */
const MOST_WRITES = 4;
/** Time after which a thread without tasks writes its code, since it is ended without notice. */
const THREAD_WRITES_MS = 500;
/** Numbers of the tasks of a pool's thread after which it writes its code. A small backup has only one task. */
const WRITES_AFTER_TASK = [1, 8];

interface Loaded {
  readonly file: string;
  readonly script: InstanceType<typeof vm.Script>;
  readonly sum: number;
  /** Number of times that the compiled code was written. */
  writes: number;
}

type Task = (input: unknown) => Promise<unknown>;

/** Runs the program whose entry has this URL, and returns the default export of its script: a pool's task, or nothing. */
export function loadProgram(url: string): unknown {
  const folder = path.dirname(fileURLToPath(url));
  const name = path.basename(url, '.js');
  const cache = getCompileCacheDir();
  const program = new Program(folder, cache && path.join(cache, 'tardis', codeName(name)));
  if (cache !== undefined && isMainThread) process.once('exit', () => program.save());
  program.load(GUARD); // before any other code, which may load an addon
  const { default: main } = program.load(`./${name}.js`);
  if (cache === undefined || isMainThread) return main;
  if (typeof main === 'function') return writingTask(main as Task, program);
  setTimeout(() => program.save(), THREAD_WRITES_MS).unref();
  return main;
}

/** Returns the name of a program's compiled code. Threads of a pool get their command, since each uses other functions. */
function codeName(name: string): string {
  const command = isMainThread ? undefined : process.argv[2];
  return command === undefined ? name : `${path.basename(command, '.js')}-${name}`;
}

/**
 * Returns a task that runs a task of a pool and writes the compiled code after some of them. Between its tasks a thread
 * of a pool waits without timers, and it is ended without notice.
 */
export function writingTask(task: Task, program: Pick<Program, 'save'>): Task {
  let count = 0;
  return async (input) => {
    const answer = await task(input);
    count += 1;
    if (WRITES_AFTER_TASK.includes(count)) program.save();
    return answer;
  };
}

/** The scripts of a program in one thread. `code` is the folder of compiled code, if there is one. */
export class Program {
  private readonly modules = new Map<string, Exported>();
  private readonly parts = new Map<string, Script>();
  private readonly scripts: Loaded[] = [];
  private readonly outside: Require;

  constructor(
    private readonly folder: string,
    private readonly code: string | undefined,
  ) {
    this.outside = createRequire(path.join(folder, 'entry.js'));
  }

  /** Returns the exports of a part of a script, as './script.js#part' or './part.js', or of another module. */
  readonly load: Load = (name) => {
    if (name.startsWith('node:'))
      return process.getBuiltinModule(name) as unknown as Record<string, unknown>;
    if (!name.startsWith('./')) return this.outside(name) as Record<string, unknown>;
    const known = this.modules.get(name);
    if (known !== undefined) return known.exports;
    const module: Exported = { exports: {} };
    this.modules.set(name, module);
    try {
      this.run(name, module);
    } catch (error) {
      this.modules.delete(name); // else the next one who loads it would get a part that is half made
      throw error;
    }
    return module.exports;
  };

  private run(name: string, module: Exported): void {
    const [, script = '', part = script] = NAME.exec(name) ?? [];
    const body = this.scriptOf(script)?.[part];
    if (body === undefined) throw new Error(`${script}.cjs has no part ${part}`);
    const url = pathToFileURL(path.join(this.folder, `${script}.js`)).href;
    body(module.exports, this.load, module, url, this.load);
  }

  /**
   * Writes the compiled code of each script that few runs have written, and deletes the code of scripts that do not
   * exist. If this fails, the next run compiles again.
   */
  save(): void {
    const { code, folder } = this;
    const due = this.scripts.filter(({ writes }) => writes < MOST_WRITES);
    if (code === undefined || due.length === 0) return;
    const isGone = (name: string): boolean => !fs.existsSync(path.join(folder, `${name}.cjs`));
    try {
      fs.mkdirSync(code, { recursive: true, mode: 0o700 });
      for (const name of fs.readdirSync(code).filter(isGone)) fs.rmSync(path.join(code, name));
      for (const one of due) writeCode(one);
    } catch {
      // The disk is full, the folder is not ours, or another process has just removed it.
    }
  }

  /** Returns the parts of a script, by name. Reads the script at the first call. */
  private scriptOf(name: string): Script {
    const known = this.parts.get(name);
    if (known !== undefined) return known;
    const parts = this.read(name);
    this.parts.set(name, parts);
    return parts;
  }

  private read(name: string): Script {
    const file = path.join(this.folder, `${name}.cjs`);
    const bytes = fs.readFileSync(file);
    const sum = crc32(bytes);
    const codeFile = this.code === undefined ? '' : path.join(this.code, name);
    const known = this.code === undefined ? undefined : readCode(codeFile, sum);
    const script = new vm.Script(bytes.toString('latin1'), {
      filename: file,
      ...(known === undefined ? {} : { cachedData: known.code }),
    });
    const isUsed = known !== undefined && script.cachedDataRejected === false;
    this.scripts.push({ file: codeFile, script, sum, writes: isUsed ? known.writes : 0 });
    return script.runInThisContext() as Script;
  }
}

/** Returns the compiled code of a script; undefined if there is none, if it is of another script, or damaged. */
function readCode(file: string, sum: number): { writes: number; code: Buffer } | undefined {
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(file);
  } catch {
    return undefined; // there is none yet
  }
  if (bytes.length <= HEAD_BYTES || bytes.readUInt32LE(4) !== sum) return undefined;
  const code = bytes.subarray(HEAD_BYTES);
  if (bytes.readUInt32LE(8) !== crc32(code)) return undefined;
  return { writes: bytes.readUInt32LE(0), code };
}

/** Replaces the compiled code of a script atomically. */
function writeCode(one: Loaded): void {
  const { file, script, sum } = one;
  const code = script.createCachedData();
  one.writes += 1;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(one.writes, 0);
  head.writeUInt32LE(sum, 4);
  head.writeUInt32LE(crc32(code), 8);
  const unfinished = `${file}.${process.pid}-${threadId}`;
  fs.writeFileSync(unfinished, Buffer.concat([head, code]), { mode: 0o600 });
  fs.renameSync(unfinished, file);
}
