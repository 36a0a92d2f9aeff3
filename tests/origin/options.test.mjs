// The middleware of packages/origin: its options, its secret mode, and keys from a URL.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { edgeProof } from "../../packages/origin/index.js";
import { App } from "./app.mjs";
import { ED25519, NEXT_SECRET, NOON, ORIGIN, P256, SECRET, assertion, claims, header, publicHalf } from "./signer.mjs";

const KEYS = { keys: [publicHalf(ED25519)] };

test("right options are accepted at both sides of each bound", () => {
  for (const options of [
    { secrets: [SECRET] },
    { secrets: [SECRET, NEXT_SECRET], mode: "secret", hosts: ["app.example"] },
    { secrets: [SECRET], mode: "assertion", origin: ORIGIN, leeway: 0 },
    { keys: KEYS, origin: "http://127.0.0.1:3000", leeway: 60 },
    { keys: { keys: [ED25519, P256].map(publicHalf) }, origin: "https://origin.example:8443" },
    { keysUrl: "https://app.example/.well-known/portcullis-assertion-keys", origin: ORIGIN },
    { keysUrl: "http://127.0.0.1:8787/keys", origin: ORIGIN },
  ]) {
    assert.equal(typeof edgeProof(options), "function");
  }
});

test("wrong options throw at construction, with a message that names the option and has no secret", () => {
  const short = SECRET.slice(1);
  const signed = { mode: "assertion", secrets: [SECRET] };
  const key = (changes) => ({ origin: ORIGIN, keys: { keys: [{ ...publicHalf(ED25519), ...changes }] } });
  for (const [options, message] of [
    [undefined, /options/],
    [{}, /exactly one of secrets, keys and keysUrl/],
    [{ secrets: [SECRET], keys: KEYS }, /exactly one/],
    [{ keys: KEYS, keysUrl: "https://app.example/keys", origin: ORIGIN }, /exactly one/],
    [{ secrets: [short] }, /32 or more visible ASCII/],
    [{ secrets: [SECRET, short] }, /32 or more visible ASCII/],
    [{ secrets: [`${short} `] }, /visible ASCII/],
    [{ secrets: [`${short}é`] }, /visible ASCII/],
    [{ secrets: [undefined] }, /visible ASCII/],
    [{ secrets: [] }, /secrets must be an array/],
    [{ secrets: SECRET }, /secrets must be an array/],
    [{ secrets: [SECRET, SECRET, SECRET] }, /secrets must be an array/],
    [{ secrets: [SECRET], mode: "none" }, /mode/],
    [{ keys: KEYS, mode: "secret" }, /needs secrets/],
    [{ secrets: [SECRET], origin: ORIGIN }, /origin is for mode "assertion" only/],
    [{ secrets: [SECRET], leeway: 5 }, /leeway is for mode "assertion" only/],
    [signed, /origin must be/],
    ...[`${ORIGIN}/`, `${ORIGIN}/api`, `${ORIGIN}:443`, "HTTPS://origin.example", "https://u@origin.example", `${ORIGIN}?x`, "origin.example", "ftp://x"].map(
      (origin) => [{ ...signed, origin }, /origin must be/],
    ),
    ...[-1, 61, 1.5, "5", NaN].map((leeway) => [{ ...signed, origin: ORIGIN, leeway }, /leeway/]),
    ...[[], "app.example", [""], ["https://app.example"], ["app.example/x"]].map((hosts) => [{ secrets: [SECRET], hosts }, /hosts/]),
    ...["http://app.example/keys", "keys", "https://u:p@app.example/"].map((keysUrl) => [{ keysUrl, origin: ORIGIN }, /keysUrl/]),
    [{ secrets: [SECRET], identityPrefix: "X-Auth-" }, /identityPrefix/],
    [{ secrets: [SECRET], onRefused: "log" }, /onRefused/],
    [{ secrets: [SECRET], secret: SECRET }, /unknown option "secret"/],
    [key({ d: ED25519.d }), /public/],
    [key({ kid: "" }), /kid/],
    [key({ alg: "HS256" }), /EdDSA/],
    [key({ alg: "toString" }), /EdDSA/],
    [key({ crv: "P-256" }), /EdDSA/],
    [key({ x: "AA" }), /curve/],
    [key({ x: undefined }), /coordinates/],
    [{ origin: ORIGIN, keys: { keys: [] } }, /JWK Set/],
    [{ origin: ORIGIN, keys: { keys: [publicHalf(ED25519), publicHalf(ED25519)] } }, /kid/],
  ]) {
    assert.throws(() => edgeProof(options), (error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes(short) && !error.message.includes(ED25519.d));
      return true;
    });
  }
});

test("secret mode: only the whole secret is accepted, once", async (context) => {
  const app = await App.start(context, { secrets: [SECRET] });
  const status = async (...headers) => (await app.ask(headers)).status;
  const name = "x-portcullis-edge-secret";
  assert.equal(await status([name, SECRET]), 200);
  for (const wrong of [SECRET.slice(1), `${SECRET}0`, SECRET.toUpperCase(), "", NEXT_SECRET, `${SECRET}, ${SECRET}`]) {
    assert.equal(await status([name, wrong]), 403, wrong);
  }
  assert.equal(await status(), 403);
  assert.equal(await status([name, SECRET], [name, SECRET]), 403);
  assert.equal(await status([name, "x"], ["X-Portcullis-Edge-Secret", SECRET]), 403);
  assert.equal(await status(["x_portcullis_edge_secret", SECRET]), 403);
  assert.equal(await status(["x-portcullis-assertion", assertion(SECRET)]), 403);
  assert.deepEqual([...new Set(app.reasons)], ["wrong_secret", "no_secret", "several_secrets"]);
});

test("secret mode: during a rotation both secrets are accepted", async (context) => {
  const app = await App.start(context, { secrets: [SECRET, NEXT_SECRET] });
  for (const secret of [SECRET, NEXT_SECRET]) {
    assert.equal((await app.ask([["x-portcullis-edge-secret", secret]])).status, 200);
  }
});

test("secret mode: the identity is that of the edge's headers, and the app does not see the secret", async (context) => {
  const app = await App.start(context, { secrets: [SECRET], hosts: ["app.example"] });
  const headers = [
    ["x-portcullis-edge-secret", SECRET], ["x-auth-subject", "ada"], ["x-auth-issuer", "https://issuer.example"],
    ["x-auth-scope", "a b"], ["x-auth-session", "s"], ["x-request-id", "r"], ["x-forwarded-host", "app.example"],
  ];
  const seen = JSON.parse((await app.ask(headers)).text);
  assert.deepEqual(seen.portcullis, {
    subject: "ada", issuer: "https://issuer.example", scopes: ["a", "b"], roles: [], session: "s", requestId: "r", host: "app.example",
  });
  assert.equal(seen.headers["x-auth-subject"], "ada");
  assert.ok(!JSON.stringify(seen).includes(SECRET));
  assert.equal((await app.ask([...headers, ["x-auth-subject", "root"]])).status, 403);
  assert.equal((await app.ask([...headers.slice(0, -1), ["x-forwarded-host", "other.example"]])).status, 403);
  assert.equal((await app.ask(headers.slice(0, -1))).status, 403);
  assert.deepEqual(app.reasons, ["duplicate_header", "wrong_host", "wrong_host"]);
});

/** A server of the edge's public keys; `answer` says what it sends. */
class KeyServer {
  reads = 0;
  set = KEYS;
  status = 200;

  static async start(context) {
    const own = new KeyServer();
    const server = createServer((_, res) => {
      own.reads++;
      const text = typeof own.set === "string" ? own.set : JSON.stringify(own.set);
      res.writeHead(own.status, { "content-type": "application/jwk-set+json", location: "/again" }).end(text);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    own.url = `http://127.0.0.1:${server.address().port}/.well-known/portcullis-assertion-keys`;
    return own;
  }
}

async function behindUrl(context) {
  const keys = await KeyServer.start(context);
  const app = await App.start(context, { keysUrl: keys.url });
  // Assertions are made at the app's own time.
  const status = async (key) => {
    return (await app.accepts(assertion(key, claims({ iat: app.now, exp: app.now + 60 })))).status;
  };
  return { keys, app, status };
}

test("keys from a URL are read once and cached", async (context) => {
  const { keys, app, status } = await behindUrl(context);
  assert.deepEqual(await Promise.all([1, 2, 3].map(() => status(ED25519))), [200, 200, 200]);
  app.now += 299;
  assert.equal(await status(ED25519), 200);
  assert.equal(keys.reads, 1);
});

test("a header without a kid or with another algorithm causes no read", async (context) => {
  const { keys, app } = await behindUrl(context);
  for (const changes of [{ kid: undefined }, { kid: 1 }, { kid: ["ed-1"] }, { alg: "none" }, { alg: "HS256" }, { typ: "at+jwt" }, { crit: [] }]) {
    assert.equal((await app.accepts(assertion(ED25519, claims(), header(ED25519, changes)))).status, 403);
  }
  assert.equal((await app.ask([])).status, 403);
  assert.equal(keys.reads, 0);
});

test("an unknown kid causes one read, and no further one during the cool-down of 10 seconds", async (context) => {
  const { keys, app, status } = await behindUrl(context);
  assert.equal(await status(ED25519), 200);
  keys.set = { keys: [ED25519, P256].map(publicHalf) };
  app.now += 9;
  for (let round = 0; round < 5; round++) assert.equal(await status(P256), 403);
  assert.equal(keys.reads, 1);
  app.now += 1;
  assert.equal(await status(P256), 200);
  assert.equal(await status(ED25519), 200);
  assert.equal(keys.reads, 2);
  for (let round = 0; round < 5; round++) assert.equal(await status({ ...P256, kid: `guess-${round}` }), 403);
  assert.equal(keys.reads, 2);
  assert.deepEqual([...new Set(app.reasons)], ["unknown_key"]);
});

test("a removed key is refused after the next read", async (context) => {
  const { keys, app, status } = await behindUrl(context);
  assert.equal(await status(ED25519), 200);
  keys.set = { keys: [publicHalf(P256)] };
  app.now += 300;
  // The read runs in the background of the first request.
  await status(ED25519);
  while (keys.reads < 2) await new Promise(setImmediate);
  assert.equal(await status(P256), 200);
  assert.equal(await status(ED25519), 403);
});

test("fail closed: without keys every request is refused, and reads have a cool-down", async (context) => {
  const { keys, app, status } = await behindUrl(context);
  const faults = [
    [500, KEYS], [302, KEYS], [404, KEYS], [200, "no json"], [200, { keys: [] }], [200, { keys: [ED25519] }],
    [200, " ".repeat(70_000) + JSON.stringify(KEYS)],
  ];
  for (const [code, set] of faults) {
    Object.assign(keys, { status: code, set });
    const before = keys.reads;
    for (let round = 0; round < 3; round++) assert.equal(await status(ED25519), 403);
    assert.equal(keys.reads, before + 1, `${code}`);
    app.now += 10;
  }
  assert.deepEqual([...new Set(app.reasons)], ["keys_unavailable"]);
  Object.assign(keys, { status: 200, set: KEYS });
  assert.equal(await status(ED25519), 200);
});

test("fail closed: a key server that does not listen", async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  const app = await App.start(context, { keysUrl: `http://127.0.0.1:${port}/` });
  assert.equal((await app.accepts(assertion(ED25519))).status, 403);
  assert.deepEqual(app.reasons, ["keys_unavailable"]);
});

test("while the URL fails the last keys are used for less than an hour", async (context) => {
  const { keys, app, status } = await behindUrl(context);
  assert.equal(await status(ED25519), 200);
  keys.status = 503;
  app.now = NOON + 3599;
  assert.equal(await status(ED25519), 200);
  app.now = NOON + 3600;
  assert.equal(await status(ED25519), 403);
  assert.deepEqual(app.reasons, ["keys_unavailable"]);
});
