// The JavaScript entry of the Worker (`crates/worker/js/worker.js`) in workerd, over a module that traps on demand.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { Miniflare, convertV4MiniflareOptions } from "miniflare";

import { ROOT, eventually } from "./programs.mjs";

/** (module (func (export "trap") unreachable)) */
const TRAP = Buffer.from("0061736d01000000010401600000030201000708010474726170" + "00000a05010300000b", "hex");

/** Replaces the bindings of the Rust module: the same export, with the traps of a panic. */
const BINDINGS = `
  import module from "./trap.wasm";
  const { trap } = new WebAssembly.Instance(module).exports;
  let count = 0;
  export async function fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/trap") trap();
    // A task of the Rust module continues after an await in a microtask or a promise.
    if (pathname === "/later") return new Promise(() => setTimeout(() => queueMicrotask(trap), 50));
    if (pathname === "/behind") return new Promise(() => void Promise.resolve().then(trap));
    if (pathname === "/waiting") return new Promise((resolve) => setTimeout(resolve, 60_000, count++));
    if (pathname === "/count") return new Response(String(count));
    if (pathname === "/throws") throw new Error("no trap, but a secret text");
    return new Response("judged");
  }
`;

let worker;
let url;
before(async () => {
  const front = readFileSync(path.join(ROOT, "crates/worker/js/worker.js"), "utf8");
  const options = convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    modules: [
      { type: "ESModule", path: "worker.js", contents: front },
      { type: "ESModule", path: "bindings.js", contents: BINDINGS },
      { type: "CompiledWasm", path: "trap.wasm", contents: TRAP },
    ],
    compatibilityDate: readFileSync(path.join(ROOT, "wrangler.toml"), "utf8").match(/_date = "(.*)"/)[1],
    handleStructuredLogs: () => {},
  });
  worker = new Miniflare(options);
  url = await worker.ready;
});
after(() => worker.dispose());

const ask = (where) => fetch(new URL(where, url));

async function expectRefusal(answer) {
  assert.equal(answer.status, 500);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const problem = await answer.json();
  assert.equal(problem.code, "internal_error");
  assert.doesNotMatch(JSON.stringify(problem), /secret/);
}

for (const where of ["/trap", "/later", "/behind", "/throws"]) {
  test(`${where} gives 500 with a stable code, and the next request is served`, async () => {
    await expectRefusal(await ask(where));
    assert.equal(await (await ask("/well")).text(), "judged");
  });
}

test("a wasm trap ends every pending request with a response, and none hangs", { timeout: 20_000 }, async () => {
  for (const [round, how] of ["/later", "/trap"].entries()) {
    const waiting = ["/waiting", "/waiting", "/waiting"].map(ask);
    const counted = async () => (await (await ask("/count")).text()) === String(3 * (round + 1));
    await eventually(counted, "all three wait");
    for (const answer of await Promise.all([...waiting, ask(how)])) await expectRefusal(answer);
  }
  assert.equal(await (await ask("/well")).text(), "judged");
});

test("the response to a trap has Strict-Transport-Security over https only", async () => {
  for (const where of ["/trap", "/throws"]) {
    for (const [scheme, value] of [["https", "max-age=31536000"], ["http", null]]) {
      const answer = await worker.dispatchFetch(`${scheme}://edge.example${where}`);
      assert.equal(answer.headers.get("strict-transport-security"), value);
      await expectRefusal(answer);
    }
  }
  const rules = readFileSync(path.join(ROOT, "crates/core/src/transport_security.rs"), "utf8");
  assert.match(rules, /HSTS: &str = "max-age=31536000";/);
});
