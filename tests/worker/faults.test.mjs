// What the Worker does when something it needs is missing: it closes, says so by a stable code, and recovers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";

import { eventually } from "./programs.mjs";
import { CountedStore } from "./store.mjs";
import { System, auth, code, fronted } from "./system.mjs";

let system;
let token;
before(async () => {
  system = await System.start();
  token = await system.logIn();
});
after(() => system.stop());

const ask = (path = "/hello") => system.ask(path, { headers: auth(token) });

for (const missing of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PORTCULLIS_POLICY", "PORTCULLIS_ORIGIN"]) {
  test(`without ${missing} every request is 503`, async () => {
    await system.startWorker({ [missing]: undefined });
    const answer = await ask();
    assert.equal(answer.status, 503, answer.text);
    assert.equal(code(answer), "not_configured");
    assert.equal(answer.headers["cache-control"], "no-store");
  });
}

test("a policy that cannot be read closes every route and is not quoted", async () => {
  await system.startWorker({ PORTCULLIS_POLICY: '{"issuers": "sesame"}' });
  for (const path of ["/hello", "/public/page"]) {
    const answer = await ask(path);
    assert.equal(answer.status, 503, answer.text);
    assert.equal(code(answer), "not_configured");
    assert.doesNotMatch(answer.text, /sesame/);
  }
});

test("with the database away a cold Worker refuses, and recovers when it is back", async () => {
  await system.engine.stop();
  await system.startWorker();
  const answer = await ask();
  assert.equal(answer.status, 503, answer.text);
  assert.equal(code(answer), "stale_snapshot");
  await system.startEngine();
  await system.untilStatus(token, 200, 20);
});

test("with the database away a warm Worker goes on within its bound", async () => {
  await system.startWorker();
  assert.equal((await ask()).status, 200);
  await system.engine.stop();
  assert.equal((await ask()).status, 200);
  await system.startEngine();
});

test("with the origin away the answer is a gateway's, and it recovers", async () => {
  await system.startWorker();
  assert.equal((await ask()).status, 200);
  await system.origin.stop();
  const answer = await ask();
  assert.equal(answer.status, 502, answer.text);
  assert.equal(code(answer), "origin_unreachable");
  await system.startOrigin();
  await system.startWorker();
  assert.equal((await ask()).status, 200);
});

test("a cold Worker answers many at once, each from its own reading or a shared snapshot", async () => {
  await system.startWorker();
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask()));
  const statuses = answers.map((answer) => answer.status);
  assert.deepEqual(new Set(statuses), new Set([200]), statuses.join(" "));
});

test("one who starts the first reading and hangs up leaves the Worker whole", async () => {
  for (let round = 0; round < 5; round++) {
    await system.startWorker();
    const { hostname, port } = system.workerUrl;
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(`GET /hello HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`);
    // Some rounds hang up before the Worker has begun, some in the midst of its reading.
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    socket.destroy();
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask()));
    for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  }
});

test("a reading goes on though its starter hangs up, and who comes meanwhile waits for it", async () => {
  const store = await CountedStore.start(system.engineUrl);
  store.pause = { FEED: 600 };
  await system.startWorker({ PORTCULLIS_DYNAMODB_ENDPOINT: store.url });
  const { hostname, port } = system.workerUrl;
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(`GET /hello HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`);
  await eventually(() => store.count("FEED") > 0, "the reading has begun");
  socket.destroy();
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask()));
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  assert.equal(store.count("KEYS"), 1, "one reading for all of them");
  store.stop();
});

test("a look-up route with a feed that cannot be read asks the token's own rows", async () => {
  const store = await CountedStore.start(system.engineUrl);
  store.broken.add("FEED");
  const policy = JSON.parse(system.policy);
  policy.routes.push({ path: "/sure/*", access: "token", revocation: "lookup" });
  await system.startWorker({ PORTCULLIS_DYNAMODB_ENDPOINT: store.url, PORTCULLIS_POLICY: JSON.stringify(policy) });
  const sure = () => system.ask("/sure/thing", { headers: auth(token) });
  assert.equal((await sure()).status, 200);
  assert.equal(code(await ask()), "stale_snapshot");
  store.stop();
});

test("a cache and a counter that say nothing keep nobody waiting for good", async () => {
  const front = `
    import worker from "./index.js";
    const never = () => new Promise(() => {});
    Object.defineProperty(globalThis, "caches", { value: { open: async () => ({ match: never, put: never }) } });
    export default {
      fetch: (request, env, context) => worker.fetch(request, { ...env, RATE_LIMIT: { limit: never } }, context),
    };
  `;
  await system.startWorker({}, fronted(front));
  const answer = await ask();
  assert.equal(answer.status, 200, answer.text);
  assert.match(system.workerLog, /"rate_limit_failed","reason":"timeout"/);
});

test("garbage for a token is refused, whatever it is made of", async () => {
  await system.startWorker();
  const garbage = ["", ".", "..", "a.b.c", "é.é.é", "x".repeat(7_000), `${token}.`, token.slice(0, -1), `${token}=`];
  for (const text of garbage) {
    const header = Buffer.from(`Bearer ${text}`).toString("latin1");
    const answer = await system.ask("/hello", { headers: ["authorization", header] });
    assert.ok([400, 401].includes(answer.status), `${answer.status} for ${text.slice(0, 20)}`);
    assert.match(code(answer), /^[a-z0-9_]+$/);
  }
  const twice = await system.ask("/hello", { headers: [...auth(token), ...auth(token)] });
  assert.notEqual(twice.status, 200);
});

test("nothing of it left a trap in the log", async () => {
  assert.doesNotMatch(system.workerLog, /panicked|RuntimeError|trapped|hung|different request/);
});
