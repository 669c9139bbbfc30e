/** Certificates for tests, created by the code that tardisd uses. */
import path from 'node:path';
import { readCertificate } from '../../src/server/index.js';
import type { Certificate } from '../../src/transport/index.js';

/** Creates a new self-signed certificate and key in a folder; returns both and their paths. */
export async function certificateIn(
  folder: string,
  name = 'server',
): Promise<Certificate & { readonly certFile: string; readonly keyFile: string }> {
  const certFile = path.join(folder, `${name}-cert.pem`);
  const keyFile = path.join(folder, `${name}-key.pem`);
  const made = await readCertificate({
    certFile: Buffer.from(certFile),
    keyFile: Buffer.from(keyFile),
    mayMake: true,
  });
  return { ...made, certFile, keyFile };
}
