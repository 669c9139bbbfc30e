/** Writes one content onto a block device (`regenerate --to-device`). */
import fs from 'node:fs';
import { zeros } from '../contents/index.js';
import { failedTo, systemCode, TardisError, usageError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { onSafeWay, type System } from '../system/index.js';

/** Number of bytes that are made zeros, or written, in one call, so that an interruption need not wait for long. */
const STEP_BYTES = 64 << 20;
/** For a block device, O_EXCL means: only if the system does not use it. */
const FLAGS =
  fs.constants.O_RDWR | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/** An open block device, which is written from its start on. It keeps what it has behind the content. */
export class DeviceTarget implements Disposable {
  /** Number of bytes written, and the position of the next one. */
  bytes = 0;

  private constructor(
    private readonly system: System,
    private readonly name: string,
    private readonly fd: number,
  ) {}

  /**
   * Opens a device for a content of this size. Nothing is written before. Throws DEVICE_IN_USE, TARGET_NOT_WRITABLE,
   * TARGET_UNSAFE, and USAGE for what is no block device, or too small.
   */
  static open(system: System, device: Buffer, sizeBytes: number): DeviceTarget {
    const name = displayName(device);
    const status = onSafeWay(device, 'output', (at) => fs.lstatSync(at, { throwIfNoEntry: false }));
    const isDevice = status?.isBlockDevice() === true;
    if (!isDevice) throw usageError(`${name} is not a block device`);
    const target = new DeviceTarget(system, name, openUnused(device, name));
    try {
      target.requireRoom(sizeBytes);
      return target;
    } catch (error) {
      target[Symbol.dispose]();
      throw error;
    }
  }

  private requireRoom(sizeBytes: number): void {
    const { name, fd, system } = this;
    if (!fs.fstatSync(fd).isBlockDevice()) {
      throw usageError(`${name} is not a block device any more`);
    }
    const roomBytes = system.native.deviceBytes(fd);
    if (roomBytes >= sizeBytes) return;
    throw usageError(`${name} has ${roomBytes} bytes, the content ${sizeBytes}`);
  }

  async write(bytes: Buffer): Promise<void> {
    this.act(() => this.system.files.write(this.fd, bytes, this.bytes));
    this.bytes += bytes.length;
  }

  /** Makes everything up to a position zeros: by giving the space back where the device can, or by writing them. */
  async zerosTo(position: number): Promise<void> {
    while (this.bytes < position) {
      const step = Math.min(STEP_BYTES, position - this.bytes);
      this.act(() => this.zeros(step));
      this.bytes += step;
      await new Promise(setImmediate); // an interruption is noticed between two steps
    }
  }

  private zeros(bytes: number): void {
    const { system, fd } = this;
    try {
      system.native.zeroRange(fd, this.bytes, bytes);
    } catch (error) {
      if (!['EINVAL', 'EOPNOTSUPP'].includes(systemCode(error) ?? '')) throw error;
      let at = this.bytes;
      for (const some of zeros(bytes)) {
        system.files.write(fd, some, at);
        at += some.length;
      }
    }
  }

  /** Makes everything durable. */
  async flush(): Promise<void> {
    this.act(() => this.system.files.syncNow(this.fd));
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.fd);
  }

  private act(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw failedTo(`write ${this.name}`, error, 'writeTarget');
    }
  }
}

function openUnused(device: Buffer, name: string): number {
  try {
    return onSafeWay(device, 'output', (at) => fs.openSync(at, FLAGS));
  } catch (error) {
    if (systemCode(error) !== 'EBUSY') throw failedTo(`write ${name}`, error, 'writeTarget');
    throw new TardisError('DEVICE_IN_USE', `${name} is in use`, {}, error);
  }
}
