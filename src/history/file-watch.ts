/** Notices that an SQLite file was deleted or replaced while it is open. SQLite itself would go on writing to the old file. */

import { constants, rmSync } from "node:fs";
import { access, type FileHandle, open, stat } from "node:fs/promises";

/** What has happened to an open file since it was opened. */
export type FileChange = "deleted" | "replaced";

interface Identity {
  readonly device: number;
  readonly inode: number;
}

export class FileWatch {
  readonly path: string;
  #opened: Identity | null = null;
  /**
   * Kept open, because the number of a file that is gone may be that of the next one: another thread may have opened the
   * history again by now, and its write-ahead log must not be taken for the old one. SQLite's locks are on other files.
   */
  #writeAheadLog: FileHandle | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Call this right after the file was opened. */
  async opened(): Promise<void> {
    this.#opened = await identityOf(this.path);
    await this.close();
    this.#writeAheadLog = await open(this.#writeAheadLogPath).catch(() => null); // there may be none
  }

  /** What has happened to the file, or to its write-ahead log, since it was opened; null if they are the same. */
  async change(): Promise<FileChange | null> {
    if (this.#opened === null) return null;
    const now = await identityOf(this.path);
    if (now === null) return "deleted";
    if (!same(now, this.#opened)) return "replaced";
    // SQLite removes a log only when the last connection closes. If somebody else did, every query would fail from now on.
    const isSameLog = this.#writeAheadLog === null || (await this.#isWriteAheadLogThere(this.#writeAheadLog));
    return isSameLog ? null : "replaced";
  }

  /**
   * Removes the write-ahead log of the file that was deleted or replaced, if it was left behind. SQLite would apply it to
   * the file that is there now, and damage it.
   */
  async removeLeftovers(): Promise<void> {
    if (this.#writeAheadLog === null || !(await this.#isWriteAheadLogThere(this.#writeAheadLog))) return;
    rmSync(this.#writeAheadLogPath, { force: true }); // at once: another thread may be about to open the next one
    rmSync(`${this.path}-shm`, { force: true });
  }

  /** Forgets the write-ahead log. */
  async close(): Promise<void> {
    const log = this.#writeAheadLog;
    this.#writeAheadLog = null;
    await log?.close();
  }

  get #writeAheadLogPath(): string {
    return `${this.path}-wal`;
  }

  async #isWriteAheadLogThere(log: FileHandle): Promise<boolean> {
    const { dev: device, ino: inode } = await log.stat();
    const now = await identityOf(this.#writeAheadLogPath);
    return now !== null && same(now, { device, inode });
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
