// The host is asked everything its own description says, and much that it does not say. Whatever comes, the answer
// is one that the description names, and never a failure of the host.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { after, before, test } from "node:test";

import { ROOT } from "../worker/programs.mjs";
import { System } from "../worker/system.mjs";

/** Each run asks the same: what failed once can be asked again. */
const SEED = "795435200";

let system;
// One address asks more in a minute than limits let it in an hour; those have tests of their own.
before(async () => (system = await System.startHostAlone(() => ({ PORTCULLIS_LIMITS: "off" }))));
after(() => system?.stop());

test("the host answers as its OpenAPI document says, to whatever it is asked", async () => {
  const { status, output } = await schemathesis([
    `${system.hostUrl}/openapi.json`,
    "--phases=examples,coverage,fuzzing,stateful",
    "--max-examples=25",
    // No schema can tell a good address, password or mailed link from others of their form.
    "--exclude-checks=positive_data_acceptance",
    // It measures time, and this machine may be busy.
    "--suppress-health-check=too_slow",
    `--seed=${SEED}`,
    "--workers=2",
    "--request-timeout=20",
    "--continue-on-failure",
    "--no-color",
  ]);
  assert.equal(status, 0, `${output}\n${system.host.log.split("\n").filter((line) => /ERROR|WARN/.test(line)).join("\n")}`);
});

/** Runs `schemathesis run` from the packages that `cargo xtask test` has put under `target`. */
async function schemathesis(args) {
  const python = process.env.PORTCULLIS_PYTHON ?? path.join(ROOT, "target/python");
  const child = spawn("python3", ["-m", "schemathesis.cli", "run", ...args], {
    cwd: system.folder,
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: `${python}:${path.join(ROOT, "tests/openapi")}`,
      PYTHONDONTWRITEBYTECODE: "1",
      SCHEMATHESIS_HOOKS: "credentials",
      PORTCULLIS_HOST: system.hostUrl,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const [status] = await once(child, "close");
  return { status, output };
}
