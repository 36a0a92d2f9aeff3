// Express with @portcullis/origin behind the built Worker: requests of the edge pass with their identity, and
// requests that go around the edge do not.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { after, before, test } from "node:test";

import express from "express";

import { edgeProof } from "../../packages/origin/index.js";
import { System, auth } from "./system.mjs";

const SECRET = "a~secret~of~the~edge~for~Express~alone";
const KEYS = "/.well-known/portcullis-assertion-keys";

let system;
let token;
before(async () => {
  system = await System.start({ bindings: {} });
  token = await system.logIn();
});
after(() => system.stop());

/** An Express app that accepts only requests with the proof; it answers with the identity. */
async function serve(t, options) {
  const refused = [];
  const app = express();
  let proof;
  app.use((request, response, next) => proof(request, response, next));
  app.all("/{*path}", (request, response) => response.json(request.portcullis));
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}`;
  const use = (more) => {
    proof = edgeProof({ ...options, ...more(url), onRefused: (reason) => refused.push(reason) });
  };
  return { url, use, refused };
}

const privateJwk = (type, options, kid, alg) =>
  ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), kid, alg });

for (const [name, bindings, options] of [
  ["the secret", { PORTCULLIS_EDGE_SECRET: SECRET }, () => ({ secrets: [SECRET], mode: "secret" })],
  [
    "an assertion under the secret",
    { PORTCULLIS_EDGE_SECRET: SECRET, PORTCULLIS_ORIGIN_PROOF: "assertion" },
    (origin) => ({ secrets: [SECRET], mode: "assertion", origin }),
  ],
  ...["EdDSA", "ES256"].map((alg) => [
    `an assertion with ${alg}, checked by the published keys`,
    {
      PORTCULLIS_ORIGIN_PROOF: "assertion",
      PORTCULLIS_ASSERTION_KEYS: JSON.stringify({
        keys: [
          alg === "EdDSA"
            ? privateJwk("ed25519", {}, "first", alg)
            : privateJwk("ec", { namedCurve: "P-256" }, "first", alg),
        ],
      }),
    },
    (origin) => ({ keysUrl: new URL(KEYS, system.workerUrl).href, origin }),
  ]),
]) {
  test(`Express accepts the edge alone, with ${name}`, async (t) => {
    const { url, use, refused } = await serve(t, {});
    await system.startWorker({ ...bindings, PORTCULLIS_ORIGIN: url });
    use(() => options(url));
    const own = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    // The last ones have a character that the platform escapes on the way to the origin, or does not.
    for (const path of ["/orders?page=2&q=%C3%A4+b", "/a/%E2%82%AC", "/who?", "/a^b|c", "/a?q='^|{}\u00c3\u00a4`", "/a?%zz"]) {
      for (const method of ["GET", "POST", "DELETE"]) {
        const answer = await system.ask(path, { method, headers: auth(token) });
        assert.equal(answer.status, 200, `${method} ${path}: ${answer.text} ${refused}`);
        const identity = JSON.parse(answer.text);
        assert.deepEqual([identity.subject, identity.issuer, identity.session], [own.sub, own.iss, own.sid]);
      }
    }
    const open = await system.ask("/public/who", { headers: ["x-auth-subject", "intruder"] });
    assert.equal(open.status, 200, open.text);
    assert.equal(JSON.parse(open.text).subject ?? null, null);
    const direct = [{}, { "x-auth-subject": own.sub }, { "x-portcullis-edge-secret": `${SECRET}x` }];
    for (const headers of direct) {
      const around = await fetch(`${url}/orders`, { headers });
      assert.equal(around.status, 403);
      assert.equal((await around.json()).code, "no_edge_proof");
    }
  });
}
