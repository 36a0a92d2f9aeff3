// What the Worker does about keys it does not know, and about a key document that it cannot read: how often it
// asks the store is counted by a proxy between them.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { System, auth, code } from "./system.mjs";

const KEY = { PK: { S: "KEYS" }, SK: { S: "JWKS" } };

let system;
let proxy;
let keyReads = 0;
/** How long a reading of the keys takes, in milliseconds. */
let pause = 0;
before(async () => {
  system = await System.start();
  // Every reading of one row by the Worker is one of the key document; the feed is read by Query.
  proxy = http.createServer(async (request, answer) => {
    const forKeys = request.headers["x-amz-target"] === "DynamoDB_20120810.GetItem";
    keyReads += forKeys;
    if (forKeys) await sleep(pause);
    const { method, url, headers } = request;
    const onward = http.request(system.engineUrl + url, { method, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    request.pipe(onward);
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
});
after(async () => {
  await system.stop();
  proxy.close();
});

/** A Worker that reaches the database by way of the count. `keys` are the policy's bounds of age for keys. */
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
  keyReads = 0;
  await system.startWorker({
    PORTCULLIS_DYNAMODB_ENDPOINT: `http://127.0.0.1:${proxy.address().port}`,
    PORTCULLIS_POLICY: JSON.stringify(policy),
  });
}

/** A token whose claims are good, under a key that nobody has. */
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

async function dynamo(operation, body) {
  const headers = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": `DynamoDB_20120810.${operation}`,
    // The local engine wants the form of a signature and does not check it.
    "x-amz-date": "20260101T000000Z",
    authorization:
      "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
  };
  const init = { method: "POST", headers, body: JSON.stringify({ TableName: "TokenBlacklist", ...body }) };
  const answer = await fetch(system.engineUrl, init);
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

const ask = (token) => system.ask("/hello", { headers: auth(token) });

test("made-up key names cost one reading, and a key published since is found within ten seconds", async () => {
  const token = await system.logIn();
  const { Item: published } = await dynamo("GetItem", { Key: KEY });
  await dynamo("DeleteItem", { Key: KEY });
  await startWorker();
  for (let turn = 0; turn < 40; turn += 1) {
    const answer = await ask(madeUp(`made-up-${turn}`));
    assert.equal(code(answer), "unknown_key", answer.text);
  }
  assert.equal(keyReads, 1, "the first reading of a cold Worker, and none for a made-up name");

  await dynamo("PutItem", { Item: published });
  await sleep(10_500);
  // Whoever comes while the key is being looked for is asked to come back: 401 would be a lie.
  pause = 700;
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(token)));
  pause = 0;
  const statuses = answers.map((answer) => answer.status);
  assert.ok(statuses.includes(200) && statuses.every((status) => status === 200 || status === 503), `${statuses}`);
  assert.equal((await ask(token)).status, 200);
  assert.equal(keyReads, 2);
});

test("a key document that cannot be read leaves the last good keys until their bound, and is not asked for by everybody", async () => {
  const token = await system.logIn();
  await startWorker({ poll: 1, soft: 2, hard: 6 });
  assert.equal((await ask(token)).status, 200);
  const { Item: good } = await dynamo("GetItem", { Key: KEY });
  await dynamo("PutItem", { Item: { ...good, document: { S: "{" } } });
  await sleep(2_500);
  keyReads = 0;
  const begun = Date.now();
  for (let turn = 0; turn < 40; turn += 1) {
    assert.equal((await ask(token)).status, 200, "the last good keys are still good");
    await sleep(25);
  }
  const seconds = Math.ceil((Date.now() - begun) / 1000);
  assert.ok(keyReads >= 1 && keyReads <= seconds + 1, `${keyReads} readings in ${seconds} s`);

  await sleep(5_000);
  const stale = await ask(token);
  assert.equal(stale.status, 503, stale.text);
  assert.equal(code(stale), "stale_snapshot");
  await dynamo("PutItem", { Item: good });
  await system.untilStatus(token, 200, 10);
});
