/** `tripline secrets`: how stored secrets are protected, and sealing them again. It needs only Redis and the keys. */

import { Command, Option } from "commander";
import { jobKeyPrefix } from "../delivery/queue-keys.ts";
import { type SecretCounts, type SecretOwner, StoredSecrets, secretOwners } from "../store/stored-secrets.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { boxHere } from "./secret-box-here.ts";
import { readWorkspace } from "./settings.ts";
import { redisOption, withRedis } from "./with-redis.ts";

interface SecretsOptions extends OutputOptions {
  readonly workspace: string;
  readonly redis?: string;
}

const what = "Stored secrets";

export function secretsCommand(): Command {
  return new Command("secrets")
    .description(
      "Show how stored secrets are protected, and encrypt them again. Give it the same TRIPLINE_SECRET_KEY as the " +
        "server. It needs only Redis.\n\nRedis is found by --redis, TRIPLINE_REDIS or REDIS_URL, else the private one of " +
        "an `npm start` in this folder, else on this machine. See docs/security.md.",
    )
    .addCommand(listCommand())
    .addCommand(resealCommand());
}

function listCommand(): Command {
  const command = withOptions(
    addOutput(new Command("ls").description("Count the stored secrets by how they are protected.")),
  );
  addExamples(command, [["tripline secrets ls", "whether an old key can be removed"]]);
  return command.action(async (options: SecretsOptions) => {
    await withStored(options, async (stored) => printCounts(await stored.count(), options));
  });
}

function resealCommand(): Command {
  const command = withOptions(
    addOutput(
      new Command("reseal").description(
        "Encrypt every stored secret with the first key of TRIPLINE_SECRET_KEY, unless it is already, and count them.",
      ),
    ),
  );
  addExamples(command, [["tripline secrets reseal", "after a key was added in front"]]);
  return command.action(async (options: SecretsOptions) => {
    if (boxHere().keyIds.length === 0) {
      throw new CommandFailure("TRIPLINE_SECRET_KEY is not set; make a key with: openssl rand -base64 32", 2);
    }
    await withStored(options, async (stored) => {
      await stored.reseal();
      const counts = await stored.count();
      printCounts(counts, options);
      const left = (state: "plain" | "older" | "unreadable") =>
        secretOwners.reduce((sum, owner) => sum + counts[owner][state], 0);
      if (left("unreadable") > 0) {
        throw new CommandFailure(
          `${left("unreadable")} secrets are encrypted with a key that TRIPLINE_SECRET_KEY does not have. Add that key, or set those secrets again.`,
        );
      }
      if (left("plain") + left("older") > 0) {
        throw new CommandFailure(
          "Some secrets were written meanwhile without the first key. Run this again.",
        );
      }
    });
  });
}

function withOptions(command: Command): Command {
  return command
    .addOption(
      new Option("-w, --workspace <name>", "the workspace").argParser(readWorkspace).default("default"),
    )
    .addOption(redisOption());
}

async function withStored(
  { redis, workspace }: SecretsOptions,
  use: (stored: StoredSecrets) => Promise<void>,
): Promise<void> {
  const box = boxHere();
  await withRedis(redis, { name: "tripline-secrets", what }, (connection) =>
    use(new StoredSecrets(connection, workspace, { box, jobKeyPrefix: jobKeyPrefix(workspace) })),
  );
}

interface OwnerCounts {
  readonly owner: SecretOwner;
  readonly plain: number;
  readonly current: number;
  readonly older: number;
  readonly unreadable: number;
}

function printCounts(counts: SecretCounts, options: OutputOptions): void {
  const rows: OwnerCounts[] = secretOwners.map((owner) => ({ owner, ...counts[owner] }));
  print(rows, options, (view) => table(columns, rows, view));
}

const columns: TableColumn<OwnerCounts>[] = [
  { heading: "SECRETS OF", cell: ({ owner }) => owner },
  { heading: "FIRST KEY", cell: ({ current }) => String(current) },
  { heading: "OLDER KEYS", cell: ({ older }) => String(older) },
  { heading: "NOT ENCRYPTED", cell: ({ plain }) => String(plain) },
  { heading: "KEY MISSING", cell: ({ unreadable }) => String(unreadable) },
];
