/** Requests from one thread to another, and their replies. A number joins a reply to its request. */
import { fromWire, toWire, type WireError } from '../errors/index.js';

/** A request, as it passes the channel. */
export interface CallRequest<Request> {
  readonly call: number;
  readonly request: Request;
}

/** A reply, as it passes the channel: the result of the work, or its error. */
export type CallReply<Result> =
  | { readonly call: number; readonly result: Result }
  | { readonly call: number; readonly error: WireError };

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/** The end of a channel that sends requests. As many wait for replies as callers have sent; nothing is queued here. */
export class Calls<Request, Result> {
  private readonly waiting = new Map<number, Waiting<Result>>();
  private lastCall = 0;
  private failure: Error | undefined;

  constructor(private readonly send: (message: CallRequest<Request>) => void) {}

  /** Returns the result of a request. Throws the error of the work, or that of `fail`. */
  request(request: Request): Promise<Result> {
    const { failure } = this;
    if (failure !== undefined) return Promise.reject(failure);
    this.lastCall += 1;
    const call = this.lastCall;
    return new Promise((resolve, reject) => {
      this.waiting.set(call, { resolve, reject });
      this.send({ call, request });
    });
  }

  /** Takes a reply that has arrived; drops one to no request. */
  take(reply: CallReply<Result>): void {
    const waiting = this.waiting.get(reply.call);
    this.waiting.delete(reply.call);
    if ('error' in reply) waiting?.reject(fromWire(reply.error));
    else waiting?.resolve(reply.result);
  }

  /** Rejects all requests that wait, and all later ones. */
  fail(error: Error): void {
    this.failure ??= error;
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(error);
  }
}

/** Returns the reply to a request. An error of the work is the reply, too. */
export async function replyTo<Request, Result>(
  { call, request }: CallRequest<Request>,
  work: (request: Request) => Result | Promise<Result>,
): Promise<CallReply<Result>> {
  try {
    return { call, result: await work(request) };
  } catch (error) {
    return { call, error: toWire(error) };
  }
}
