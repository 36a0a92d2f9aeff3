// How the Worker learns what was called back: by the feed, its cache and its packs, or by a look-up for one request.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { eventually, scratch } from "./programs.mjs";
import { CountedStore } from "./store.mjs";
import { System, auth, code } from "./system.mjs";

/** A closed minute of the past that a cold isolate goes back to: three minutes before now. */
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

/** A cold Worker that reaches the store by way of the count. */
async function startWorker(platform, policy = POLICY) {
  await system.startWorker(
    { PORTCULLIS_DYNAMODB_ENDPOINT: store.url, PORTCULLIS_POLICY: JSON.stringify(policy) },
    platform,
  );
  store.forget();
}

const ask = (token, where = "/hello") => system.ask(where, { headers: auth(token) });
const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

/** The feed row of a token, stamped so many seconds ago, as a host wrote it then. */
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

/** Has the host pack the feed afresh, and waits until it has packed `names` names. */
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

test("a look-up route refuses the moment a logout is acknowledged, a feed route within its bound", async () => {
  await startWorker();
  const token = await system.logIn();
  assert.equal((await ask(token)).status, 200);
  assert.equal((await ask(token, "/sure/thing")).status, 200);
  await system.logOut(token);
  const answer = await ask(token, "/sure/thing");
  assert.equal(answer.status, 401);
  assert.equal(code(answer), "revoked");
  assert.equal((await ask(token)).status, 200, "the snapshot is younger than the policy asks");
});

test("a look-up is one read for each request, and none for a token that is no token", async () => {
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

test("a look-up that fails closes its route and no other", async () => {
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

test("closed minutes are read once where isolates share a cache", async () => {
  const resourcePersistencePath = scratch();
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  // Without packs: a directory that makes no sense is none. The host leaves it to an operator.
  await system.dynamo("PutItem", { Item: DIRECTORY });
  const feedReads = [];
  for (let isolate = 0; isolate < 2; isolate += 1) {
    await startWorker({ resourcePersistencePath });
    const answer = await ask(token);
    assert.equal(code(answer), "revoked", answer.text);
    feedReads.push(store.count("FEED"));
  }
  const [first, second] = feedReads;
  assert.ok(first >= 11, `${first} readings: every minute that a token lives`);
  // A minute may have closed meanwhile.
  assert.ok(second <= 3, `${second} readings: what is not closed yet`);
});

test("a cold isolate reads packs in place of minutes, and a doubt is settled by the token's own rows", async () => {
  const [revoked, doubted, other] = [await system.logIn(), await system.logIn(), await system.logIn()];
  const ids = [revoked, doubted].map((token) => claims(token).jti);
  await system.dynamo("PutItem", { Item: { PK: { S: `TOKEN#${ids[0]}` }, SK: { S: "REVOKED" }, ...revocationOf(ids[0]) } });
  // The second one is only announced: as a token looks whose short name is that of another.
  for (const id of ids) await announce(id, BACK);
  await pack(2);
  await startWorker();

  assert.equal((await ask(other)).status, 200);
  assert.equal(store.count("PACKS"), 1);
  assert.equal(store.count("PACK"), 1);
  assert.ok(store.count("FEED") <= 3, `${store.reads}`);
  assert.equal(store.count("BatchGetItem"), 0, "whoever was not called back is not looked up");

  assert.equal(code(await ask(revoked)), "revoked");
  assert.equal((await ask(doubted)).status, 200);
  assert.equal(store.count("BatchGetItem"), 2);
  // What was found out holds as long as the packs do.
  assert.equal(code(await ask(revoked)), "revoked");
  assert.equal((await ask(doubted)).status, 200);
  assert.equal(store.count("BatchGetItem"), 2);

  // A logout after that is known whole by the feed, whatever was found out before.
  await startWorker(undefined, { ...POLICY, revocations: { poll: 1, soft: 2, hard: 30 } });
  assert.equal((await ask(doubted)).status, 200);
  await system.logOut(doubted);
  await system.untilStatus(doubted, 401, 10);
});

test("a doubt that cannot be settled is not taken for good", async () => {
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  await pack(1);
  await startWorker();
  store.broken.add("BatchGetItem");
  const answer = await ask(token);
  assert.equal(answer.status, 503);
  assert.equal(code(answer), "revocation_unknown");
});

test("without its packs a cold isolate reads every minute", async () => {
  const token = await system.logIn();
  await announce(claims(token).jti, BACK);
  await pack(1);
  await startWorker();
  store.broken.add("PACK");
  assert.equal(code(await ask(token)), "revoked");
  assert.ok(store.count("FEED") >= 11, `${store.reads}`);
});

test("a directory of packs that is out of reach is no sign that there are none", async () => {
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
  assert.ok(store.count("FEED") <= 2, `${store.reads}: what is not closed yet, and not every minute`);
  store.broken.clear();
  await system.untilStatus(token, 401, 10);
});
