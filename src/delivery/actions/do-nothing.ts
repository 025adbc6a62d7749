/** `do-nothing`: succeeds at once. Useful for trying out a trigger. */

import type { RunAction } from "../attempt.ts";

export const doNothing: RunAction<"do-nothing"> = async () => ({ kind: "executed", result: {} });
