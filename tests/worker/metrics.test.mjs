// The metrics of an isolate, once a minute: a log line, and a data point if there is a dataset.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { eventually } from "./programs.mjs";
import { CountedStore } from "./store.mjs";
import { System, auth, code, fronted } from "./system.mjs";

/** A Worker with a controllable clock and a readable dataset. */
const FRONT = `
  import worker from "./index.js";
  const clock = Date.now;
  const points = [];
  let ahead = 0;
  Date.now = () => clock() + ahead;
  const METRICS = { writeDataPoint: (point) => void points.push(point) };
  export default {
    async fetch(request, env, context) {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/ahead") ahead += 1000 * Number(searchParams.get("seconds"));
      else if (pathname === "/points") return Response.json(points);
      else return worker.fetch(request, { ...env, METRICS }, context);
      return new Response();
    },
  };
`;

let system;
let store;
before(async () => {
  system = await System.start();
  store = await CountedStore.start(system.engineUrl);
});
beforeEach(() => store.broken.clear());
after(async () => {
  await system.stop();
  store.stop();
});

async function startWorker(policy, platform = fronted(FRONT)) {
  const bindings = { PORTCULLIS_DYNAMODB_ENDPOINT: store.url, PORTCULLIS_POLICY: JSON.stringify(policy) };
  system.workerLog = "";
  await system.startWorker(bindings, platform);
}

const lines = () =>
  system.workerLog
    .split("\n")
    .filter((line) => line.includes('"event":"metrics"'))
    .map((line) => JSON.parse(line.slice(line.indexOf("{"))));

const points = async () => JSON.parse((await system.ask("/points")).text);

test("once a minute an isolate reports the snapshot age of its accepted requests", async () => {
  const policy = JSON.parse(system.policy);
  policy.revocations = { poll: 5, soft: 10, hard: 30 };
  policy.keys = { poll: 5, soft: 10, hard: 30 };
  policy.routes.push({ path: "/stale/*", access: "token", serve_stale: 3600 });
  policy.routes.push({ path: "/sure/*", access: "token", revocation: "lookup" });
  await startWorker(policy);
  const token = await system.logIn();
  const ask = (where) => system.ask(where, { headers: auth(token) });
  assert.equal((await ask("/hello")).status, 200);
  assert.equal((await ask("/sure/thing")).status, 200);
  assert.deepEqual(lines(), [], "not before a minute has passed");

  // The store is unavailable: the snapshot ages, and one route serves it beyond the bound.
  for (const name of ["KEYS", "FEED", "PACKS"]) store.broken.add(name);
  await system.ask("/ahead?seconds=45");
  assert.equal((await ask("/stale/page")).status, 200);
  assert.equal(code(await ask("/hello")), "stale_snapshot");
  await system.ask("/ahead?seconds=20");
  assert.equal((await ask("/stale/page")).status, 200);
  const [line] = await eventually(() => lines().length && lines(), "a line", () => system.workerLog);
  assert.ok(line.seconds >= 65 && line.seconds < 75, JSON.stringify(line));
  assert.equal(line.admitted, 4);
  assert.equal(line.served_stale, 2);
  assert.ok(line.revocations_age_max >= 65 && line.keys_age_max >= 65, JSON.stringify(line));
  assert.ok(line.readings >= 2 && line.readings_failed >= 1 && line.readings > line.readings_failed);
  assert.equal(line.look_ups, 1);
  assert.ok(line.read_half_units >= 8, JSON.stringify(line));
  assert.ok(line.calls > line.failures && line.failures > 0);
  const [point] = await points();
  assert.deepEqual(point.doubles, Object.values(line).slice(1), "the same numbers in the same order");

  // A reported value is not reported again, and a minute without requests is reported as such.
  store.broken.clear();
  await system.ask("/ahead?seconds=61");
  await ask("/hello");
  const [, next] = await eventually(() => lines().length > 1 && lines(), "a second line", () => system.workerLog);
  assert.equal(next.look_ups, 0);
  assert.equal(next.served_stale, 0);
});

test("the platform's dataset accepts the data point", async () => {
  const policy = JSON.parse(system.policy);
  const front = FRONT.replace("{ ...env, METRICS }", "env");
  await startWorker(policy, { ...fronted(front), analyticsEngineDatasets: { METRICS: { dataset: "portcullis" } } });
  const token = await system.logIn();
  for (let turn = 0; turn < 2; turn += 1) {
    assert.equal((await system.ask("/hello", { headers: auth(token) })).status, 200);
    await system.ask("/ahead?seconds=61");
  }
  assert.equal((await system.ask("/hello", { headers: auth(token) })).status, 200);
  await eventually(() => lines().length > 0, "a line", () => system.workerLog);
  assert.doesNotMatch(system.workerLog, /panicked|RuntimeError|TypeError/);
});
