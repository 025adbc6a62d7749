/** A file system with little space, which fills up as a disk does. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallFileSystem {
  /** Why it cannot be made on this machine, or null. */
  readonly missing: string | null;
  /** @returns its folder */
  mount(): string;
  unmount(): void;
}

export function smallFileSystem(megabytes: number): SmallFileSystem {
  let folder: string | null = null;
  const mount = () => {
    folder = mkdtempSync(join(tmpdir(), "tripline-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder], { stdio: "pipe" });
    return folder;
  };
  const unmount = () => {
    if (folder === null) return;
    execFileSync("umount", ["--lazy", folder], { stdio: "pipe" });
    rmSync(folder, { recursive: true });
    folder = null;
  };
  const isRoot = process.platform === "linux" && process.getuid?.() === 0;
  if (!isRoot) return { missing: "only root on Linux can mount a file system", mount, unmount };
  try {
    mount();
    unmount();
    return { missing: null, mount, unmount };
  } catch (error) {
    return { missing: `a file system cannot be mounted: ${(error as Error).message}`, mount, unmount };
  }
}
