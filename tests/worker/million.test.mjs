// A site with a million live revocations: start-up time and memory of a cold isolate. The test prints
// the time and asserts the memory bound.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { BINARIES } from "./programs.mjs";
import { CountedStore } from "./store.mjs";
import { System, auth, fronted } from "./system.mjs";

const MILLION = 1_000_000;
const MINUTE = 60;
/** In bytes of linear memory, in addition to the module's use without revocations. */
const MOST_MEMORY = 8_000_000;

/** Runs before the Worker's own file, and keeps the memory of the new instance. */
const WATCHED = `
  import worker from "./index.js";
  export default {
    fetch(request, env, context) {
      if (new URL(request.url).pathname === "/memory") return new Response(String(globalThis.memory.buffer.byteLength));
      return worker.fetch(request, env, context);
    },
  };
`;
const WATCH = `
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (module, imports) {
    const instance = new Instance(module, imports);
    globalThis.memory = instance.exports.memory;
    return instance;
  };
`;

let system;
let store;
before(async () => {
  system = await System.start();
  store = await CountedStore.start(system.engineUrl);
});
after(async () => {
  await system.stop();
  store.stop();
});

async function startWorker(platform = {}) {
  const front = fronted(`import "./watch.js";${WATCHED}`, { "watch.js": WATCH });
  await system.startWorker({ PORTCULLIS_DYNAMODB_ENDPOINT: store.url }, { ...front, ...platform });
}

/** A million identifiers in packs of the last closed minutes. Replaces the existing packs. */
async function packAMillion() {
  // The host's clock may close the next minute meanwhile; then it must find nothing left to pack in this span.
  const to = Math.floor((Date.now() / 1000 - 5) / MINUTE) * MINUTE;
  const [from, until] = [to - 15 * MINUTE, to + 15 * MINUTE];
  await system.host.stop();
  const program = path.join(BINARIES, "revoked-million");
  const { stdout } = await promisify(execFile)(program, [MILLION, from, to, until].map(String), {
    maxBuffer: 64 * 1024 * 1024,
  });
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const span = lines.pop();
  const number = (value) => ({ N: String(value) });
  for (const { name, bytes } of lines) {
    const row = { PK: { S: `PACK#${name}` }, SK: { S: "PACK" }, names: { B: bytes }, ttl: number(until + 3_600) };
    await system.dynamo("PutItem", { Item: row });
  }
  const { names, parts } = span;
  const listed = { from, to, until, names };
  const map = Object.fromEntries(Object.entries(listed).map(([member, value]) => [member, number(value)]));
  const directory = {
    PK: { S: "PACKS" },
    SK: { S: "DIRECTORY" },
    version: number(1),
    spans: { L: [{ M: { ...map, parts: { L: parts.map((name) => ({ S: name })) } } }] },
  };
  await system.dynamo("PutItem", { Item: directory });
  return { names, packs: lines.length };
}

/** Processor time of workerd, our child process, in milliseconds. It does not depend on the load of the machine. */
function processorTime() {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  const texts = children.map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"));
  const [, fields] = texts.find((text) => text.includes("(workerd)")).split(") ");
  // Fields 14 and 15 of proc(5), in ticks of 10 ms.
  const [user, system] = fields.split(" ").slice(11, 13).map(Number);
  return (user + system) * 10;
}

/** The first requests of a cold isolate: their time in milliseconds, and the memory after them. */
async function coldStart(token, { requests = 1, ...platform } = {}) {
  await startWorker(platform);
  // Loads the module. The platform does this before an isolate's first request.
  await system.ask("/memory");
  store.forget();
  const [used, begun] = [processorTime(), performance.now()];
  const ask = () => system.ask("/hello", { headers: auth(token) });
  const answers = await Promise.all(Array.from({ length: requests }, ask));
  const took = performance.now() - begun;
  const cpu = processorTime() - used;
  for (const { status, text } of answers) assert.equal(status, 200, text);
  return { took, cpu, memory: Number((await system.ask("/memory")).text), reads: [...store.reads] };
}

test("a cold isolate holds a million revocations in less than 8 MB", { timeout: 300_000 }, async (t) => {
  const token = await system.logIn();
  const resourcePersistencePath = path.join(system.folder, "cache");
  const empty = await coldStart(token);
  const { names, packs } = await packAMillion();
  assert.ok(names > 0.999 * MILLION, `${names} identifiers differ in 32 bits`);
  const full = await coldStart(token, { resourcePersistencePath });
  store.replays = true;
  const quick = await coldStart(token);
  store.replays = false;
  const crowded = await coldStart(token, { requests: 20 });
  const near = await coldStart(token, { resourcePersistencePath });

  const show = ({ took, cpu, memory }) => `${took.toFixed(0)} ms, ${cpu} ms of processor, ${(memory / 1e6).toFixed(1)} MB`;
  t.diagnostic(`no revocation: ${show(empty)}`);
  t.diagnostic(`${names} identifiers in ${packs} packs from the local engine: ${show(full)}`);
  t.diagnostic(`the same from a store without latency: ${show(quick)}`);
  t.diagnostic(`the same for twenty concurrent requests: ${show(crowded)}`);
  t.diagnostic(`the same from the cache: ${show(near)}`);
  assert.equal(full.reads.filter((name) => name === "PACK").length, packs);
  assert.equal(quick.reads.filter((name) => name === "PACK").length, packs);
  assert.equal(crowded.reads.filter((name) => name === "PACK").length, packs, "one reads for all");
  assert.equal(near.reads.filter((name) => name === "PACK").length, 0, "the cache has them");
  for (const { memory } of [full, quick, crowded, near]) assert.ok(memory - empty.memory < MOST_MEMORY, `${memory} bytes`);
});
