/** The receivers of a chaos run, and what they have accepted. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type Micros, parseTime } from "../../src/core/model/time.ts";

export const receiverModes = [
  "ok",
  "503",
  "500",
  "429",
  "hang",
  "reset",
  "slow",
  "lost-answer", // takes the request, and the sender does not hear of it
  "outage", // no one listens
] as const;

export type ReceiverMode = (typeof receiverModes)[number];

export type ReceiverNews =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "accepted"; readonly webhookId: string; readonly body: string; readonly at: number }
  | { readonly kind: "refused"; readonly mode: ReceiverMode };

/** A request that a receiver took. Its time is in milliseconds since the epoch. */
export interface AcceptedDelivery {
  readonly receiver: string;
  readonly webhookId: string;
  readonly at: number;
  readonly rule: string;
  readonly resource: string;
  readonly state: string;
  readonly firingId: string;
  /** Of the event that made it fire. */
  readonly eventId: string | null;
  /** When that event was received; for an absence, when it fired. A number: as texts, a whole second comes after its fractions. */
  readonly order: Micros;
}

export class Receiver {
  readonly name: string;
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess, port: number) {
    this.name = name;
    this.#child = child;
    this.url = `http://127.0.0.1:${port}/`;
  }

  static async start(
    name: string,
    on: { readonly accepted: (delivery: AcceptedDelivery) => void; readonly refused: () => void },
  ): Promise<Receiver> {
    const child = fork(new URL("receiver.ts", import.meta.url));
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    child.on("message", (news: ReceiverNews) => {
      if (news.kind === "refused") on.refused();
      if (news.kind === "accepted") on.accepted(readDelivery(name, news));
    });
    return new Receiver(name, child, port);
  }

  become(mode: ReceiverMode): void {
    this.#child.send(mode);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

interface DefaultBody {
  readonly automation: { readonly name: string };
  readonly event: {
    readonly id: string;
    readonly received: string;
    readonly resource: Record<string, string>;
  } | null;
  readonly firing: {
    readonly id: string;
    readonly trigger_states: readonly string[];
    readonly triggered: string;
    readonly triggering_labels: Record<string, string>;
  };
}

/** @param news with a body as a webhook without one of its own sends it */
export function readDelivery(
  receiver: string,
  { webhookId, body, at }: ReceiverNews & { kind: "accepted" },
): AcceptedDelivery {
  const { automation, event, firing } = JSON.parse(body) as DefaultBody;
  return {
    receiver,
    webhookId,
    at,
    rule: automation.name,
    resource: firing.triggering_labels[resourceId] ?? event?.resource[resourceId] ?? "",
    state: firing.trigger_states[0] ?? "",
    firingId: firing.id,
    eventId: event?.id ?? null,
    order: parseTime(firing.triggered) ?? 0,
  };
}

const resourceId = "prefect.resource.id";
