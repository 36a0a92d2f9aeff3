// A second implementation of Secrets Manager: the same rotation, from the operator's terminal, against moto instead
// of our own double. Only the CLI's steps and the host's reads use it; moto is less strict than AWS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Program, eventually, scratch } from "../worker/programs.mjs";
import { PASSWORD, System } from "../worker/system.mjs";
import { Moto } from "./moto.mjs";

const SECRET = "portcullis/signing-key";
const USER = { email: "ada@example.com", password: PASSWORD };

let system;
let moto;
before(async () => {
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  moto = await Moto.start(system.folder);
  await ask("CreateSecret", { Name: SECRET });
  await system.startHost(() => ({
    PORTCULLIS_SIGNING_KEY_FILE: undefined,
    PORTCULLIS_SIGNING_SECRET: SECRET,
    PORTCULLIS_SECRETS_ENDPOINT: moto.url,
    PORTCULLIS_SECRET_CACHE: "1",
    PORTCULLIS_JWKS_MAX_AGE: "1",
    PORTCULLIS_EDGE_JWKS_MAX_AGE: "2",
    PORTCULLIS_THIRD_PARTY_CACHE: "0",
    PORTCULLIS_LIMITS: "login_address=off",
  }));
});
after(async () => {
  await system.stop();
  await moto.stop();
});

const ask = (operation, body) => moto.secrets(operation, body);

/** `portcullis --json keys ...`: its exit code and its output. */
async function keys(...args) {
  const terminal = new Program("portcullis", ["--json", "keys", ...args], system.hostSettings);
  const [exit] = await terminal.ended;
  return { exit, said: JSON.parse(terminal.log) };
}

async function kid() {
  const answer = await system.post("/v1/login", USER);
  if (answer.status !== 200) return undefined;
  const [header] = (await answer.json()).access_token.split(".");
  return JSON.parse(Buffer.from(header, "base64url")).kid;
}

const staged = async (stage) => {
  const { VersionIdsToStages: versions } = await ask("DescribeSecret", { SecretId: SECRET });
  return Object.keys(versions).find((id) => versions[id].includes(stage));
};

test("a rotation gives the same result with moto's Secrets Manager and our double", { timeout: 90_000 }, async () => {
  const first = await keys("rotate");
  assert.equal(first.exit, 0, JSON.stringify(first.said));
  assert.equal(first.said.key.state, "signing", "no other key is current");
  assert.equal(await staged("AWSCURRENT"), first.said.request_id);
  assert.equal((await system.post("/v1/register", USER)).status, 201);
  const old = await eventually(kid, "a login", () => system.host.log);
  assert.equal(old, first.said.key.kid);

  const second = await keys("rotate");
  assert.equal(second.exit, 0, JSON.stringify(second.said));
  assert.equal(second.said.key.state, "published");
  assert.equal(await staged("AWSCURRENT"), second.said.request_id);
  assert.equal(await staged("AWSPREVIOUS"), first.said.request_id);
  assert.equal(await kid(), old, "the version before signs until its successor's time");
  const changed = async () => (await kid()) === second.said.key.kid;
  await eventually(changed, "the next key signs", () => system.host.log);

  const early = await keys("rotate");
  assert.deepEqual([early.exit, early.said.outcome], [1, "too_early"]);
});
