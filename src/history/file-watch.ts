/** Notices that an SQLite file was deleted or replaced while it is open. SQLite itself would go on writing to the old file. */

import { constants } from "node:fs";
import { access, rm, stat } from "node:fs/promises";

/** What has happened to an open file since it was opened. */
export type FileChange = "deleted" | "replaced";

interface Identity {
  readonly device: number;
  readonly inode: number;
}

export class FileWatch {
  readonly path: string;
  #opened: Identity | null = null;
  #writeAheadLog: Identity | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Call this right after the file was opened. */
  async opened(): Promise<void> {
    this.#opened = await identityOf(this.path);
    this.#writeAheadLog = await identityOf(`${this.path}-wal`);
  }

  /** What has happened to the file since it was opened; null if it is the same. */
  async change(): Promise<FileChange | null> {
    if (this.#opened === null) return null;
    const now = await identityOf(this.path);
    if (now === null) return "deleted";
    if (!same(now, this.#opened)) return "replaced";
    this.#writeAheadLog = await identityOf(`${this.path}-wal`);
    return null;
  }

  /**
   * Removes the write-ahead log of the file that was deleted or replaced, if it was left behind. SQLite would apply it to
   * the file that is there now, and damage it.
   */
  async removeLeftovers(): Promise<void> {
    const log = await identityOf(`${this.path}-wal`);
    if (log === null || this.#writeAheadLog === null || !same(log, this.#writeAheadLog)) return;
    await rm(`${this.path}-wal`, { force: true });
    await rm(`${this.path}-shm`, { force: true });
  }

  /** The system's code for why the file may not be written (anymore); null if it may. */
  async notWritable(): Promise<string | null> {
    try {
      await access(this.path, constants.W_OK);
      return null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  }
}

/** Null if there is no such file. */
async function identityOf(path: string): Promise<Identity | null> {
  try {
    const { dev: device, ino: inode } = await stat(path);
    return { device, inode };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

function same(a: Identity, b: Identity): boolean {
  return a.device === b.device && a.inode === b.inode;
}
