// The corpus inside workerd: four signature backends, one set of results.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { Miniflare, convertV4MiniflareOptions } from "miniflare";

import { BINARIES, ROOT } from "./programs.mjs";

const BUILT = path.join(ROOT, "target/corpus-worker");
const WRANGLER = readFileSync(path.join(ROOT, "wrangler.toml"), "utf8");

let miniflare;

before(async () => {
  const options = convertV4MiniflareOptions({
    modules: [
      { type: "ESModule", path: path.join(BUILT, "index.js") },
      { type: "CompiledWasm", path: path.join(BUILT, "index.wasm") },
    ],
    modulesRoot: BUILT,
    compatibilityDate: WRANGLER.match(/compatibility_date = "(.*)"/)[1],
    cf: false,
  });
  miniflare = new Miniflare(options);
  await miniflare.ready;
});

after(() => miniflare?.dispose());

/** A file of the native run: the questions, or the results. */
async function native(corpus, ...flags) {
  const limits = { maxBuffer: 64 * 1024 * 1024 };
  const { stdout } = await promisify(execFile)(path.join(BINARIES, "corpus"), [corpus, ...flags], limits);
  return stdout;
}

/** Shows the first lines that differ, each with its question. */
function assertSame(answers, expected, questions) {
  const [ours, theirs, asked] = [answers, expected, questions].map((text) => text.split("\n"));
  const differ = theirs.flatMap((line, place) => (line === ours[place] ? [] : [place]));
  const shown = differ.slice(0, 20).map((place) => `${asked[place]}\n  workerd ${ours[place]}\n  native  ${theirs[place]}`);
  assert.equal(differ.length, 0, `${differ.length} answers differ:\n${shown.join("\n")}`);
  assert.equal(answers, expected);
}

for (const [corpus, least] of [
  ["signatures", 4_000],
  ["decisions", 100],
]) {
  for (const crypto of ["subtle", "portable"]) {
    test(`${corpus} by ${crypto} crypto gives the same results as the native build, byte for byte`, { timeout: 300_000 }, async () => {
      const [questions, expected] = await Promise.all([native(corpus), native(corpus, "--answers")]);
      assert.ok(questions.split("\n").length > least, "the corpus has fewer questions");
      const init = { method: "POST", body: questions };
      const response = await miniflare.dispatchFetch(`http://corpus.example/${corpus}/${crypto}`, init);
      assert.equal(response.status, 200, await response.clone().text());
      assertSame(await response.text(), expected, questions);
    });
  }
}
