// A second implementation of DynamoDB: registration, login, logout, the feed, its packs and lookups on moto's tables
// instead of the local engine's. moto does not throttle, split or reorder as DynamoDB may; the engine's tests do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually, scratch } from "../worker/programs.mjs";
import { System, auth, code } from "../worker/system.mjs";
import { Moto } from "./moto.mjs";

const POLL = 1;

let system;
let moto;
// The limits of the host are off: their updates nest one function in another. DynamoDB's grammar allows that, and
// moto does not parse it.
before(async () => {
  system = new System();
  system.folder = scratch();
  moto = await Moto.start(system.folder);
  system.databaseUrl = moto.url;
  const key = (name, kind) => ({ AttributeName: name, KeyType: kind });
  for (const TableName of ["Portcullis", "TokenBlacklist"]) {
    await system.dynamo("CreateTable", {
      TableName,
      AttributeDefinitions: ["PK", "SK"].map((name) => ({ AttributeName: name, AttributeType: "S" })),
      KeySchema: [key("PK", "HASH"), key("SK", "RANGE")],
      BillingMode: "PAY_PER_REQUEST",
    });
  }
  await Promise.all([system.startOrigin(), system.startHost(() => ({ PORTCULLIS_LIMITS: "off" }))]);
  await startWorker();
});
after(async () => {
  await system.stop();
  await moto.stop();
});

/** A cold Worker that reads the feed every second, with one lookup route. */
async function startWorker() {
  const policy = JSON.parse(system.policy);
  policy.revocations = { poll: POLL, soft: POLL, hard: 30 };
  policy.routes.unshift({ path: "/sure/*", access: "token", revocation: "lookup" });
  await system.startWorker({ PORTCULLIS_POLICY: JSON.stringify(policy) });
}

const ask = (token, where = "/hello") => system.ask(where, { headers: auth(token) });
const sessionOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sid;

async function feedRows() {
  const { Items } = await system.dynamo("Scan", {});
  return Items.filter((row) => row.PK.S.startsWith("FEED#"));
}

test("on moto's tables a logout takes effect at once on a lookup route, and within one poll on a feed route", async () => {
  const [one, other] = [await system.logIn(), await system.logIn()];
  for (const where of ["/hello", "/sure/thing"]) {
    assert.equal((await ask(one, where)).status, 200);
    assert.equal((await ask(other, where)).status, 200);
  }
  await system.logOut(one);
  const answer = await ask(one, "/sure/thing");
  assert.deepEqual([answer.status, code(answer)], [401, "revoked"]);
  const refused = async () => (await ask(one)).status === 401;
  await eventually(refused, "the feed tells the Worker", () => system.workerLog, 10);
  assert.equal((await ask(other)).status, 200);
  const rows = await feedRows();
  assert.ok(rows.some((row) => row.target_id?.S === sessionOf(one)), JSON.stringify(rows));
});

test("a cold Worker reads a pack from moto, and looks up an ambiguous match there", async () => {
  const token = await system.logIn();
  await system.logOut(token);
  // Three minutes old according to the feed, and the minutes since are closed.
  const then = new Date(Date.now() - 180_000).toISOString().replace(/\.\d+/, "");
  for (const row of await feedRows()) {
    const moved = { ...row, PK: { S: `FEED#${then.slice(0, 16)}#0` }, SK: { S: `${then}#${row.SK.S.split("#")[1]}` } };
    await system.dynamo("PutItem", { Item: moved });
    await system.dynamo("DeleteItem", { Key: { PK: row.PK, SK: row.SK } });
  }
  const directory = { PK: { S: "PACKS" }, SK: { S: "DIRECTORY" } };
  await system.host.stop();
  await system.dynamo("DeleteItem", { Key: directory });
  await system.startHost(() => ({ PORTCULLIS_LIMITS: "off" }));
  const packed = async () => {
    const { Item } = await system.dynamo("GetItem", { Key: directory });
    return Item?.spans.L.some((span) => Number(span.M.names.N) > 0);
  };
  await eventually(packed, "the feed is packed", () => system.host.log);
  // Without the feed rows, only the pack and the session's own row contain it.
  for (const { PK, SK } of await feedRows()) await system.dynamo("DeleteItem", { Key: { PK, SK } });
  await startWorker();
  const answer = await ask(token);
  assert.deepEqual([answer.status, code(answer)], [401, "revoked"]);
  assert.equal((await ask(await system.logIn())).status, 200);
});
