/**
 * Layer between the pipeline and the server. It seals names and all other secrets before they are sent. The walk
 * starts before there is a connection, so calls are queued in their order until the login shows whether the client
 * encrypts.
 */
import {
  type Keyring,
  type NameSealer,
  ownSetSeal,
  sealConfig,
  sealedRun,
  SealMemory,
  type TreeSealer,
} from '../crypto/index.js';
import { SAMPLED_FROM_BYTES } from '../delta/index.js';
import { asTardisError, type TardisError } from '../errors/index.js';
import {
  type ContentKeys,
  countRows,
  DIGEST_BYTES,
  encodeRun,
  mappedMachine,
  type PlainConfig,
  RowReader,
  type SetNumber,
  type SlotNumber,
} from '../model/index.js';
import type {
  BackupPeer,
  HeadBatch,
  OfferedBasis,
  OutgoingParcel,
  PeerStream,
  StreamStart,
} from '../pipeline/index.js';
import type { CipherHead } from '../store/index.js';
import type { RsyncCalls, SealingCalls } from '../system/index.js';
import type { Head } from '../transport/index.js';
import type { Failure, OwnerName } from '../workers/index.js';
import { type ClosingRun, withRoots } from './run-report.js';
import { SealedSignature } from './sealed-signature.js';
import type { ServerPeer } from './server-peer.js';
import { type SealedSet, SetSealer } from './set-sealer.js';

const NOT_SEALED: SealedSet = { seal: Buffer.alloc(0), opened: Buffer.alloc(0) };
const NO_HASH: Buffer = Buffer.alloc(DIGEST_BYTES);
/**
 * Maximum number of bytes of an owner's name that are sealed. The seal of a longer name would be too long for a
 * server.
 */
const MAX_SEALED_NAME_BYTES = 200;

/** Returns true if the user accepts an older state of the store than this machine has seen. */
type AcceptsOlder = (what: string) => boolean;

export class SealingPeer implements BackupPeer {
  onMountsGone: BackupPeer['onMountsGone'];
  private keyring: Keyring | undefined;
  private sealer: SetSealer | undefined;
  private isReady = false;
  private readonly waiting: (() => void)[] = [];
  /** Resolves when the store is known to be at least as new as this machine remembers. */
  private opened: Promise<unknown> | undefined;

  constructor(
    private readonly server: ServerPeer,
    private readonly calls: SealingCalls & RsyncCalls,
    private readonly acceptsOlder: AcceptsOlder,
  ) {}

  /** Sends the queued calls, and sends all later calls at once. Both are sealed if there are keys. */
  begin(keyring: Keyring | undefined): void {
    this.keyring = keyring;
    this.sealer = keyring && new SetSealer(keyring.tree);
    this.server.contentKeys = keyring?.contents;
    // Each call may queue more behind those that wait.
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) next();
    this.isReady = true;
  }

  get failure(): TardisError | undefined {
    return this.server.failure;
  }

  /** Fails all pending and later calls. */
  fail(error: TardisError): void {
    this.server.fail(error);
    if (!this.isReady) this.begin(undefined); // the promises of `server` reject what was queued
  }

  get isEmpty(): boolean {
    return this.server.isEmpty;
  }

  get contentKeys(): ContentKeys | undefined {
    return this.keyring?.contents;
  }

  /**
   * True if listings may be sent in pages. False for a client that encrypts: sealed rows sort differently from plain
   * ones, so each listing must be whole.
   */
  get takesPages(): boolean {
    return this.keyring === undefined;
  }

  openSet(head: Head<'openSet'>): Promise<Head<'setOpened'>> {
    const opened = this.when(async () => {
      const { keyring, sealer } = this;
      if (keyring === undefined || sealer === undefined) return this.server.openSet(head);
      const { names, tree } = keyring;
      const sealed = {
        ...head,
        name: names.text(head.name),
        tags: head.tags.map((tag) => names.text(tag)),
        paths: head.paths.map((path) => names.path(path)),
        rows: tree.rows(head.rows, head.paths.length, sealer.rootSum),
        devices: head.devices.map((device) => names.device(device)),
        machine: mappedMachine(head.machine, (text) => names.text(text)),
      };
      sealer.begin(sealed);
      const opened = await this.server.openSet(sealed);
      sealer.begun(opened);
      const { sealedSet, seal } = opened;
      this.checkMemory(keyring, sealedSet, seal);
      const otherMachine = mappedMachine(opened.otherMachine, (text) => names.openText(text));
      return { ...opened, name: names.openText(opened.name), otherMachine };
    });
    this.opened = opened;
    return opened;
  }

  /**
   * Throws STORE_ROLLED_BACK if the server shows an older state than this machine has seen, unless the user accepts
   * that.
   */
  private checkMemory({ id }: Keyring, newest: SetNumber, seal: Buffer): void {
    try {
      const remembered = new SealMemory(id).read();
      SealMemory.check(remembered, newest, (set) =>
        set === newest ? ownSetSeal(seal) : undefined,
      );
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (code !== 'STORE_ROLLED_BACK' || !this.acceptsOlder(message)) throw error;
    }
  }

  /** Sends the settings of this run, sealed because they contain names. */
  configuration(config: PlainConfig): void {
    this.whenReady(() => {
      const { keyring } = this;
      this.server.configuration(keyring === undefined ? config : sealConfig(keyring.names, config));
    });
  }

  /** Returns a record for the journal, with its words and roots sealed. */
  record(closing: ClosingRun): string {
    const names = this.keyring?.names;
    const run = withRoots(closing, (path) => names?.path(path) ?? path);
    return encodeRun(names === undefined ? run : sealedRun(run, names));
  }

  /** Returns the seal of the set, after everything else was sent; empty for a client that does not encrypt. */
  endSet(): SealedSet {
    return this.sealer?.end() ?? NOT_SEALED;
  }

  /**
   * Remembers the seal of a durable set, so that a store that has lost the set is detected later. Returns the reason
   * if it cannot be remembered; otherwise undefined.
   */
  remember(set: SetNumber, seal: Buffer): string | undefined {
    return this.keyring && new SealMemory(this.keyring.id).write(set, ownSetSeal(seal));
  }

  heads(batch: HeadBatch, isQuery: boolean): Promise<Uint8Array> {
    return this.when(async () => {
      const { keyring, sealer } = this;
      if (keyring === undefined || sealer === undefined) {
        return (await this.server.heads(batch, isQuery)).same;
      }
      const rows = keyring.names.rows(batch.rows);
      const sealed = { ...batch, rows, hashes: this.keyed(batch.hashes) };
      sealer.declare(sealed);
      const { same, seals } = await this.server.heads(sealed, isQuery);
      await this.opened; // its answer arrived before this one; nothing is sent into a set of a rejected store
      const moved = sealer.answered(sealed, same, seals);
      if (moved.slots.length > 0) this.server.moved(moved.slots, moved.seals);
      return same;
    });
  }

  /** Returns keyed skip hashes. With plain ones a server could test whether a client has a known listing. */
  private keyed(hashes: Uint8Array): Buffer {
    const keyed = Buffer.from(hashes);
    const key = this.keyring!.skipHashes;
    for (let at = 0; at < keyed.length; at += DIGEST_BYTES) {
      const isNone = NO_HASH.equals(keyed.subarray(at, at + DIGEST_BYTES));
      if (!isNone) this.calls.keyDigests(key, keyed, at, 1);
    }
    return keyed;
  }

  listing(slot: SlotNumber, rows: Buffer, isLast: boolean): Promise<Uint8Array> {
    return this.when(async () => {
      const { keyring, sealer } = this;
      if (keyring === undefined || sealer === undefined) {
        const { wanted, gone } = await this.server.listing(slot, rows, isLast);
        this.reportMountsGone(slot, gone);
        return wanted;
      }
      const { sorted, order } = inSealedOrder(keyring.names, rows);
      const { wanted: answers, known, gone } = await this.server.listing(slot, sorted, isLast);
      const names = gone.map((name) => keyring.names.openName(name));
      this.reportMountsGone(slot, names);
      keyring.tree.known(sorted, known, answers, sealer.sumOf(slot));
      const wanted = new Uint8Array(order.length);
      order.forEach((index, place) => {
        wanted[index] = answers[place] ?? 0;
      });
      return wanted;
    });
  }

  private reportMountsGone(slot: SlotNumber, names: readonly Uint8Array[]): void {
    if (names.length > 0) this.onMountsGone?.(slot, names);
  }

  verdicts(digests: Uint8Array, promise: boolean): Promise<Uint8Array> {
    return this.when(() => this.server.verdicts(digests, promise));
  }

  parcel(parcel: OutgoingParcel): Promise<void> {
    return this.when(() => {
      const { keyring, sealer } = this;
      const isPlain = keyring === undefined || sealer === undefined;
      return this.server.parcel(isPlain ? parcel : sealedParcel(keyring.tree, sealer, parcel));
    });
  }

  done(slots: readonly SlotNumber[], settled: readonly boolean[]): void {
    this.whenReady(() => this.server.done(slots, settled, this.sealer?.done(slots)));
  }

  notes(failures: readonly Failure[]): void {
    this.whenReady(() => {
      for (const { slot, what } of failures) {
        const isLeft = what === 'unreadable' || what === 'vanished' || what === 'protected';
        if (isLeft && slot >= 0) this.sealer?.isPartial(slot);
      }
      const names = this.keyring?.names;
      const seal = (failure: Failure): Failure =>
        names === undefined
          ? failure
          : { ...failure, name: names.name(failure.name), reason: names.text(failure.reason) };
      this.server.notes(failures.map(seal));
    });
  }

  owners(owners: readonly OwnerName[]): void {
    this.whenReady(() => {
      const names = this.keyring?.names;
      const seal = (owner: OwnerName): OwnerName =>
        names === undefined ? owner : { ...owner, name: names.owner(shortened(owner)) };
      this.server.owners(owners.map(seal));
    });
  }

  openStream(start: StreamStart): PeerStream {
    return this.server.openStream(start);
  }

  openSignature(cipher: CipherHead | undefined): PeerStream {
    return this.server.openSignature(cipher);
  }

  assembly(digest: Uint8Array, sizeBytes: number, parts: Uint8Array): void {
    this.whenReady(() => this.server.assembly(digest, sizeBytes, parts));
  }

  async seekBasis(
    slot: SlotNumber,
    name: Uint8Array,
    digests: Buffer,
  ): Promise<OfferedBasis | undefined> {
    await this.server.seekBasis(slot, this.keyring?.names.name(name) ?? name, digests);
    return this.basisOf(slot, name);
  }

  basisOf(slot: SlotNumber, name: Uint8Array): OfferedBasis | undefined {
    const { keyring, calls } = this;
    if (keyring === undefined) return this.server.basisOf(slot, name);
    const basis = this.server.basisOf(slot, keyring.names.name(name));
    if (basis === undefined) return undefined;
    if (!basis.hasSignature && basis.sizeBytes > SAMPLED_FROM_BYTES) {
      basis.release(); // a server cannot compute a signature of encrypted contents
      return undefined;
    }
    return {
      ...basis,
      fetch: async (isSample, sink) => {
        using signature = new SealedSignature(calls, keyring.contents, basis, sink);
        return await basis.fetch(isSample, (bytes, isLast) => signature.take(bytes, isLast));
      },
    };
  }

  /**
   * Calls `request` at once if `begin` was called, otherwise after `begin`. The server gets all requests in the order
   * of the calls.
   */
  private when<T>(request: () => Promise<T>): Promise<T> {
    if (this.isReady) return request();
    return new Promise((resolve, reject) => {
      this.waiting.push(() => {
        request().then(resolve, reject);
      });
    });
  }

  private whenReady(send: () => void): void {
    if (this.isReady) send();
    else this.waiting.push(send);
  }
}

function shortened(owner: OwnerName): OwnerName {
  return { ...owner, name: owner.name.subarray(0, MAX_SEALED_NAME_BYTES) };
}

/** Returns the sealed rows of a listing, sorted; `order[n]` is the index in `rows` of the n-th sealed row. */
function inSealedOrder(names: NameSealer, rows: Buffer): { sorted: Buffer; order: number[] } {
  const reader = new RowReader(names.rows(rows));
  const sealed: { row: Buffer; name: Buffer; index: number }[] = [];
  for (let at = 0; at < reader.rows.length; at += reader.rowBytes(at)) {
    sealed.push({ row: reader.row(at), name: reader.name(at), index: sealed.length });
  }
  sealed.sort((one, other) => Buffer.compare(one.name, other.name));
  return {
    sorted: Buffer.concat(sealed.map(({ row }) => row)),
    order: sealed.map(({ index }) => index),
  };
}

/** Returns a parcel with each directory's rows sealed. */
function sealedParcel(tree: TreeSealer, sealer: SetSealer, parcel: OutgoingParcel): OutgoingParcel {
  const sections: Buffer[] = [];
  const rowEnds = new Uint32Array(parcel.rowEnds.length);
  let [from, end] = [0, 0];
  for (const [index, to] of parcel.rowEnds.entries()) {
    const rows = parcel.rows.subarray(from, to);
    const sum = sealer.sumOf(parcel.slots[index]!);
    const section = tree.rows(rows, countRows(new RowReader(rows)), sum);
    sections.push(section);
    from = to;
    end += section.length;
    rowEnds[index] = end;
  }
  return { ...parcel, rows: Buffer.concat(sections), rowEnds };
}
