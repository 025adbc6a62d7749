/** The version of Prefect's API: the one that this API follows, and those whose clients it supports. */

import { Refusal } from "../http/refusal.ts";

/** The version of Prefect's API that this one follows. */
export const apiVersion = "0.8.4";

/** The oldest version of Prefect's API whose clients are supported. */
const oldestMinor = 8;

/**
 * Checks the version that a client of Prefect's says it speaks. Requests without one pass.
 *
 * @throws Refusal 400
 */
export function checkApiVersion(headers: Headers): void {
  const spoken = headers.get("x-prefect-api-version");
  if (spoken === null) return;
  const [, major, minor] = /^(\d+)\.(\d+)\.(\d+)$/.exec(spoken) ?? [];
  if (major === undefined || minor === undefined) {
    const detail = "X-PREFECT-API-VERSION should be three integers, such as 0.8.4";
    throw new Refusal(400, "api_version", { detail });
  }
  if (Number(major) === 0 && Number(minor) < oldestMinor) {
    const detail = `This client speaks API version ${spoken}; 0.${oldestMinor}.0 or newer is required. Update the client`;
    throw new Refusal(400, "api_version", { detail });
  }
}
