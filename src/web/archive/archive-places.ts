/** Places of archives that are written at once. One whose reader takes nothing gives its place to the next. */
import type { FastifyReply } from 'fastify';
import { asTardisError } from '../../errors/index.js';
import { type Asked, AtOnce, type AtOnceLimits, cutOff, whenClosed } from '../api/index.js';
import type { ArchiveStream } from './archive-stream.js';

/** Archives that are written at once; each may hold a piece of a large file. */
const ARCHIVES_AT_ONCE: AtOnceLimits = Object.freeze({
  ofOne: 2,
  ofAll: 4,
  ofStrangers: 0,
  retrySeconds: 30,
  why: 'other archives are being written',
});
/**
 * Time without any progress after which an archive gives its place to another one. Over HTTP/2, Node does not notice
 * that a reader with a full window has gone away.
 */
const GIVES_WAY_MS = 10_000;

interface Taken {
  readonly login: string;
  readonly reply: FastifyReply;
  readonly leave: () => void;
  stream: ArchiveStream | undefined;
}

/** A request for an archive, of which the login, the request and the answer matter here. */
type Asking = Pick<Asked<never>, 'request' | 'reply'>;

export class ArchivePlaces {
  private readonly atOnce = new AtOnce(ARCHIVES_AT_ONCE);
  private readonly taken = new Set<Taken>();
  private readonly nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.nowMs = nowMs;
  }

  /** Takes a place until the answer is closed or `leave` is called. Throws TOO_MANY_REQUESTS. */
  enter({ request, reply }: Asking): Taken {
    const { visitor } = request;
    const login = `${visitor?.client ?? ''}/${visitor?.account ?? ''}`;
    const free = this.freePlace(request, login);
    const taken: Taken = {
      login,
      reply,
      leave: () => {
        this.taken.delete(taken);
        free();
      },
      stream: undefined,
    };
    this.taken.add(taken);
    whenClosed(reply, taken.leave);
    return taken;
  }

  private freePlace(request: Asking['request'], login: string): () => void {
    try {
      return this.atOnce.enter(request);
    } catch (error) {
      const own = [...this.taken].filter((taken) => taken.login === login);
      const isOwnLimit = own.length >= ARCHIVES_AT_ONCE.ofOne;
      const stalled = this.longestStalled(isOwnLimit ? own : [...this.taken]);
      if (stalled === undefined) throw asTardisError(error);
      stalled.leave();
      cutOff(stalled.reply);
      return this.atOnce.enter(request);
    }
  }

  private longestStalled(among: readonly Taken[]): Taken | undefined {
    const sinceMs = (taken: Taken): number => taken.stream?.waitingSinceMs ?? Infinity;
    const [first] = among.toSorted((one, other) => sinceMs(one) - sinceMs(other));
    return first !== undefined && this.nowMs() - sinceMs(first) >= GIVES_WAY_MS ? first : undefined;
  }
}
