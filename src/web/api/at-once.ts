/** Limits of the requests that are answered at once, in all and for each login. */
import { TardisError } from '../../errors/index.js';

/** More than the streams of one connection, so that a tool with one never meets the limit. */
const MAX_OF_ONE = 192;
const MAX_OF_ALL = 1024;
const RETRY_SECONDS = 1;

export class AtOnce {
  private all = 0;
  private readonly byLogin = new Map<string, number>();

  /** Counts a request of a login until the returned function is called. Throws TOO_MANY_REQUESTS. */
  enter(login: string): () => void {
    const own = this.byLogin.get(login) ?? 0;
    if (this.all >= MAX_OF_ALL || own >= MAX_OF_ONE) {
      const why = 'too many requests are being answered';
      throw new TardisError('TOO_MANY_REQUESTS', why, { seconds: RETRY_SECONDS });
    }
    this.all += 1;
    this.byLogin.set(login, own + 1);
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      this.all -= 1;
      const left = this.byLogin.get(login)! - 1;
      if (left > 0) this.byLogin.set(login, left);
      else this.byLogin.delete(login);
    };
  }
}
