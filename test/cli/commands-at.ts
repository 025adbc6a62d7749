/** Commands as the tests of a server run them. */

import { expect } from "vitest";
import type { Sandbox, Server } from "./support.ts";

/** Commands that are sent to a server. @param server asked for only when one is run */
export function commandsAt(sandbox: Sandbox, server: () => Server) {
  const tripline = (...words: string[]) => sandbox.output(words, { TRIPLINE_API_URL: server().api });
  return {
    tripline,
    /** What a command prints as JSON. It must succeed, and say nothing else. */
    async json<T>(...words: string[]): Promise<T> {
      const { code, stdout, stderr } = await tripline(...words, "--output", "json");
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return JSON.parse(stdout) as T;
    },
    /** Emits an event. @returns its id */
    async emit(name: string, resource: string, ...words: string[]): Promise<string> {
      const { stdout } = await tripline("emit", "-e", name, "-r", resource, ...words);
      return stdout.trim().split("  ").at(-1) ?? "";
    },
  };
}
