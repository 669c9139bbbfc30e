/** Writes messages of a client to its log files (`LogFiles`), each line with its time. */
import fs from 'node:fs';
import { failedTo, systemReason } from '../../errors/index.js';
import { displayName } from '../../model/index.js';
import { openToAppend } from '../../system/index.js';
import { complain } from '../output/command-names.js';

export class ClientLog {
  private fds: number[] = [];

  /** Opens the files for appending. Throws CONFIG_INVALID. */
  constructor(files: readonly Buffer[]) {
    for (const file of files) {
      try {
        this.fds.push(openToAppend(file));
      } catch (error) {
        this.close();
        throw failedTo(`log to ${displayName(file)}`, error, 'useNamedFile');
      }
    }
  }

  /** Appends a line to each log file. A log that cannot be written is closed and does not end the backup. */
  write(line: string): void {
    const text = `${new Date().toISOString()} ${line}\n`;
    this.fds = this.fds.filter((fd) => {
      try {
        fs.writeSync(fd, text);
        return true;
      } catch (error) {
        const why = systemReason(error);
        complain('tardis', `cannot write to a log file, closing it: ${why}`);
        fs.closeSync(fd);
        return false;
      }
    });
  }

  close(): void {
    for (const fd of this.fds.splice(0)) fs.closeSync(fd);
  }
}
