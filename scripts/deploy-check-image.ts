/**
 * Builds the image and runs it as its configuration says: as its user, with a read-only root, a volume for /data, and
 * secrets as files. It needs no container engine: buildah builds the image, and `unshare` and `chroot` run it.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startPrivateRedis } from "./private-redis.ts";

interface CheckImageOptions {
  readonly root: string;
  /** Kept between runs. */
  readonly cache: string;
  readonly scratch: string;
  readonly run: (program: string, words: readonly string[], options?: object) => string;
}

interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Healthcheck?: { readonly Test: readonly string[] };
}

/** This works without a daemon, and in a container that may not create namespaces. */
process.env["BUILDAH_ISOLATION"] ??= "chroot";

export async function checkImage({ root, cache, scratch, run }: CheckImageOptions): Promise<void> {
  const base = process.env["NODE_IMAGE"] ?? localBase({ root, cache, scratch, run });
  const context = join(scratch, "context");
  mkdirSync(context);
  const files = run("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
  run("tar", ["--null", "-cf", join(scratch, "context.tar"), "-T", "-"], { input: files });
  run("tar", ["-xf", join(scratch, "context.tar"), "-C", context]);
  const npmrc = join(scratch, "npmrc");
  const own = [
    process.env["NPM_CONFIG_GLOBALCONFIG"] ?? "/etc/npmrc",
    join(process.env["HOME"] ?? "/", ".npmrc"),
  ];
  writeFileSync(
    npmrc,
    own
      .filter(existsSync)
      .map((file) => readFileSync(file, "utf8"))
      .join("\n"),
  );
  const image = "localhost/tripline:deploy-check";
  run("buildah", [
    ...["bud", "--format", "docker", "--secret", `id=npmrc,src=${npmrc}`],
    ...["--build-arg", `NODE_IMAGE=${base}`, "--tag", image, context],
  ]);
  const inspected = JSON.parse(run("buildah", ["inspect", "--type", "image", image])) as {
    Docker: { config: ImageConfig };
  };
  const container = run("buildah", ["from", image]).trim();
  try {
    const folder = run("buildah", ["mount", container]).trim();
    await runImage(folder, inspected.Docker.config, { root, scratch });
  } finally {
    run("buildah", ["rm", container]);
  }
}

/** Debian with npm and the Node of this checkout, in place of the official image, which cannot be pulled everywhere. */
function localBase({ root, cache, scratch, run }: CheckImageOptions): string {
  const name = "localhost/tripline-node:deploy-check";
  const folder = join(cache, "base");
  if (!existsSync(join(folder, "usr", "local", "bin", "npm"))) {
    run("debootstrap", ["--variant=minbase", "--include=ca-certificates,libatomic1", "bookworm", folder]);
    cpSync(
      join(run("npm", ["root", "--global"]).trim(), "npm"),
      join(folder, "usr/local/lib/node_modules/npm"),
      {
        recursive: true,
      },
    );
    run("ln", ["-s", "../lib/node_modules/npm/bin/npm-cli.js", join(folder, "usr/local/bin/npm")]);
  }
  copyFileSync(join(root, "node_modules", "node", "bin", "node"), join(folder, "usr/local/bin/node"));
  // This machine's npm may reach its registry through a proxy with its own certificate.
  copyFileSync("/etc/ssl/certs/ca-certificates.crt", join(folder, "etc/ssl/certs/ca-certificates.crt"));
  const tar = join(scratch, "base.tar");
  run("tar", ["-cf", tar, "-C", folder, "."]);
  const container = run("buildah", ["from", "scratch"]).trim();
  run("buildah", ["add", "--quiet", container, tar, "/"]);
  run("buildah", ["commit", "--quiet", container, name]);
  run("buildah", ["rm", container]);
  return name;
}

async function runImage(
  folder: string,
  config: ImageConfig,
  { root, scratch }: { root: string; scratch: string },
): Promise<void> {
  if (!/^[1-9]\d*(:\d+)?$/.test(config.User))
    throw new Error(`The image runs as ${config.User}, not by number without root`);
  const redis = await startPrivateRedis(join(scratch, "redis"), console.log);
  const secrets = join(scratch, "secrets");
  const token = `tripline_${"0".repeat(12)}_${"a".repeat(43)}`;
  mkdirSync(secrets);
  writeFileSync(join(secrets, "redis-url"), redis.url);
  writeFileSync(join(secrets, "api-keys.yaml"), `- {name: admin, scopes: [admin], token: ${token}}\n`);
  const port = 20_000 + (process.pid % 10_000);
  const env = [
    ...config.Env,
    ...[`TRIPLINE_PORT=${port}`, "TRIPLINE_REDIS_FILE=/run/secrets/redis-url"],
    ...["TRIPLINE_API_KEYS_FILE=/run/secrets/api-keys.yaml", "TRIPLINE_RULES=/rules"],
  ];
  const inImage = (words: readonly string[]): ChildProcess => {
    // A mount namespace that ends with the process, so that nothing stays mounted.
    const script = `
      set -e
      mkdir -p "$0/rules" "$0/run/secrets"
      mount --bind "$0" "$0"
      mount -t proc proc "$0/proc"
      mount --rbind /dev "$0/dev"
      mount --bind "${join(root, "rules")}" "$0/rules"; mount -o remount,ro,bind "$0/rules"
      mount --bind "${secrets}" "$0/run/secrets"; mount -o remount,ro,bind "$0/run/secrets"
      mkdir -p "${join(scratch, "data")}"; chown 1000:1000 "${join(scratch, "data")}"
      mount --bind "${join(scratch, "data")}" "$0/data"
      mount -o remount,ro,bind "$0"
      user=$1; shift
      exec chroot --userspec="$user" "$0" env -i "$@"`;
    const command = ["sh", "-c", `cd ${config.WorkingDir} && exec "$@"`, "sh", ...words];
    const isolated = ["--mount", "--propagation", "private", "sh", "-c", script];
    return spawn("unshare", [...isolated, folder, config.User, ...env, ...command], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  };
  const server = inImage([...config.Entrypoint, ...config.Cmd]);
  let output = "";
  server.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = once(server, "exit");
  try {
    await untilRunning(() => output, ended);
    const url = `http://127.0.0.1:${port}/api`;
    const statusOf = async (path: string, key: string | null) =>
      (await fetch(`${url}${path}`, { headers: key === null ? {} : { Authorization: `Bearer ${key}` } }))
        .status;
    const statuses = [
      await statusOf("/ready", null),
      await statusOf("/events/filter", null),
      await statusOf("/automations", token),
    ];
    // The second is not found by GET, or not allowed without a key.
    if (statuses[0] !== 200 || statuses[1] === 200 || statuses[2] !== 200) {
      throw new Error(`The server in the image answers ${statuses.join(", ")}`);
    }
    const [kind, ...healthcheck] = config.Healthcheck?.Test ?? [];
    if (kind !== "CMD") throw new Error("The image has no HEALTHCHECK of the form CMD");
    const [code] = (await once(inImage(healthcheck), "exit")) as [number | null];
    if (code !== 0) throw new Error(`The health check of a healthy server exits with ${code}`);
    const writer = inImage(["sh", "-c", "touch /opt/tripline/x 2>/dev/null || touch /tmp/x 2>/dev/null"]);
    const [written] = (await once(writer, "exit")) as [number | null];
    if (written === 0) throw new Error("The root file system of the image is not read-only in this check");
    server.kill("SIGTERM");
    const [exitCode] = (await ended) as [number | null];
    if (exitCode !== 0) throw new Error(`After SIGTERM the server exits with ${exitCode}`);
    if (!existsSync(join(scratch, "data", ".tripline", "history.sqlite")))
      throw new Error("There is no history in /data");
    const [unhealthy] = (await once(inImage(healthcheck), "exit")) as [number | null];
    if (unhealthy === 0) throw new Error("The health check of a stopped server exits with 0");
    console.log("built, served with a key from a file, healthy, stopped on SIGTERM");
  } finally {
    server.kill("SIGKILL");
    await redis.stop();
  }
}

async function untilRunning(output: () => string, ended: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  for (const deadline = Date.now() + 60_000; !output().includes("Tripline is running"); await sleep(100)) {
    if (hasEnded || Date.now() > deadline)
      throw new Error(`The server in the image did not start: ${output()}`);
  }
}
