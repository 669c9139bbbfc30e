/** Certificates of tests, made by the command that tardisd uses. */
import path from 'node:path';
import { readCertificate } from '../../src/server/index.js';
import type { Certificate } from '../../src/transport/index.js';

/** A new self-signed pair in a folder, and where it is. */
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
