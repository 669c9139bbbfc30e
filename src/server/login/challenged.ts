/** A login between its challenge and its proof. */
import type { Head } from '../../transport/index.js';
import type { PendingLogin } from './login.js';

/** A client that received a challenge, and the bytes that its proof covers. */
export interface Challenged {
  readonly login: PendingLogin;
  readonly hello: Head<'hello'>;
  readonly greeting: Buffer;
  readonly challenge: Buffer;
}
