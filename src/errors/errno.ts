/**
 * The names of the system's errors. Node.js knows only a part of those of Linux: for the others, its `code` and its
 * message have a number. The numbers are those of every processor that Node.js supports.
 */

import { getSystemErrorMap } from 'node:util';

/** Name and text of each error of Linux that Node.js does not know. */
const UNKNOWN_TO_NODE: Readonly<Record<number, string>> = {
  10: 'ECHILD: no child processes',
  15: 'ENOTBLK: block device required',
  33: 'EDOM: numerical argument out of domain',
  35: 'EDEADLK: resource deadlock avoided',
  37: 'ENOLCK: no locks available',
  42: 'ENOMSG: no message of desired type',
  43: 'EIDRM: identifier removed',
  44: 'ECHRNG: channel number out of range',
  45: 'EL2NSYNC: level 2 not synchronized',
  46: 'EL3HLT: level 3 halted',
  47: 'EL3RST: level 3 reset',
  48: 'ELNRNG: link number out of range',
  50: 'ENOCSI: no CSI structure available',
  51: 'EL2HLT: level 2 halted',
  52: 'EBADE: invalid exchange',
  53: 'EBADR: invalid request descriptor',
  54: 'EXFULL: exchange full',
  55: 'ENOANO: no anode',
  56: 'EBADRQC: invalid request code',
  57: 'EBADSLT: invalid slot',
  59: 'EBFONT: bad font file format',
  60: 'ENOSTR: device not a stream',
  62: 'ETIME: timer expired',
  63: 'ENOSR: out of streams resources',
  65: 'ENOPKG: package not installed',
  66: 'EREMOTE: object is remote',
  67: 'ENOLINK: link has been severed',
  68: 'EADV: advertise error',
  69: 'ESRMNT: srmount error',
  70: 'ECOMM: communication error on send',
  72: 'EMULTIHOP: multihop attempted',
  73: 'EDOTDOT: RFS specific error',
  74: 'EBADMSG: bad message',
  76: 'ENOTUNIQ: name not unique on network',
  77: 'EBADFD: file descriptor in bad state',
  78: 'EREMCHG: remote address changed',
  79: 'ELIBACC: can not access a needed shared library',
  80: 'ELIBBAD: accessing a corrupted shared library',
  81: 'ELIBSCN: .lib section in a.out corrupted',
  82: 'ELIBMAX: attempting to link in too many shared libraries',
  83: 'ELIBEXEC: cannot exec a shared library directly',
  85: 'ERESTART: interrupted system call should be restarted',
  86: 'ESTRPIPE: streams pipe error',
  87: 'EUSERS: too many users',
  96: 'EPFNOSUPPORT: protocol family not supported',
  102: 'ENETRESET: network dropped connection on reset',
  109: 'ETOOMANYREFS: too many references: cannot splice',
  115: 'EINPROGRESS: operation now in progress',
  116: 'ESTALE: stale file handle',
  117: 'EUCLEAN: structure needs cleaning',
  118: 'ENOTNAM: not a XENIX named type file',
  119: 'ENAVAIL: no XENIX semaphores available',
  120: 'EISNAM: is a named type file',
  122: 'EDQUOT: disk quota exceeded',
  123: 'ENOMEDIUM: no medium found',
  124: 'EMEDIUMTYPE: wrong medium type',
  126: 'ENOKEY: required key not available',
  127: 'EKEYEXPIRED: key has expired',
  128: 'EKEYREVOKED: key has been revoked',
  129: 'EKEYREJECTED: key was rejected by service',
  130: 'EOWNERDEAD: owner died',
  131: 'ENOTRECOVERABLE: state not recoverable',
  132: 'ERFKILL: operation not possible due to RF-kill',
  133: 'EHWPOISON: memory page has hardware error',
};

/** Text of each error that Node.js knows, by its name; made when the first one is shown. */
let known: ReadonlyMap<string, string> | undefined;

/** Returns an error of the system in words: `permission denied (EACCES)`. Returns any other text unchanged. */
export function errnoText(code: string): string {
  known ??= new Map([
    ...getSystemErrorMap().values(),
    ...Object.values(UNKNOWN_TO_NODE).map((line) => line.split(': ') as [string, string]),
    ['ENOTFOUND', 'there is no host of this name'],
    ['EAI_AGAIN', 'the name server does not answer'],
  ]);
  const words = known.get(code);
  return words === undefined ? code : `${words} (${code})`;
}

/** Matches the code of an error that Node.js does not know; some of its calls have no number there. */
const NUMBERED = /^Unknown system error -(\d+)$/;
const UNNUMBERED = 'UNKNOWN';

/** Returns the name of a system's error (`EDQUOT`) for a code that may be a number. */
export function errorName(code: string, errno?: number): string {
  return textOf(code, errno)?.replace(/:.*/, '') ?? code;
}

/** Gives an error of the system that Node.js does not know its name, in code and message. Others stay as they are. */
export function nameError(error: NodeJS.ErrnoException): void {
  const text = textOf(error.code ?? '', error.errno);
  if (text === undefined) return;
  error.code = errorName(error.code ?? '', error.errno);
  error.message = error.message.replace(/^[^:]*: (unknown error|Unknown system error -\d+)/, text);
}

/** Returns name and text of an error that Node.js does not know; undefined for any other. */
function textOf(code: string, errno: number | undefined): string | undefined {
  const number = code === UNNUMBERED ? -(errno ?? 0) : Number(NUMBERED.exec(code)?.[1]);
  return UNKNOWN_TO_NODE[number];
}
