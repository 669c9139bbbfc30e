/** File calls that remember what a power cut would take: names and bytes that no sync has covered. */
import path from 'node:path';
import type { Files } from '../../src/system/index.js';

export class PowerLossFiles implements Files {
  /** Names made or moved since their directory was last synced. */
  private readonly looseNames = new Set<string>();
  /** Files written to since they were last synced. */
  private readonly looseBytes = new Set<string>();
  private readonly handles = new Map<number, string>();
  private readonly base: Files;
  /** The most descriptors that were open at once. */
  openPeak = 0;

  constructor(base: Files) {
    this.base = base;
  }

  get openCount(): number {
    return this.handles.size;
  }

  /** Whether a file beneath `root` would be there, with all its bytes, after a power cut. */
  isDurable(root: string, file: string): boolean {
    if (this.looseBytes.has(file)) return false;
    for (let at = file; at !== root; at = path.dirname(at)) {
      if (this.looseNames.has(at)) return false;
    }
    return true;
  }

  open(file: string, how: 'read' | 'create' | 'write'): number {
    const fd = this.base.open(file, how);
    this.handles.set(fd, file);
    this.openPeak = Math.max(this.openPeak, this.handles.size);
    if (how === 'create') this.looseNames.add(file);
    return fd;
  }

  close(fd: number): void {
    this.base.close(fd);
    this.handles.delete(fd);
  }

  read(fd: number, target: Uint8Array, targetAt: number, bytes: number, position: number): number {
    return this.base.read(fd, target, targetAt, bytes, position);
  }

  write(fd: number, data: Uint8Array, position: number): void {
    this.base.write(fd, data, position);
    this.looseBytes.add(this.handles.get(fd)!);
  }

  async sync(fd: number): Promise<void> {
    this.looseBytes.delete(this.handles.get(fd)!);
    await this.base.sync(fd);
  }

  async syncDirectory(directory: string): Promise<void> {
    for (const name of this.looseNames) {
      if (path.dirname(name) === directory) this.looseNames.delete(name);
    }
    await this.base.syncDirectory(directory);
  }

  status(file: string): ReturnType<Files['status']> {
    return this.base.status(file);
  }

  statusOf(fd: number): ReturnType<Files['statusOf']> {
    return this.base.statusOf(fd);
  }

  freeBytes(file: string): number {
    return this.base.freeBytes(file);
  }

  isLink(file: string): boolean {
    return this.base.isLink(file);
  }

  list(directory: string): string[] {
    return this.base.list(directory);
  }

  makeDirectory(directory: string): void {
    this.base.makeDirectory(directory);
    this.looseNames.add(directory);
  }

  makeTemporaryDirectory(): string {
    return this.base.makeTemporaryDirectory();
  }

  removeDirectory(directory: string): void {
    this.base.removeDirectory(directory);
  }

  rename(from: string, to: string): void {
    this.base.rename(from, to);
    this.looseNames.add(to);
    if (this.looseBytes.delete(from)) this.looseBytes.add(to);
    for (const [fd, file] of this.handles) if (file === from) this.handles.set(fd, to);
  }

  unlink(file: string): void {
    this.base.unlink(file);
  }

  isWritable(directory: string): boolean {
    return this.base.isWritable(directory);
  }
}
