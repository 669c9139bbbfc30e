/**
 * Looks at some stretches of a large file before it is sent. The features found there show which contents are similar to
 * the file. If a basis is offered of which only a sample of the signature is known, the stretches are compared with that
 * too; the first matching block suffices.
 */
import { SparseMap } from '../contents/index.js';
import { DeltaMaker } from '../delta/index.js';
import { requireSystemCode } from '../errors/index.js';
import { FEATURE_BYTES, type System } from '../system/index.js';
import { transferOf } from './block-builder.js';
import type { JobResult, SampleRequest, SimilarInput, SimilarOutput } from './jobs.js';
import { OpenListedFile } from './listed-file.js';
import { readForm } from './read-form.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const STEP_BYTES = 128 * KIB;
/** Bytes of a file to look at: a sixteenth of it, within these limits. */
const LOOKED_PART = 16;
const LEAST_LOOKED_BYTES = 4 * MIB;
const MOST_LOOKED_BYTES = 32 * MIB;
/** Number of stretches, if each is long enough. */
const STRETCHES = 8;
const LEAST_STRETCHES = 3;
/** Maximum number of features that are returned: twice as many as usual in the bytes that are looked at. */
const MOST_FEATURES = MOST_LOOKED_BYTES / 1024;
/** Spans of a content, of each of which one feature is kept. A large file is read in parts of whole spans. */
const SPANS = 16;
const LEAST_SPAN_BYTES = 64 * KIB;
const MOST_SPAN_BYTES = MIB;

/** Returns the length of the spans of a content, a power of two. */
export function spanBytesOf(formBytes: number): number {
  let spanBytes = LEAST_SPAN_BYTES;
  while (spanBytes < MOST_SPAN_BYTES && 2 * SPANS * spanBytes <= formBytes) spanBytes *= 2;
  return spanBytes;
}

export function similarJob(input: SimilarInput, system: System): JobResult<SimilarOutput> {
  try {
    using looking = new Looking(input, system);
    const output = { failure: '', ...looking.look() };
    return { output, transfer: transferOf(output.features) };
  } catch (error) {
    const failure = requireSystemCode(error);
    const output = { failure, features: new Uint8Array(), isSimilar: false };
    return { output, transfer: [] };
  }
}

/** The look at one open file. */
class Looking implements Disposable {
  private readonly opened: OpenListedFile;
  private readonly sparse: SparseMap | undefined;
  private readonly buffer = Buffer.allocUnsafe(STEP_BYTES);
  private readonly features: Uint8Array;
  private found = 0;
  private isSimilar = false;

  constructor(
    private readonly input: SimilarInput,
    private readonly system: System,
  ) {
    this.opened = new OpenListedFile(system, input);
    this.sparse = input.sparseHead === undefined ? undefined : new SparseMap(input.sparseHead);
    this.features = new Uint8Array(input.gear === undefined ? 0 : MOST_FEATURES * FEATURE_BYTES);
  }

  look(): Omit<SimilarOutput, 'failure'> {
    const { places, bytes } = stretchesOf(this.input.formBytes, this.input.sample);
    for (const place of places) this.stretch(place, bytes);
    return { features: this.features.slice(0, this.found), isSimilar: this.isSimilar };
  }

  private stretch(place: number, bytes: number): void {
    const { input, system, buffer, sparse } = this;
    using maker = input.sample && new DeltaMaker(system.native, input.sample.signature, STEP_BYTES);
    for (let done = 0; done < bytes; ) {
      if (this.isSimilar && input.gear === undefined) return;
      const range = { position: place + done, bytes: Math.min(STEP_BYTES, bytes - done) };
      const got = readForm(system, { file: this.opened.fd, sparse }, buffer, range);
      if (got === 0) break;
      done += got;
      this.takeFeatures(got);
      if (maker !== undefined && !this.isSimilar) this.compare(maker, buffer.subarray(0, got));
    }
    if (maker === undefined || this.isSimilar) return;
    for (const _ of maker.finish());
    this.isSimilar = maker.hasMatch;
  }

  private takeFeatures(bytes: number): void {
    const { input, system, features, found } = this;
    if (input.gear === undefined) return;
    const into = features.subarray(found);
    this.found += system.native.allFeatures(input.gear, this.buffer, bytes, into);
  }

  private compare(maker: DeltaMaker, bytes: Buffer): void {
    for (const _ of maker.push(bytes));
    this.isSimilar = maker.hasMatch;
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}

/**
 * Returns the stretches to look at: their places, evenly spread, and their length. With a sample, each contains a whole
 * piece of it, and begins like one, so that unmoved data matches at the first block.
 */
export function stretchesOf(
  formBytes: number,
  sample: Omit<SampleRequest, 'signature'> | undefined,
): { readonly places: number[]; readonly bytes: number } {
  const lookedBytes = Math.max(formBytes / LOOKED_PART, LEAST_LOOKED_BYTES);
  const mostBytes = Math.min(lookedBytes, MOST_LOOKED_BYTES);
  const pieceBytes = sample === undefined ? 0 : sample.spacingBytes + 2 * sample.bytes;
  const bytes = Math.min(
    formBytes,
    Math.max(2 * spanBytesOf(formBytes), Math.ceil(mostBytes / STRETCHES), pieceBytes),
  );
  if (formBytes <= mostBytes) return { places: [0], bytes: formBytes };
  const count = Math.max(LEAST_STRETCHES, Math.floor(mostBytes / bytes));
  const unit = sample?.spacingBytes ?? 1;
  const places = Array.from({ length: count }, (_, index) => {
    const even = ((formBytes - bytes) * index) / (count - 1);
    return Math.floor(even / unit) * unit;
  });
  return { places, bytes };
}
