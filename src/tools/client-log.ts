/** What a client says, on standard error and in log files (`LogFiles`), where each line has its time. */
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';

export class ClientLog {
  private readonly fds: number[] = [];

  /** Opens the files, each to be appended to. Throws CONFIG_INVALID. */
  constructor(files: readonly Buffer[]) {
    for (const file of files) {
      try {
        this.fds.push(fs.openSync(file, 'a', 0o640));
      } catch (error) {
        this.close();
        const why = systemCode(error) ?? 'unknown';
        throw new TardisError('CONFIG_INVALID', `cannot log to ${displayName(file)}: ${why}`);
      }
    }
  }

  /** A log that cannot be written to does not end a backup. */
  write(line: string): void {
    const text = `${new Date().toISOString()} ${line}\n`;
    for (const [index, fd] of this.fds.entries()) {
      try {
        fs.writeSync(fd, text);
      } catch (error) {
        this.fds.splice(index, 1);
        process.stderr.write(`tardis: a log file is given up: ${systemCode(error) ?? 'unknown'}\n`);
      }
    }
  }

  close(): void {
    for (const fd of this.fds.splice(0)) fs.closeSync(fd);
  }
}
