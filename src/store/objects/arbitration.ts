/**
 * Decides how many processes may write to a bucket, and decides again when the bucket begins to keep versions: some
 * services ignore the condition of a PUT in such a bucket only. An answer to a PUT shows whether the bucket keeps them.
 */
export type Writers = 'many' | 'one';

interface Decision {
  readonly result: Promise<Writers>;
  /** True if the decision holds for a bucket that keeps versions. */
  isForVersions: boolean;
}

interface ArbitrationOptions {
  /** Probes the bucket. Throws if it cannot have as many writers as are wanted. */
  readonly decide: () => Promise<Writers>;
  /** True if an answer to a PUT has shown that the bucket keeps versions. */
  readonly hasVersions: () => boolean;
  /** Called after a decision for several writers, with whether it holds for a bucket that keeps versions. */
  readonly decided?: ((isForVersions: boolean) => Promise<void>) | undefined;
  /** Called after a probe that did not find several writers possible. */
  readonly refused?: (() => void) | undefined;
}

export class Arbitration {
  private decision: Decision | undefined;

  constructor(private readonly options: ArbitrationOptions) {}

  /** Takes over what another process has decided for several writers, unless this one has decided itself. */
  trust(isForVersions: boolean): void {
    this.decision ??= { result: Promise.resolve('many'), isForVersions };
  }

  /** Returns the decision; makes it first if there is none, or none for a bucket that keeps versions. */
  writers(): Promise<Writers> {
    const { decision } = this;
    const isValid = decision?.isForVersions === true || !this.options.hasVersions();
    if (decision !== undefined && isValid) return decision.result;
    // Until the decision is made, nobody knows whether the bucket keeps versions, and all calls wait for it.
    const made: Decision = { result: this.decide(), isForVersions: true };
    this.decision = made;
    made.result.then(
      () => {
        made.isForVersions = this.options.hasVersions();
      },
      () => {
        this.decision = decision; // the caller gets the error, and the next call decides again
      },
    );
    return made.result;
  }

  /** Decides again if the last PUT has shown that the decision does not hold. Takes no request otherwise. */
  async recheck(): Promise<void> {
    if (this.decision !== undefined) await this.writers();
  }

  private async decide(): Promise<Writers> {
    const { decide, decided, refused, hasVersions } = this.options;
    try {
      const writers = await decide();
      if (writers === 'many') await decided?.(hasVersions());
      return writers;
    } catch (error) {
      refused?.(); // later processes probe the bucket too, before they write
      throw error;
    }
  }
}
