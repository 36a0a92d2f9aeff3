// The whole system with injected faults between it and its database, and with a database that never responds.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { PASSWORD, System, auth, bearer, code } from "./system.mjs";
import { Program } from "./programs.mjs";

let system;
before(async () => {
  system = await System.start();
});
after(() => system.stop());

test("under injected store faults no response is wrong, and the system recovers", async () => {
  const args = ["chaos", "--listen", "127.0.0.1:0", "--upstream", `127.0.0.1:${system.enginePort}`, "--seed", "5"];
  const chaos = new Program("portcullis-local", args);
  const url = await chaos.until(() => chaos.log.match(/listens on (http:\S+)/)?.[1], "chaos listens");
  await system.host.stop();
  system.databaseUrl = url;
  await system.startHost();
  await system.startWorker();

  const allowed = (answer, ...right) => {
    if (answer.status === 503) {
      const wait = answer.headers.get?.("retry-after") ?? answer.headers["retry-after"];
      assert.match(wait, /^[0-9]+$/, "a 503 has Retry-After");
      return false;
    }
    assert.ok(right.includes(answer.status), `${answer.status}: ${answer.text ?? ""}`);
    return true;
  };
  const atLast = async (ask, ...right) => {
    for (let round = 0; round < 60; round++) {
      const answer = await ask();
      if (allowed(answer, ...right)) return answer;
      await sleep(300);
    }
    throw new Error("nothing but 503");
  };
  const live = async (number) => {
    const user = { email: `chaos${number}@example.com`, password: PASSWORD };
    await atLast(() => system.post("/v1/register", user), 201);
    await atLast(() => system.post("/v1/login", { ...user, password: "wrong horse battery" }), 401);
    const login = await atLast(() => system.post("/v1/login", user), 200);
    const { access_token: token } = await login.json();
    for (let round = 0; round < 10; round++) {
      await atLast(() => system.ask("/hello", { headers: auth(token) }), 200);
      allowed(await system.ask("/hello", { headers: auth(`${token}x`) }), 400, 401);
    }
    const init = { method: "POST", headers: bearer(token) };
    await atLast(() => fetch(`${system.hostUrl}/v1/logout`, init), 204);
  };
  // Several concurrent requests, so that calls can be reordered, until every kind of fault has occurred.
  let counts = {};
  const isTame = () => Object.values(counts).some((count) => count === 0);
  for (let round = 0; round === 0 || (round < 12 && isTame()); round++) {
    await Promise.all([0, 1, 2, 3].map((place) => live(round * 4 + place)));
    counts = await (await fetch(`${url}/chaos`)).json();
  }
  assert.ok(!isTame(), JSON.stringify(counts));

  await fetch(`${url}/chaos/stop`, { method: "POST" });
  await sleep(2_500);
  const token = await system.logIn();
  assert.equal((await system.ask("/hello", { headers: auth(token) })).status, 200);
  await system.host.stop();
  system.databaseUrl = undefined;
  await system.startHost();
  await chaos.stop();
});

// The Worker's timeout for a database call.
const TIME_OUT = 2_000;

test("the circuit breaker opens on store timeouts, and no further request waits for the store", async () => {
  let hanging = false;
  let hung = 0;
  const door = createServer((request, response) => {
    if (hanging) {
      hung += 1;
      return;
    }
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const { "x-amz-target": target, "content-type": type } = request.headers;
      const headers = { ...request.headers };
      for (const name of ["host", "connection", "content-length", "transfer-encoding"]) delete headers[name];
      const init = { method: "POST", headers: { ...headers, "x-amz-target": target, "content-type": type } };
      const answer = await fetch(system.engineUrl, { ...init, body: Buffer.concat(chunks) });
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") });
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
  }).listen(0, "127.0.0.1");
  await once(door, "listening");
  const policy = JSON.parse(system.policy.replaceAll("$PORTCULLIS_ISSUER", system.issuer));
  // Stale after one second, usable for ten minutes: each request would wait for a refresh.
  policy.revocations = { poll: 1, soft: 1, hard: 600 };
  policy.keys = { poll: 1, soft: 1, hard: 600 };
  await system.startWorker({
    PORTCULLIS_DYNAMODB_ENDPOINT: `http://127.0.0.1:${door.address().port}`,
    PORTCULLIS_POLICY: JSON.stringify(policy),
  });
  const token = await system.logIn();
  const ask = () => system.ask("/hello", { headers: auth(token) });
  assert.equal((await ask()).status, 200);

  hanging = true;
  await sleep(1_500);
  for (let round = 0; round < 8 && !/breaker of dynamodb is open/.test(system.workerLog); round++) {
    assert.equal((await ask()).status, 200);
  }
  assert.match(system.workerLog, /the circuit breaker of dynamodb is open/);
  const before = hung;
  let longest = 0;
  // Long enough for several probes; none gets a response.
  const end = Date.now() + 3 * TIME_OUT;
  for (let round = 0; round < 100 || Date.now() < end; round++) {
    const begun = Date.now();
    assert.equal((await ask()).status, 200);
    longest = Math.max(longest, Date.now() - begun);
    await sleep(20);
  }
  // A request that waits for the database takes at least the timeout.
  assert.ok(longest < TIME_OUT * 0.75, `a request took ${longest} ms`);
  assert.ok(hung > before, "no probe was sent");
  // Only probes are sent now, in the background: one for each interval.
  assert.ok(hung - before <= 10, `${hung - before} calls for hundreds of requests`);

  hanging = false;
  door.closeAllConnections();
  for (let round = 0; round < 60 && !/is closed/.test(system.workerLog); round++) {
    assert.equal((await ask()).status, 200);
    await sleep(200);
  }
  assert.match(system.workerLog, /the circuit breaker of dynamodb is closed/);
  door.close();
});
