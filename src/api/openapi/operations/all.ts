/** Every route of the API, as its document tells of it. */

import { automationOperations } from "./automations.ts";
import { destinationOperations } from "./destinations.ts";
import { eventOperations } from "./events.ts";
import { hookOperations } from "./hooks.ts";
import type { Operation } from "./operation.ts";
import { smallOperations } from "./small.ts";

export const tags = [
  { name: "events", description: "What happened: in, out, found and counted." },
  { name: "automations", description: "Which events matter, and what is done about them." },
  { name: "why", description: "Why an automation fired, or did not." },
  { name: "deliveries", description: "Actions that did not succeed." },
  { name: "destinations", description: "Where webhooks and notifications go." },
  { name: "server", description: "Health, versions and this document." },
];

export const allOperations: readonly Operation[] = [
  ...eventOperations,
  ...hookOperations,
  ...automationOperations,
  ...destinationOperations,
  ...smallOperations,
];
