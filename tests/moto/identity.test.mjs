// A second implementation of STS: the actor of a command against moto instead of our own double. moto verifies no
// signature; the flows do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Program, scratch } from "../worker/programs.mjs";
import { PASSWORD, System } from "../worker/system.mjs";
import { Moto } from "./moto.mjs";

const EMAIL = "ada@example.com";

let system;
let moto;
before(async () => {
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  moto = await Moto.start(system.folder);
  await system.startHost();
  assert.equal((await system.post("/v1/register", { email: EMAIL, password: PASSWORD })).status, 201);
});
after(async () => {
  await system.stop();
  await moto.stop();
});

/** `portcullis --json ...`: its output. */
async function operator(args, settings = {}) {
  const terminal = new Program("portcullis", ["--json", ...args], { ...system.hostSettings, ...settings });
  const [exit] = await terminal.ended;
  assert.equal(exit, 0, terminal.log);
  return JSON.parse(terminal.log);
}

test("the audit trail identifies an operator by the ARN of moto's STS, else by the access key id", async () => {
  await operator(["--actor", "grace", "users", "disable", EMAIL], { PORTCULLIS_STS_ENDPOINT: moto.url });
  await operator(["--actor", "grace", "users", "enable", EMAIL]);
  const entries = async (action) => (await operator(["audit", "list", "--action", action])).lines;
  const actors = async (action) => (await entries(action)).map((entry) => entry.client_address);
  assert.deepEqual(await actors("admin_disable"), ["operator:arn:aws:sts::123456789012:user/moto;grace"]);
  assert.deepEqual(await actors("admin_enable"), ["operator:AKIDTEST;grace"]);
});
