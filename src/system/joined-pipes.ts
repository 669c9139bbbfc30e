/** Two pipes as one socket: what the other end prints, and what it reads. */
import { Duplex, type Readable, type Writable } from 'node:stream';

/** Time in which an end that reads no more may still say why. Its socket is destroyed then. */
const LAST_BYTES_MS = 1000;

type Done = (error?: Error | null) => void;

export class JoinedPipes extends Duplex {
  private failure: Error | undefined;

  constructor(
    private readonly from: Readable,
    private readonly to: Writable,
  ) {
    super({ allowHalfOpen: false });
    from.pause();
    from.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) from.pause();
    });
    from.on('end', () => this.push(null));
    from.on('error', (error) => this.destroy(error));
    from.on('close', () => from.readableEnded || this.destroy());
    to.on('error', (error) => this.writingFailed(error));
  }

  override _read(): void {
    this.from.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.pass(bytes, done);
  }

  override _writev(items: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.to.cork();
    items.forEach(({ chunk }, index) =>
      this.pass(chunk, index === items.length - 1 ? done : () => undefined),
    );
    this.to.uncork();
  }

  override _final(done: Done): void {
    if (this.to.writable) this.to.end(() => done());
    else done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.from.destroy();
    this.to.destroy();
    done(error);
  }

  /** Writes bytes. After an error they are dropped, since the bytes that the other end has left come first. */
  private pass(bytes: Buffer, done: Done): void {
    if (this.failure !== undefined) done();
    else this.to.write(bytes, () => done());
  }

  private writingFailed(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    setTimeout(() => this.destroy(error), LAST_BYTES_MS).unref();
  }
}
