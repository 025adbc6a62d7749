/** A greenhouse on a server, for tests of the pages: rules in files, receivers, and events. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NewEvent } from "../../src/client/index.ts";
import { startDashboard, type TestDashboard } from "./support.ts";

export interface Greenhouse extends TestDashboard {
  /** The folder of the rules. */
  readonly folder: string;
  /** What arrived, by path. */
  readonly received: { readonly path: string; readonly body: string }[];
  /** Emits events, and waits until queries find them. */
  emit(...events: NewEvent[]): Promise<void>;
  /** The id of an automation. */
  idOf(name: string): Promise<string>;
}

export const secretToken = "a-token-that-no-page-may-show";

const rules = (receiver: string) => `
# How the greenhouse is watched.
destinations:
  - name: gardener
    type: webhook
    url: ${receiver}/gardener/${secretToken}
  - name: broken-bell
    type: webhook
    url: ${receiver}/broken
automations:
  # The pumps beat every few seconds.
  - name: pump-silent
    description: A pump has stopped beating.
    tags: [pumps]
    trigger:
      posture: Proactive
      expect: [pump.beat]
      for_each: [prefect.resource.id]
      within: 10s
      lateness: 0s
      refire: once
    actions:
      - { type: send-notification, destination: gardener, subject: "{{ labels['prefect.resource.id'] }} is silent", body: "Go and look." }
  - name: vent-stuck
    description: A vent reports that it is stuck.
    tags: [vents]
    trigger: { expect: [vent.stuck], match: { prefect.resource.id: vent.* } }
    actions:
      - { type: send-notification, destination: broken-bell, subject: "A vent is stuck", body: "{{ event.payload.angle }}" }
      - { type: emit-event, event: vent.reported }
  - name: vent-reported
    trigger: { expect: [vent.reported] }
    actions:
      - { type: call-webhook, url: "${receiver}/reports", payload: { vent: "{{ event.resource['prefect.resource.id'] }}" } }
  - name: heat-wave
    enabled: false
    trigger: { expect: [sensor.hot], threshold: 3, within: 1h }
    actions: [{ type: do-nothing }]
`;

const cases = `
cases:
  - name: a stuck vent is reported
    automations: [vent-stuck, vent-reported]
    steps: [{ at: 0s, event: vent.stuck, resource: vent.1, payload: { angle: 30 } }]
    expect: [{ at: 0s, automation: vent-stuck }, { at: 0s, automation: vent-reported }]
  - name: this case expects too much
    automations: [vent-stuck, vent-reported]
    steps: [{ at: 0s, event: vent.open, resource: vent.1 }]
    expect: [{ at: 0s, automation: vent-stuck }]
`;

/** @param options as for \`tripline serve\` */
export async function startGreenhouse(options: readonly string[] = []): Promise<Greenhouse> {
  const received: { path: string; body: string }[] = [];
  const receiver = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const path = request.url ?? "";
    received.push({ path, body });
    response
      .writeHead(path.startsWith("/broken") ? 503 : 200)
      .end(path.startsWith("/broken") ? "out of order" : "fine");
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), "tripline-greenhouse-"));
  writeFileSync(join(folder, "greenhouse.yaml"), rules(`http://127.0.0.1:${port}`));
  writeFileSync(join(folder, "greenhouse.test.yaml"), cases);
  const own = ["--rules", folder, "--allow-private-addresses", "loopback"];
  const dashboard = await startDashboard([...own, ...options]);
  const { tripline } = dashboard;
  return {
    ...dashboard,
    folder,
    received,
    emit: async (...events) => {
      const emitted = await tripline.events.emit(events);
      const last = emitted.at(-1);
      // A query waits until the recorder has what was acknowledged before it.
      if (last !== undefined) await tripline.events.page({ id: { id: [last.id] } });
    },
    idOf: async (name) => {
      const [automation] = await tripline.automations.list({ names: [name] });
      if (automation === undefined) throw new Error(`there is no automation ${name}`);
      return automation.id;
    },
    stop: async () => {
      await dashboard.stop();
      receiver.closeAllConnections();
      await new Promise((resolve) => receiver.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function pumpBeat(pump: string, changes: Partial<NewEvent> = {}): NewEvent {
  return { event: "pump.beat", resource: { "prefect.resource.id": `pump.${pump}` }, ...changes };
}

export function ventStuck(changes: Partial<NewEvent> = {}): NewEvent {
  return {
    event: "vent.stuck",
    resource: { "prefect.resource.id": "vent.north", "prefect.resource.name": "the north vent" },
    related: [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house" }],
    payload: { angle: 30 },
    ...changes,
  };
}
