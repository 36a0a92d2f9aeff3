// The JSON Schema of the policy: it is valid draft 2020-12, the parser of the edge and the schema accept the same examples,
// and the schema refuses what an editor must mark.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import Ajv from "ajv/dist/2020.js";

import { BINARIES, ROOT } from "../worker/programs.mjs";

const folder = mkdtempSync(path.join(tmpdir(), "portcullis-schema-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const read = (name) => readFileSync(path.join(ROOT, name), "utf8");
const validate = new Ajv({ strict: true, strictRequired: false, allErrors: true }).compile(
  JSON.parse(read("docs/reference/policy.schema.json")),
);

/** The JSON that the CLI builds, so the parser of the edge accepts the policy. */
function built(name, text) {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return JSON.parse(execFileSync(path.join(BINARIES, "portcullis"), ["policy", "build", file], { env: {}, stdio: "pipe" }));
}

function accepted(policy) {
  return validate(policy) ? [] : validate.errors;
}

const MINIMAL = {
  issuers: [{ issuer: "https://us", audience: "api", algorithms: "EdDSA", keys: "document", profile: "at+jwt" }],
  routes: [{ path: "/*", access: "token" }],
};

test("the example, the policies of the documentation and of wrangler.toml validate", () => {
  const policies = [["example.toml", read("examples/policy/portcullis.toml")]];
  // Indented blocks and fences of docs/policy.md that are whole policies.
  for (const [at, block] of read("docs/policy.md").split(/\n(?=\S)/).entries()) {
    const text = block.replaceAll(/^ {4}/gm, "");
    const json = text.indexOf("\n{\n");
    if (json >= 0) policies.push([`docs-${at}.json`, text.slice(json)]);
    const toml = text.indexOf("\n[[issuers]]\n");
    if (toml >= 0) policies.push([`docs-${at}.toml`, text.slice(toml)]);
  }
  policies.push(["wrangler.json", read("wrangler.toml").match(/PORTCULLIS_POLICY = '''\n([^']*)'''/)[1]]);
  assert.ok(policies.length >= 4, "the documentation has a policy in TOML and in JSON");
  for (const [name, text] of policies) assert.deepEqual(accepted(built(name, text)), [], name);
});

test("a policy with every member validates and is one for the parser", () => {
  const cors = { origins: ["https://app.example"], methods: ["GET"], headers: "x-a", expose: ["x-b"], credentials: true, max_age: 86400 };
  const key = { kty: "OKP", crv: "Ed25519", kid: "a", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
  const full = {
    issuers: [{ ...MINIMAL.issuers[0], keys: { keys: [key] }, leeway: 60, max_lifetime: 86400, max_age: 5 }],
    routes: [
      { path: "/a/*", methods: ["GET", "M-SEARCH"], access: "token", scopes: ["a", "b"], revocation: "lookup", serve_stale: 3600 },
      { path: "/b", access: "open", exact: true, encoded_slash: true, upgrade: true, cors },
      { path: "/c", access: "open", cors: false },
    ],
    format_suffixes: [".json"],
    cors,
    revocations: { poll: 1, soft: 1, hard: 3600 },
    keys: { poll: 60, soft: 300, hard: 600 },
    strip_token: false,
    headers: { identity_prefix: "x-me-", pass: "x-host", drop: ["x-tenant"], forwarded: true, open_authorization: true },
  };
  assert.deepEqual(accepted(built("full.json", JSON.stringify(full))), []);
});

test("the schema and the parser refuse the same mistakes", () => {
  const route = (change) => ({ ...MINIMAL, routes: [{ ...MINIMAL.routes[0], ...change }] });
  const issuer = (change) => ({ ...MINIMAL, issuers: [{ ...MINIMAL.issuers[0], ...change }] });
  const mistakes = [
    { ...MINIMAL, more: 1 }, { routes: [] }, { ...MINIMAL, issuers: [] }, { ...MINIMAL, format_suffixes: "json" },
    { ...MINIMAL, keys: { poll: 0 } }, { ...MINIMAL, revocations: { hard: 3601 } }, { ...MINIMAL, strip_token: "yes" },
    { ...MINIMAL, headers: { prefix: "x-" } }, { ...MINIMAL, headers: { identity_prefix: "x" } }, { ...MINIMAL, cors: {} },
    { ...MINIMAL, cors: { origins: [] } }, { ...MINIMAL, cors: { origins: "*", max_age: 86401 } }, { ...MINIMAL, cors: false },
    route({ access: "opne" }), route({ scope: "a" }), route({ path: 1 }), route({ path: "a" }), route({ methods: [] }),
    route({ methods: "get" }), route({ methods: "TRACE" }), route({ revocation: "Feed" }), route({ serve_stale: 3601 }),
    route({ exact: "true" }), route({ cors: true }), route({ upgrade: 1 }), route({ scopes: [1] }), route({ serve_stale: -1 }),
    issuer({ profile: "lenient" }), issuer({ leeway: 61 }), issuer({ max_lifetime: 0 }), issuer({ max_lifetime: 86401 }),
    issuer({ algorithms: ["none"] }), issuer({ algorithms: [] }), issuer({ audience: "" }), issuer({ audience: [] }),
    issuer({ keys: "documents" }), issuer({ keys: { keys: [] } }), issuer({ issuer: "" }), issuer({ leeway: 1.5 }),
  ];
  for (const policy of mistakes) {
    const text = JSON.stringify(policy);
    assert.notDeepEqual(accepted(policy), [], text);
    assert.throws(() => built("mistake.json", text), { status: 1 }, text);
  }
});
