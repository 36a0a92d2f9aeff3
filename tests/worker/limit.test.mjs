// The platform's rate limit: by network, before any other work for a request.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { ROOT } from "./programs.mjs";
import { System, code } from "./system.mjs";

const LIMIT = 5;
const PERIOD = 60;
const LIMITED = { ratelimits: { RATE_LIMIT: { namespace_id: "1001", simple: { limit: LIMIT, period: PERIOD } } } };

let system;
before(async () => {
  system = await System.start({ platform: LIMITED });
});
after(() => system.stop());

/** The platform's counter restarts with each period. A test that spans two periods is retried on a new counter. */
function testInOnePeriod(name, body) {
  const period = () => Math.floor(Date.now() / (PERIOD * 1000));
  test(name, async () => {
    for (;;) {
      const begun = period();
      try {
        return await body();
      } catch (fault) {
        if (period() === begun) throw fault;
        await system.startWorker({}, LIMITED);
      }
    }
  });
}

const from = (address, where = "/public/page") => system.ask(where, { headers: ["cf-connecting-ip", address] });

async function statuses(count, next, where) {
  const all = [];
  for (let place = 0; place < count; place += 1) all.push((await from(next(place), where)).status);
  return all;
}

const passing = (count) => Array(count).fill(200);

testInOnePeriod("more than the limit from one address is 429, and another address still passes", async () => {
  assert.deepEqual(await statuses(LIMIT, () => "203.0.113.7"), passing(LIMIT));
  const answer = await from("203.0.113.7");
  assert.equal(answer.status, 429);
  assert.equal(answer.headers["retry-after"], String(PERIOD));
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
  const problem = JSON.parse(answer.text);
  assert.equal(problem.code, "rate_limited");
  assert.equal(problem.status, 429);
  assert.equal(problem.retry_after, PERIOD);
  assert.equal(problem.request_id, answer.headers["x-request-id"]);
  // An IPv4-mapped IPv6 address counts as the IPv4 address.
  assert.equal((await from("::ffff:203.0.113.7")).status, 429);
  assert.equal((await from("203.0.113.8")).status, 200);
});

testInOnePeriod("addresses of one /64 share the limit, the next /64 has its own", async () => {
  assert.deepEqual(await statuses(LIMIT, (place) => `2001:db8:1:2::${place + 1}`), passing(LIMIT));
  assert.equal((await from("2001:db8:1:2:ffff:ffff:ffff:ffff")).status, 429);
  assert.equal((await from("2001:db8:1:3::1")).status, 200);
});

testInOnePeriod("values that are no IP address share one rate limit", async () => {
  const names = ["unknown", "203.0.113", "198.51.100.7:80", "[::1]", "x".repeat(500)];
  assert.deepEqual(await statuses(LIMIT, (place) => names[place]), passing(LIMIT));
  assert.equal((await from("nonsense")).status, 429);
});

testInOnePeriod("refused requests count too, and beyond the limit nothing is said of path or token", async () => {
  assert.deepEqual(await statuses(LIMIT, () => "198.51.100.1", "/hello"), Array(LIMIT).fill(401));
  for (const where of ["/hello", "/a%2fb", "/public/page"]) {
    const answer = await from("198.51.100.1", where);
    assert.equal(code(answer), "rate_limited", where);
    assert.equal(answer.headers["www-authenticate"], undefined);
  }
});

test("a failing rate limiter fails open and is logged", async () => {
  // A binding of this name that is no rate limiter: a call fails as with an unreachable one.
  await system.startWorker({ RATE_LIMIT: "no counter" });
  assert.equal((await from("203.0.113.7")).status, 200);
  assert.equal((await from("203.0.113.7", "/hello")).status, 401);
  assert.match(system.workerLog, /rate_limit_failed/);
});

test("without the rate limit binding no request is limited", async () => {
  await system.startWorker();
  assert.deepEqual(await statuses(4 * LIMIT, () => "203.0.113.7"), passing(4 * LIMIT));
});

test("an unsupported rate limit period closes every route", async () => {
  await system.startWorker({ PORTCULLIS_RATE_PERIOD: "30" });
  const answer = await from("203.0.113.7");
  assert.equal(answer.status, 503);
  assert.equal(code(answer), "not_configured");
  assert.match(system.workerLog, /PORTCULLIS_RATE_PERIOD must be 10 or 60/);
});

test("wrangler.toml sets the rate limit binding, and the same period for the Worker", () => {
  const wrangler = readFileSync(path.join(ROOT, "wrangler.toml"), "utf8");
  const [, limit, period] = wrangler.match(/name = "RATE_LIMIT"[^]*?simple = { limit = (\d+), period = (\d+) }/);
  assert.ok(Number(limit) > 0);
  assert.equal(wrangler.match(/PORTCULLIS_RATE_PERIOD = "(\d+)"/)[1], period);
});
