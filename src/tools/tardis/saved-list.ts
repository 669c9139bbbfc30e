/** Implements `--report`: collects the names of all saved entries in an unlinked file, until they are printed. */
import fs from 'node:fs';
import path from 'node:path';
import { during, failedTo } from '../../errors/index.js';
import { displayName, jsonName } from '../../model/index.js';
import { makeTemporary } from '../../system/index.js';
import { jsonText } from '../output/output.js';

const CHUNK_BYTES = 64 << 10;

export class SavedList {
  private readonly fd: number;
  /** The directory for temporary files. */
  private readonly folder: string;
  private pending = '';

  constructor(private readonly asJson: boolean) {
    const folder = makeTemporary('report');
    this.folder = path.dirname(folder);
    this.fd = during('useTemporary', () => {
      const fd = fs.openSync(path.join(folder, 'saved'), 'w+', 0o600);
      fs.rmSync(folder, { recursive: true });
      return fd;
    });
  }

  add(saved: Buffer): void {
    this.pending += this.asJson
      ? `${jsonText({ saved: jsonName(saved) })}\n`
      : `${displayName(saved)}\n`;
    if (this.pending.length >= CHUNK_BYTES) this.flush();
  }

  /** Passes the whole list to `write`, in chunks. */
  print(write: (chunk: Buffer) => void): void {
    this.flush();
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; ; ) {
      const got = fs.readSync(this.fd, chunk, 0, chunk.length, at);
      if (got === 0) return;
      write(Buffer.from(chunk.subarray(0, got)));
      at += got;
    }
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  private flush(): void {
    try {
      fs.writeSync(this.fd, this.pending);
    } catch (error) {
      const what = `write the report in ${this.folder} (TMPDIR), after the backup has begun`;
      throw failedTo(what, error, 'useTemporary');
    }
    this.pending = '';
  }
}
