/** The faults of a chaos run: drawn from the seed, and carried out on a deployment. */

import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../../test/support/random.ts";
import { type ChaosRole, type Deployment, leaseMs, roles, workerDeadMs } from "./deployment.ts";
import type { ProxyFault } from "./proxy.ts";
import { receiverModes } from "./receivers.ts";
import { receiverNames } from "./rules.ts";
import type { ServerProcess } from "./server-process.ts";

export interface Fault {
  /** What the table counts it as, such as `kill engine`. */
  readonly kind: string;
  readonly target: string;
  /** From its begin to its end, without the time that a process takes to start. */
  readonly ms: number;
  /** Resolves when the fault is over: what was down has been started, or what was stopped goes on. */
  run(deployment: Deployment): Promise<void>;
}

/** Draws one fault of a kind. */
type FaultMaker = (random: Random, deployment: Deployment) => Fault;

/** Every kind that this deployment can suffer. */
function faultMakersFor({ store }: Deployment): readonly FaultMaker[] {
  return [
    ...roles.flatMap((role) => [killOf(role), pauseOf(role), upgradeOf(role)]),
    ...roles.map(allDown),
    ...(store.proxies.size > 0 ? proxyFaults : []),
    ...(store.survivesKill ? [killRedis] : []),
    ...(store.failOver === null ? [] : [failOver(store.failOver)]),
    pauseRedis,
    ...receiverModes.filter((mode) => mode !== "ok").map(receiverFault),
  ];
}

/**
 * A list of faults without end. Each kind comes once before any comes twice, so that a short run sees many kinds.
 *
 * @param only parts of the names of the kinds to draw; empty for all kinds
 * @throws Error if there are no such kinds
 */
export function* drawFaults(
  random: Random,
  deployment: Deployment,
  only: readonly string[],
): Generator<Fault, undefined> {
  const all = faultMakersFor(deployment);
  const kinds = all.map((maker) => maker(new Random(0), deployment).kind);
  const makers = all.filter(
    (_, index) => only.length === 0 || only.some((part) => kinds[index]?.includes(part)),
  );
  if (makers.length === 0)
    throw new Error(`No fault is called ${only.join(", ")}; there are: ${kinds.join(", ")}`);
  for (;;) {
    const left = [...makers];
    while (left.length > 0) {
      const [maker] = left.splice(random.integer(0, left.length - 1), 1);
      if (maker !== undefined) yield maker(random, deployment);
    }
  }
}

function killOf(role: ChaosRole): FaultMaker {
  return (random, deployment) => {
    const server = random.pick(deployment.ofRole(role));
    const ms = random.integer(200, 8_000);
    return { kind: `kill ${role}`, target: server.name, ms, run: () => restart(server, "SIGKILL", ms) };
  };
}

/** Long enough that others take over, so that it wakes up with work that is no longer its own. */
function pauseOf(role: ChaosRole): FaultMaker {
  return (random, deployment) => {
    const server = random.pick(deployment.ofRole(role));
    const ms = random.integer(Math.max(leaseMs, workerDeadMs) + 1_000, 15_000);
    const run = async () => {
      server.pause();
      await pause(ms);
      server.resume();
    };
    return { kind: `stop ${role} (SIGSTOP)`, target: server.name, ms, run };
  };
}

function upgradeOf(role: ChaosRole): FaultMaker {
  return (_random, deployment) => ({
    kind: `upgrade ${role}`,
    target: deployment
      .ofRole(role)
      .map(({ name }) => name)
      .join(", "),
    ms: 0,
    async run() {
      for (const server of deployment.ofRole(role)) await restart(server, "SIGTERM", 0);
    },
  });
}

function allDown(role: ChaosRole): FaultMaker {
  return (random, deployment) => {
    const ms = random.integer(2_000, 12_000);
    return {
      kind: `all down: ${role}`,
      target: deployment
        .ofRole(role)
        .map(({ name }) => name)
        .join(", "),
      ms,
      run: async () => {
        await Promise.all(deployment.ofRole(role).map((server) => restart(server, "SIGKILL", ms)));
      },
    };
  };
}

async function restart(server: ServerProcess, signal: "SIGKILL" | "SIGTERM", downMs: number): Promise<void> {
  await server.end(signal);
  await pause(downMs);
  server.start();
  await server.running();
}

const proxyFaults: readonly FaultMaker[] = [
  proxyFault("proxy: delay", (random) => ({ kind: "delay", ms: random.integer(50, 400) })),
  proxyFault("proxy: refuse", () => ({ kind: "refuse" })),
  proxyFault("proxy: half-open", () => ({ kind: "half-open", requests: true, answers: true })),
  proxyFault("proxy: answers held", () => ({ kind: "half-open", requests: false, answers: true })),
  proxyFault("proxy: requests held", () => ({ kind: "half-open", requests: true, answers: false })),
  (random, deployment) => {
    const names = somePart(random, deployment);
    const times = random.integer(1, 10);
    const run = async () => {
      for (let time = 0; time < times; time += 1) {
        for (const name of names) deployment.store.proxies.get(name)?.cut();
        await pause(300);
      }
    };
    return { kind: "proxy: cut", target: names.join(", "), ms: times * 300, run };
  },
];

function proxyFault(kind: string, make: (random: Random) => ProxyFault): FaultMaker {
  return (random, deployment) => {
    const names = somePart(random, deployment);
    const fault = make(random);
    const ms = random.integer(2_000, 12_000);
    const cut = random.chance(0.5);
    const run = async () => {
      const proxies = names.map((name) => deployment.store.proxies.get(name)!);
      await Promise.all(proxies.map((proxy) => proxy.begin(fault)));
      await pause(ms);
      await Promise.all(proxies.map((proxy) => proxy.end({ cut })));
    };
    return { kind, target: names.join(", "), ms, run };
  };
}

/** One process, a role, or everyone. */
function somePart(random: Random, deployment: Deployment): readonly string[] {
  const all = [...deployment.store.proxies.keys()];
  if (random.chance(0.3)) return all;
  if (random.chance(0.5)) return [random.pick(all)];
  return deployment.ofRole(random.pick(roles)).map(({ name }) => name);
}

const killRedis: FaultMaker = (random) => {
  const ms = random.integer(200, 6_000);
  return {
    kind: "kill Redis",
    target: "Redis",
    ms,
    async run({ store }) {
      const server = await store.master();
      await server.kill9();
      await pause(ms);
      await server.restart();
    },
  };
};

const pauseRedis: FaultMaker = (random, { store }) => {
  // Shorter than replicas need to take over: what was not replicated would be lost by design.
  const ms = store.survivesKill ? random.integer(1_000, 10_000) : random.integer(500, 1_500);
  return {
    kind: "stop Redis (SIGSTOP)",
    target: "Redis",
    ms,
    async run() {
      const server = await store.master();
      server.pause();
      await pause(ms);
      server.resume();
    },
  };
};

function failOver(run: () => Promise<void>): FaultMaker {
  return () => ({ kind: "fail over Redis", target: "Redis", ms: 0, run });
}

function receiverFault(mode: (typeof receiverModes)[number]): FaultMaker {
  return (random, deployment) => {
    const receiver = deployment.receivers.get(random.pick(receiverNames))!;
    const ms = random.integer(3_000, mode === "outage" ? 20_000 : 10_000);
    const run = async () => {
      receiver.become(mode);
      await pause(ms);
      receiver.become("ok");
    };
    return { kind: `receiver: ${mode}`, target: `receiver ${receiver.name}`, ms, run };
  };
}
