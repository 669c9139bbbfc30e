/**
 * Kind of an error: `user` (wrong input or missing thing), `busy` (try later), `environment` (disk, permissions,
 * network), `damage` (stored bytes are damaged), `protocol` (the peer violated the protocol), `partial` (done, but not
 * completely), `interrupted`, or `bug` (in this program; shows a stack).
 */
type ErrorKind =
  | 'user'
  | 'busy'
  | 'environment'
  | 'damage'
  | 'protocol'
  | 'partial'
  | 'interrupted'
  | 'bug';

/** A row of the table of errors. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly exitStatus: number;
  /** The next step for the user, in one sentence. */
  readonly guidance: string;
}

export const row = (kind: ErrorKind, exitStatus: number, guidance: string): ErrorRow =>
  Object.freeze({ kind, exitStatus, guidance });
