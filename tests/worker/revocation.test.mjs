// Revocation at the Worker: through the feed, its cache and its packs, or through a lookup per request.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { eventually, scratch } from "./programs.mjs";
import { CountedStore } from "./store.mjs";
import { System, auth, code } from "./system.mjs";

/** A closed minute that a cold isolate still reads: three minutes before now. */
const BACK = 180;
/** The feed is not read again within a test. */
const SLOWLY = { poll: 290, soft: 295, hard: 300 };

let system;
let store;
before(async () => {
  system = await System.start();
  store = await CountedStore.start(system.engineUrl);
});
beforeEach(() => {
  store.broken.clear();
  store.forget();
});
after(async () => {
  await system.stop();
  store.stop();
});

const POLICY = {
  issuers: [
    {
      issuer: "$PORTCULLIS_ISSUER",
      audience: "https://api.example",
      algorithms: ["EdDSA"],
      keys: "document",
      profile: "at+jwt",
    },
  ],
  routes: [
    { path: "/*", access: "token" },
    { path: "/sure/*", access: "token", revocation: "lookup" },
  ],
  revocations: SLOWLY,
};

/** A cold Worker behind the counting proxy. */
async function startWorker(platform, policy = POLICY) {
  await system.startWorker(
    { PORTCULLIS_DYNAMODB_ENDPOINT: store.url, PORTCULLIS_POLICY: JSON.stringify(policy) },
    platform,
  );
  store.forget();
}

const ask = (token, where = "/hello") => system.ask(where, { headers: auth(token) });
const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

/** The feed row of a token, with a timestamp this many seconds ago, as a host wrote it then. */
async function announce(tokenId, secondsAgo) {
  const stamp = new Date(Date.now() - secondsAgo * 1000).toISOString().replace(/\.\d+/, "");
  const row = {
    PK: { S: `FEED#${stamp.slice(0, 16)}#0` },
    SK: { S: `${stamp}#${tokenId}` },
    ...revocationOf(tokenId),
  };
  await system.dynamo("PutItem", { Item: row });
}

const revocationOf = (tokenId) => ({
  kind: { S: "token" },
  target_id: { S: tokenId },
  request_id: { S: "test" },
  ttl: { N: String(Math.floor(Date.now() / 1000) + 900) },
});

const DIRECTORY = { PK: { S: "PACKS" }, SK: { S: "DIRECTORY" } };

/** Makes the host pack the feed again, and waits until it has packed `names` identifiers. */
async function pack(names) {
  await system.host.stop();
  await system.dynamo("DeleteItem", { Key: DIRECTORY });
  await system.startHost();
  const packed = async () => {
    const { Item: directory } = await system.dynamo("GetItem", { Key: DIRECTORY });
    const spans = directory?.spans.L.map((span) => Number(span.M.names.N)) ?? [];
    return spans.reduce((sum, next) => sum + next, 0) >= names;
  };
  await eventually(packed, "the feed is packed", () => system.host.log);
}

test("a lookup route rejects a revoked token as soon as the logout is acknowledged, a feed route within its bound", async () => {
  await startWorker();
  const token = await system.logIn();
  assert.equal((await ask(token)).status, 200);
  assert.equal((await ask(token, "/sure/thing")).status, 200);
  await system.logOut(token);
  const answer = await ask(token, "/sure/thing");
  assert.equal(answer.status, 401);
  assert.equal(code(answer), "revoked");
  assert.equal((await ask(token)).status, 200, "the snapshot is within the bound of the policy");
});

test("a lookup is one read per request, and none for an invalid token", async () => {
  await startWorker();
  const token = await system.logIn();
  assert.equal((await ask(token)).status, 200);
  store.forget();
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await ask(token, "/sure/thing")).status, 200);
  assert.deepEqual(store.reads, ["BatchGetItem", "BatchGetItem", "BatchGetItem"]);
  store.forget();
  const forged = `${token.slice(0, -20)}${"A".repeat(20)}`;
  assert.equal((await ask(forged, "/sure/thing")).status, 401);
  assert.equal((await ask(token)).status, 200);
  assert.deepEqual(store.reads, []);
});

test("a failed lookup closes its route and no other", async () => {
  await startWorker();
  const token = await system.logIn();
  assert.equal((await ask(token)).status, 200);
  store.broken.add("BatchGetItem");
  const answer = await ask(token, "/sure/thing");
  assert.equal(answer.status, 503);
  assert.equal(code(answer), "revocation_unknown");
  assert.equal(answer.headers["retry-after"], "1");
  assert.equal((await ask(token)).status, 200);
  store.broken.clear();
  assert.equal((await ask(token, "/sure/thing")).status, 200);
});

test("isolates with a shared cache read each closed minute once", async () => {
  const resourcePersistencePath = scratch();
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  // Without packs: a corrupt directory counts as none. The host leaves its repair to an operator.
  await system.dynamo("PutItem", { Item: DIRECTORY });
  const feedReads = [];
  for (let isolate = 0; isolate < 2; isolate += 1) {
    await startWorker({ resourcePersistencePath });
    const answer = await ask(token);
    assert.equal(code(answer), "revoked", answer.text);
    feedReads.push(store.count("FEED"));
  }
  const [first, second] = feedReads;
  assert.ok(first >= 11, `${first} reads: every minute of a token's lifetime`);
  // A minute may have closed meanwhile.
  assert.ok(second <= 3, `${second} reads: the open minutes`);
});

test("a cold isolate reads packs instead of minutes, and resolves an ambiguous match by the token's own rows", async () => {
  const [revoked, doubted, other] = [await system.logIn(), await system.logIn(), await system.logIn()];
  const ids = [revoked, doubted].map((token) => claims(token).jti);
  await system.dynamo("PutItem", { Item: { PK: { S: `TOKEN#${ids[0]}` }, SK: { S: "REVOKED" }, ...revocationOf(ids[0]) } });
  // The second one is only in the index, like a token with the fingerprint of another.
  for (const id of ids) await announce(id, BACK);
  await pack(2);
  await startWorker();

  assert.equal((await ask(other)).status, 200);
  assert.equal(store.count("PACKS"), 1);
  assert.equal(store.count("PACK"), 1);
  assert.ok(store.count("FEED") <= 3, `${store.reads}`);
  assert.equal(store.count("BatchGetItem"), 0, "a token that is not revoked is not looked up");

  assert.equal(code(await ask(revoked)), "revoked");
  assert.equal((await ask(doubted)).status, 200);
  assert.equal(store.count("BatchGetItem"), 2);
  // The result is cached as long as the packs.
  assert.equal(code(await ask(revoked)), "revoked");
  assert.equal((await ask(doubted)).status, 200);
  assert.equal(store.count("BatchGetItem"), 2);

  // A later logout is in the feed with its full identifier, independent of the cached result.
  await startWorker(undefined, { ...POLICY, revocations: { poll: 1, soft: 2, hard: 30 } });
  assert.equal((await ask(doubted)).status, 200);
  await system.logOut(doubted);
  await system.untilStatus(doubted, 401, 10);
});

test("an ambiguous match that cannot be resolved is not accepted", async () => {
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  await pack(1);
  await startWorker();
  store.broken.add("BatchGetItem");
  const answer = await ask(token);
  assert.equal(answer.status, 503);
  assert.equal(code(answer), "revocation_unknown");
});

test("a cold isolate without packs reads every minute", async () => {
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  await pack(1);
  await startWorker();
  store.broken.add("PACK");
  assert.equal(code(await ask(token)), "revoked");
  assert.ok(store.count("FEED") >= 11, `${store.reads}`);
});

test("an unavailable pack directory is not taken for an empty one", async () => {
  const token = await system.logIn();
  const id = claims(token).jti;
  await system.dynamo("PutItem", { Item: { PK: { S: `TOKEN#${id}` }, SK: { S: "REVOKED" }, ...revocationOf(id) } });
  await announce(id, BACK);
  await pack(1);
  await startWorker();
  store.broken.add("PACKS");
  const answer = await ask(token);
  assert.equal(answer.status, 503);
  assert.equal(code(answer), "stale_snapshot");
  assert.ok(store.count("FEED") <= 2, `${store.reads}: the open minutes, and not every minute`);
  store.broken.clear();
  await system.untilStatus(token, 401, 10);
});
