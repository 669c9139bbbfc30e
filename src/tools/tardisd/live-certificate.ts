/**
 * The certificate of a program that serves. It is read again when a signal requests it, and at intervals, since programs
 * that renew certificates replace the files without a word. Connections that are open keep the former one.
 */
import type { Logger } from 'pino';
import { asTardisError } from '../../errors/index.js';
import { certificateEndMs, readCertificate, validityFault } from '../../server/index.js';
import type { Certificate } from '../../transport/index.js';
import { certificateFiles, type CertificateSettings } from './serving.js';
import { DAY_MS } from '../../model/index.js';

/** Interval at which the files are read again. */
const LOOK_EVERY_MS = 60_000;

type Use = (certificate: Certificate) => void;

export class LiveCertificate implements Certificate {
  private current: Certificate;
  private readonly uses: Use[] = [];
  /** The reason why the files could not be read last time; it is logged once. */
  private failure: string | undefined;
  private warnedAtMs = -Infinity;
  private readonly files: ReturnType<typeof certificateFiles> & object;

  private constructor(
    first: Certificate,
    files: LiveCertificate['files'],
    private readonly log: Logger,
  ) {
    this.current = first;
    this.files = files;
  }

  /**
   * Reads the certificate, which may be created first, and then looks at its files for as long as the process runs.
   * Returns undefined without TLS. Throws CONFIG_INVALID, CERTIFICATE_UNUSABLE.
   */
  static async open(
    settings: CertificateSettings,
    log: Logger,
  ): Promise<LiveCertificate | undefined> {
    const files = certificateFiles(settings);
    if (files === undefined) return undefined;
    const live = new LiveCertificate(await readCertificate(files), files, log);
    live.warnOfEnd(Date.now());
    setInterval(() => void live.look(), LOOK_EVERY_MS).unref();
    return live;
  }

  get cert(): Buffer {
    return this.current.cert;
  }

  get key(): Buffer {
    return this.current.key;
  }

  onRenewed(use: Use): void {
    this.uses.push(use);
  }

  /** Reads the files again, and uses what they have now. Never rejects: a failure is logged, and the former stays. */
  async look(): Promise<void> {
    try {
      const { certFile, keyFile } = this.files;
      const found = await readCertificate({ certFile, keyFile, mayMake: false });
      this.failure = undefined;
      if (!found.cert.equals(this.cert) || !found.key.equals(this.key)) this.renew(found);
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (message !== this.failure) {
        const what = 'the certificate cannot be read again, and the former one stays in use';
        this.log.error({ code, reason: message }, what);
      }
      this.failure = message;
    }
    this.warnOfEnd(Date.now());
  }

  private renew(found: Certificate): void {
    this.current = found;
    for (const use of this.uses) use(found);
    this.warnedAtMs = -Infinity;
    this.log.info({ until: endOf(found) }, 'a renewed certificate is in use');
  }

  private warnOfEnd(nowMs: number): void {
    const fault = validityFault(this.current.cert, nowMs);
    if (fault === undefined || nowMs - this.warnedAtMs < DAY_MS) return;
    this.warnedAtMs = nowMs;
    this.log.error({ until: endOf(this.current) }, fault);
  }
}

function endOf({ cert }: Certificate): string {
  return new Date(certificateEndMs(cert)).toISOString();
}
