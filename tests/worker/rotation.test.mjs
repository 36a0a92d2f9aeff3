// Rotation of the signing key under load: a Secrets Manager invokes the released function, and no request at
// the Worker fails. Then a key is revoked, and its tokens are rejected.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Program, freePort, scratch } from "./programs.mjs";
import { PASSWORD, System, auth, code } from "./system.mjs";

const SECRET = "portcullis/signing-key";
/** The maximum age of keys at this Worker, in seconds. The rotation waits for it. */
const KEYS = { poll: 1, soft: 2, hard: 4 };
const USER = { email: "ada@example.com", password: PASSWORD };

let system;
let secrets;
let secretsUrl;
let rotation;
before(async () => {
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  await system.startOrigin();
  const listens = ["--listen", "127.0.0.1:0", "--runtime-listen", "127.0.0.1:0"];
  secrets = new Program("portcullis-local", ["secrets", "--memory", "--declare", SECRET, ...listens]);
  const address = (name) => secrets.until(() => secrets.log.match(`${name} listens on http://(\\S+)`)?.[1], name);
  const runtime = await address("runtime");
  secretsUrl = `http://${await address("secrets")}`;
  const settings = {
    PORTCULLIS_SIGNING_KEY_FILE: undefined,
    PORTCULLIS_SIGNING_SECRET: SECRET,
    PORTCULLIS_SECRETS_ENDPOINT: secretsUrl,
    PORTCULLIS_SECRET_CACHE: "1",
    PORTCULLIS_JWKS_MAX_AGE: "2",
    PORTCULLIS_EDGE_JWKS_MAX_AGE: String(KEYS.hard),
    PORTCULLIS_THIRD_PARTY_CACHE: "0",
    PORTCULLIS_LIMITS: "login_address=off",
  };
  // The host has no key yet: the first rotation starts automatically and creates it.
  await system.startHost(() => settings);
  rotation = new Program("portcullis-rotation", [], {
    ...system.hostSettings,
    PORTCULLIS_LISTEN: undefined,
    AWS_LAMBDA_RUNTIME_API: runtime,
    AWS_LAMBDA_FUNCTION_NAME: "portcullis-rotation",
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
  });
  const keys = () => fetch(`${system.hostUrl}/.well-known/jwks.json`).then((answer) => answer.json());
  await rotation.until(async () => (await keys()).keys?.length === 1, "the first key is published");
  const policy = {
    issuers: [
      {
        issuer: "$PORTCULLIS_ISSUER",
        audience: "https://api.example",
        algorithms: ["EdDSA"],
        keys: "document",
        profile: "at+jwt",
      },
    ],
    routes: [{ path: "/*", access: "token" }],
    keys: KEYS,
  };
  await system.startWorker({ PORTCULLIS_POLICY: JSON.stringify(policy) });
  assert.equal((await system.post("/v1/register", USER)).status, 201);
});
after(async () => {
  await system.stop();
  await Promise.all([rotation, secrets].map((program) => program?.stop()));
});

/** Starts a rotation in Secrets Manager. Returns the status of the response, which arrives after all steps. */
async function rotate() {
  const answer = await fetch(secretsUrl, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.RotateSecret" },
    body: JSON.stringify({ SecretId: SECRET, ClientRequestToken: randomUUID() }),
  });
  return answer.status;
}

async function logIn() {
  const answer = await system.post("/v1/login", USER);
  assert.equal(answer.status, 200, `${await answer.clone().text()}\n${system.host.log}`);
  return (await answer.json()).access_token;
}

const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
const ask = (token) => system.ask("/hello", { headers: auth(token) });

let old;
let next;

test("a key rotation rejects no token: tokens from before, during and after it are accepted throughout", { timeout: 90_000 }, async () => {
  old = await logIn();
  const tokens = [old];
  const rotated = rotate();
  let until = Infinity;
  while (Date.now() < until) {
    const token = await logIn();
    tokens.push(token);
    if (kid(token) !== kid(old)) until = Math.min(until, Date.now() + 5_000);
    for (const shown of [old, token, tokens[Math.floor(tokens.length / 2)]]) {
      const answer = await ask(shown);
      assert.equal(answer.status, 200, `${kid(shown)}: ${answer.text}`);
    }
    await sleep(150);
  }
  assert.equal(await rotated, 200, rotation.log);
  next = tokens.at(-1);
  assert.equal(new Set(tokens.map(kid)).size, 2);
  // The next rotation would have to wait for the end of the old key.
  assert.equal(await rotate(), 400);
  assert.match(rotation.log, /rotation_too_early/);
});

test("tokens of a revoked key are rejected within 30 s, and those of the other key accepted", { timeout: 90_000 }, async () => {
  assert.equal((await ask(old)).status, 200);
  const terminal = new Program("portcullis", ["keys", "revoke", kid(old)], system.hostSettings);
  const [exit] = await terminal.ended;
  assert.equal(exit, 0, terminal.log);
  const waited = await system.untilStatus(old, 401, 30);
  assert.ok(waited <= 30);
  assert.match(code(await ask(old)), /^(revoked|unknown_key)$/);
  assert.equal((await ask(next)).status, 200);
  assert.equal((await ask(await logIn())).status, 200);
});
