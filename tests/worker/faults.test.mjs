// The Worker without one of its dependencies: it fails closed with a stable error code, and recovers.

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

for (const origin of ["http://origin.example", "http://10.0.0.1:8789", "http://127.0.0.1.evil.example"]) {
  test(`with the origin ${origin}, without TLS beyond loopback, every request is 503`, async () => {
    await system.startWorker({ PORTCULLIS_ORIGIN: origin });
    for (const path of ["/hello", "/public/page"]) {
      const answer = await ask(path);
      assert.equal(answer.status, 503, answer.text);
      assert.equal(code(answer), "not_configured");
      assert.doesNotMatch(answer.text, /evil|10\.0/);
    }
  });
}

test("an invalid policy closes every route, and the response does not contain it", async () => {
  await system.startWorker({ PORTCULLIS_POLICY: '{"issuers": "sesame"}' });
  for (const path of ["/hello", "/public/page"]) {
    const answer = await ask(path);
    assert.equal(answer.status, 503, answer.text);
    assert.equal(code(answer), "not_configured");
    assert.doesNotMatch(answer.text, /sesame/);
  }
});

test("a cold Worker without its store fails closed, and recovers with the store", async () => {
  await system.engine.stop();
  await system.startWorker();
  const answer = await ask();
  assert.equal(answer.status, 503, answer.text);
  assert.equal(code(answer), "stale_snapshot");
  await system.startEngine();
  await system.untilStatus(token, 200, 20);
});

test("a warm Worker without its store serves from its snapshot within the staleness bound", async () => {
  await system.startWorker();
  assert.equal((await ask()).status, 200);
  await system.engine.stop();
  assert.equal((await ask()).status, 200);
  await system.startEngine();
});

test("an unreachable origin gives 502, and the Worker recovers", async () => {
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

test("a cold Worker serves concurrent requests, from their own read or a shared snapshot", async () => {
  await system.startWorker();
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask()));
  const statuses = answers.map((answer) => answer.status);
  assert.deepEqual(new Set(statuses), new Set([200]), statuses.join(" "));
});

test("a client that starts the first read and disconnects does not block the Worker", async () => {
  for (let round = 0; round < 5; round++) {
    await system.startWorker();
    const { hostname, port } = system.workerUrl;
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(`GET /hello HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`);
    // In some rounds the client disconnects before the Worker starts, in others during its read.
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    socket.destroy();
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask()));
    for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  }
});

test("a read continues after its client disconnects, and concurrent requests wait for it", async (t) => {
  const store = await CountedStore.start(system.engineUrl);
  t.after(() => store.stop());
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
  assert.equal(store.count("KEYS"), 1, "one read for all of them");
});

test("a lookup route reads the token's own rows when the feed is unavailable and its circuit breaker open", async (t) => {
  const store = await CountedStore.start(system.engineUrl);
  t.after(() => store.stop());
  const earlier = system.workerLog.length;
  store.broken.add("FEED");
  const policy = JSON.parse(system.policy);
  policy.routes.push({ path: "/sure/*", access: "token", revocation: "lookup" });
  await system.startWorker({ PORTCULLIS_DYNAMODB_ENDPOINT: store.url, PORTCULLIS_POLICY: JSON.stringify(policy) });
  const sure = () => system.ask("/sure/thing", { headers: auth(token) });
  const opened = () => system.workerLog.slice(earlier).includes("circuit breaker of dynamodb is open");
  const look = async () => {
    const answer = await sure();
    assert.equal(answer.status, 200, `${answer.text}\n${system.workerLog}`);
    assert.equal(code(await ask()), "stale_snapshot");
    return opened();
  };
  await eventually(look, "the failed reads of the feed open the circuit breaker", () => system.workerLog);
  assert.equal((await sure()).status, 200);
});

test("a cache and a rate limiter that never respond do not block a request", async () => {
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

test("a malformed bearer token is rejected, whatever its bytes", async () => {
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

test("no test of this file caused a wasm trap", async () => {
  assert.doesNotMatch(system.workerLog, /panicked|RuntimeError|trapped|hung|different request/);
});
