// Pace: long
/** The page of tardis-web in Debian's Firefox. Without it, the test logs that it is left out. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const PLACE = '/usr/bin/firefox-esr';
const LISTENING = /WebDriver BiDi listening on (ws:\S+)/;
const DEADLINE_MS = 60_000;
/** Time after which an expression is evaluated again. */
const LOOK_MS = 2000;

const NO_FIREFOX = 'left out: there is no Firefox (Debian: apt-get install firefox-esr)';

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly level?: string; readonly text?: string };
  readonly result?: {
    readonly contexts?: { context: string }[];
    readonly result?: { value?: string };
  };
  readonly message?: string;
}

/** A page in Debian's Firefox, if it is there, driven by its own protocol (WebDriver BiDi). */
class Firefox {
  /** Errors that scripts of the page have reported. */
  readonly faults: string[] = [];
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private context = '';

  private constructor(
    private readonly process: ChildProcess,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data: Buffer) => {
      const answer = JSON.parse(data.toString()) as Answer;
      if (answer.method === 'log.entryAdded' && answer.params?.level === 'error') {
        this.faults.push(answer.params.text ?? '');
      }
      if (answer.id !== undefined) this.waiting.get(answer.id)?.(answer);
    });
  }

  /** Starts Firefox with a profile of its own in a directory; returns undefined if this machine has none. */
  static async start(home: string): Promise<Firefox | undefined> {
    if (!fs.existsSync(PLACE)) return undefined;
    const profile = `${home}/profile`;
    fs.mkdirSync(profile);
    const words = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port=0'];
    const env = { ...process.env, HOME: home, LANG: 'en_GB.UTF-8' };
    const child = spawn(PLACE, words, { stdio: ['ignore', 'ignore', 'pipe'], env });
    const address = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => reject(new Error(`Firefox ended with status ${status}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        const found = LISTENING.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const socket = new WebSocket(`${address}/session`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const firefox = new Firefox(child, socket);
    await firefox.send('session.new', { capabilities: {} });
    await firefox.send('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = (await firefox.send('browsingContext.getTree', {}))!;
    firefox.context = contexts![0]!.context;
    return firefox;
  }

  async open(url: string): Promise<void> {
    await this.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  async resize(width: number, height: number): Promise<void> {
    const viewport = { width, height };
    await this.send('browsingContext.setViewport', { context: this.context, viewport });
  }

  /** Evaluates an expression of JavaScript, which gives a text. */
  async evaluate(expression: string): Promise<string> {
    const target = { context: this.context };
    const found = await this.send('script.evaluate', {
      expression: `(async () => String(await (${expression})))()`,
      target,
      awaitPromise: true,
    });
    return found?.result?.value ?? '';
  }

  /** Waits until an expression is true, also while another page is loaded. */
  async until(expression: string): Promise<void> {
    const look = `new Promise((resolve) => {
      const look = () => ((${expression}) ? resolve('yes') : requestAnimationFrame(look));
      setTimeout(() => resolve('no'), ${LOOK_MS});
      look();
    })`;
    for (const endMs = performance.now() + DEADLINE_MS; performance.now() < endMs; ) {
      const found = await this.evaluate(look).catch(() => 'the page went away');
      if (found === 'yes') return;
    }
    const shown = await this.evaluate('document.body.innerText');
    throw new Error(`not in time: ${expression}\n${shown.slice(0, 2000)}`);
  }

  /** Waits for an element, and clicks it. */
  async click(selector: string): Promise<void> {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    await this.until(`${element} !== null`);
    await this.evaluate(`${element}.click()`);
  }

  async type(selector: string, text: string): Promise<void> {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    await this.until(`${element} !== null`);
    await this.evaluate(
      `(${element}.focus(), ${element}.value = ${JSON.stringify(text)}, ${element}.dispatchEvent(new Event('input', { bubbles: true })))`,
    );
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.socket.terminate();
    this.process.kill('SIGTERM');
    await ended;
  }

  private async send(method: string, params: object): Promise<Answer['result']> {
    const id = this.waiting.size + 1;
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.send(JSON.stringify({ id, method, params }));
    });
    if (answer.result === undefined) throw new Error(`${method}: ${answer.message}`);
    return answer.result;
  }
}

backupsRunHere();

const has = (text: string): string => `document.body.innerText.includes(${JSON.stringify(text)})`;

test('Firefox shows files, versions, a search, sizes and the overview, in each language', async (t) => {
  const base = scratchInMemory(t);
  const firefox = await Firefox.start(base);
  if (firefox === undefined) return leaveOut(t, NO_FIREFOX);
  const [store, source] = [path.join(base, 'store'), path.join(base, 'home')];
  makeTree(source, [dir('docs', [file('letter.txt', 'one\n'), file('plan.txt', 'old plan\n')])]);
  const place = ['-D', store, '-C', 'me', '--local'];
  await succeed('tardis', [...place, '--create', source]);
  fs.writeFileSync(`${source}/docs/letter.txt`, 'two\n');
  fs.rmSync(`${source}/docs/plan.txt`);
  await succeed('tardis', [...place, source]);
  const door = await WebDoor.start(store);
  try {
    await firefox.open(door.url.href);
    await firefox.click('.grid-body button.open');
    await firefox.until(has('letter.txt'));
    await firefox.click('.tool-bar input[type=checkbox]');
    await firefox.until(has('plan.txt'));
    await firefox.click('.grid-body button.open');
    await firefox.until("document.querySelectorAll('.timeline input').length === 2");
    for (const count of [1, 2]) {
      await firefox.click(`.timeline li:nth-child(${count}) input`);
      await firefox.until(
        `document.querySelectorAll('.timeline input:checked').length === ${count}`,
      );
    }
    await firefox.click('.versions .bar button:not([disabled])');
    await firefox.until("document.querySelector('dialog .line-new') !== null");
    await firefox.click('dialog .dialog-head button');
    await firefox.type('#search', 'pla');
    await firefox.until(has('1 path found'));
    await firefox.type('#search', '');
    await firefox.click('.views button:nth-child(2)');
    await firefox.until(has('in 1 file.'));
    await firefox.click('.views button:nth-child(3)');
    await firefox.until("document.querySelector('svg.plot') !== null");
    await firefox.until(has('would be deleted'));
    for (const [language, word] of [
      ['de', 'Übersicht'],
      ['fr', 'Synthèse'],
    ] as const) {
      await firefox.evaluate(
        `(() => { const list = document.querySelector('.language select'); list.value = '${language}'; list.dispatchEvent(new Event('change', { bubbles: true })); })()`,
      );
      await firefox.until(`document.documentElement.lang === '${language}' && ${has(word)}`);
      await firefox.resize(390, 844);
      await firefox.until("document.querySelector('svg.plot') !== null");
      t.is(await firefox.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'true');
    }
    t.deepEqual(firefox.faults, []);
  } finally {
    await firefox.close();
    await door.close();
  }
});
