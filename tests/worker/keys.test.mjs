// Unknown keys (kid) and an unavailable key document at the Worker. A proxy between the Worker and the
// store counts the reads.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CountedStore } from "./store.mjs";
import { System, auth, code } from "./system.mjs";

const KEY = { PK: { S: "KEYS" }, SK: { S: "JWKS" } };

let system;
let store;
before(async () => {
  system = await System.start();
  store = await CountedStore.start(system.engineUrl);
});
after(async () => {
  await system.stop();
  store.stop();
});

const keyReads = () => store.count("KEYS");

/** A Worker behind the counting proxy. `keys` are the policy's maximum ages of keys. */
async function startWorker(keys) {
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
    ...(keys && { keys }),
  };
  store.forget();
  await system.startWorker({
    PORTCULLIS_DYNAMODB_ENDPOINT: store.url,
    PORTCULLIS_POLICY: JSON.stringify(policy),
  });
}

/** A token with valid claims, signed by an unknown key. */
function madeUp(kid) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    iss: "https://login.example",
    sub: "mallory",
    aud: "https://api.example",
    client_id: "portcullis",
    iat: now,
    exp: now + 300,
    jti: kid,
  };
  return `${part({ alg: "EdDSA", typ: "at+jwt", kid })}.${part(claims)}.${"A".repeat(86)}`;
}

const ask = (token) => system.ask("/hello", { headers: auth(token) });

test("unknown kids cause one key read, and a new key is found within ten seconds", async () => {
  const token = await system.logIn();
  const { Item: published } = await system.dynamo("GetItem", { Key: KEY });
  await system.dynamo("DeleteItem", { Key: KEY });
  await startWorker();
  for (let turn = 0; turn < 40; turn += 1) {
    const answer = await ask(madeUp(`made-up-${turn}`));
    assert.equal(code(answer), "unknown_key", answer.text);
  }
  assert.equal(keyReads(), 1, "the first read of a cold Worker, and none for an unknown kid");

  await system.dynamo("PutItem", { Item: published });
  await sleep(10_500);
  // A request during the key read gets 503: 401 would be wrong.
  store.pause = { KEYS: 700 };
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(token)));
  store.pause = {};
  const statuses = answers.map((answer) => answer.status);
  assert.ok(statuses.includes(200) && statuses.every((status) => status === 200 || status === 503), `${statuses}`);
  assert.equal((await ask(token)).status, 200);
  assert.equal(keyReads(), 2);

  // A fast read is awaited.
  await system.dynamo("DeleteItem", { Key: KEY });
  await startWorker();
  assert.equal(code(await ask(token)), "unknown_key");
  await system.dynamo("PutItem", { Item: published });
  await sleep(10_500);
  store.pause = { KEYS: 60 };
  const quick = await Promise.all(Array.from({ length: 8 }, () => ask(token)));
  store.pause = {};
  assert.deepEqual(quick.map((answer) => answer.status), Array(8).fill(200));
  assert.equal(keyReads(), 2);
});

test("an unknown kid with an unavailable store gives 503, not 401", async () => {
  const token = await system.logIn();
  const { Item: published } = await system.dynamo("GetItem", { Key: KEY });
  await system.dynamo("DeleteItem", { Key: KEY });
  await startWorker();
  assert.equal(code(await ask(token)), "unknown_key", "the keys are fresh and do not contain it");
  await system.dynamo("PutItem", { Item: published });
  await sleep(10_500);
  store.broken.add("KEYS");
  for (let turn = 0; turn < 3; turn += 1) {
    const answer = await ask(token);
    assert.equal(code(answer), "stale_snapshot", answer.text);
    assert.ok(answer.headers["retry-after"], "503 has Retry-After");
  }
  store.broken.clear();
});

test("an unavailable key document keeps the cached keys until their bound, without a read per request", async () => {
  const token = await system.logIn();
  await startWorker({ poll: 1, soft: 2, hard: 6 });
  assert.equal((await ask(token)).status, 200);
  const { Item: good } = await system.dynamo("GetItem", { Key: KEY });
  await system.dynamo("PutItem", { Item: { ...good, document: { S: "{" } } });
  await sleep(2_500);
  store.forget();
  const begun = Date.now();
  for (let turn = 0; turn < 40; turn += 1) {
    assert.equal((await ask(token)).status, 200, "the cached keys are within their bound");
    await sleep(25);
  }
  const seconds = Math.ceil((Date.now() - begun) / 1000);
  assert.ok(keyReads() >= 1 && keyReads() <= seconds + 1, `${keyReads()} reads in ${seconds} s`);

  await sleep(5_000);
  const stale = await ask(token);
  assert.equal(stale.status, 503, stale.text);
  assert.equal(code(stale), "stale_snapshot");
  await system.dynamo("PutItem", { Item: good });
  await system.untilStatus(token, 200, 10);
});

test("a key removed from the document verifies no token after the next read", async () => {
  const token = await system.logIn();
  await startWorker({ poll: 1, soft: 2, hard: 600 });
  assert.equal((await ask(token)).status, 200);
  const { Item: good } = await system.dynamo("GetItem", { Key: KEY });
  const emptied = JSON.parse(good.document.S);
  assert.equal(emptied.keys.length, 1, good.document.S);
  emptied.keys = [];
  await system.dynamo("PutItem", { Item: { ...good, document: { S: JSON.stringify(emptied) } } });
  // The imported key is still in the isolate's memory; the key set no longer contains it.
  await sleep(2_100);
  assert.equal(code(await ask(token)), "unknown_key");
  await system.dynamo("PutItem", { Item: good });
  await system.untilStatus(token, 200, 15);
});
