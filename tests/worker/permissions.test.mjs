// Scopes from the operator's command to the Worker: a grant with the next token, a revoke within the bound.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Program } from "./programs.mjs";
import { PASSWORD, System, auth, code, received } from "./system.mjs";

let system;
before(async () => {
  system = await System.start();
});
after(() => system.stop());

async function operator(...args) {
  const terminal = new Program("portcullis", ["users", ...args], system.hostSettings);
  const [status] = await terminal.ended;
  assert.equal(status, 0, terminal.log);
}

/** The session of a new user, which can be refreshed. */
async function newSession(email) {
  const user = { email, password: PASSWORD };
  assert.equal((await system.post("/v1/register", user)).status, 201);
  const tokens = await (await system.post("/v1/login", user)).json();
  return {
    ...tokens,
    async refresh() {
      const { refresh_token } = this;
      const body = new URLSearchParams({ grant_type: "refresh_token", client_id: "portcullis", refresh_token });
      const answer = await fetch(`${system.hostUrl}/oauth2/token`, { method: "POST", body });
      assert.equal(answer.status, 200);
      Object.assign(this, await answer.json());
    },
  };
}

const admin = (token) => system.ask("/admin/", { headers: auth(token) });

test("a granted scope opens the admin route at the next token; a revoke closes it within the bound, and the session lives on", async () => {
  const email = "grace@example.com";
  const session = await newSession(email);
  assert.equal(code(await admin(session.access_token)), "insufficient_scope");
  await operator("grant", email, "--scope", "admin", "--scope", "read");
  assert.equal(code(await admin(session.access_token)), "insufficient_scope", "the earlier token has no scope");
  await session.refresh();
  const opened = await admin(session.access_token);
  assert.equal(opened.status, 200, opened.text);
  assert.equal(received(opened).get("x-auth-scope"), "admin read");

  const former = session.access_token;
  await operator("revoke", email, "--scope", "admin");
  // 10 s is the promise; the margin is for this machine.
  const seconds = await system.untilStatus(former, 401, 12);
  assert.ok(seconds <= 12, `${seconds} s`);
  assert.equal(code(await admin(former)), "revoked");
  await session.refresh();
  assert.equal(code(await admin(session.access_token)), "insufficient_scope");
  const other = await system.ask("/hello", { headers: auth(session.access_token) });
  assert.equal(other.status, 200, "a token that was issued after the revoke is never refused");
  assert.equal(received(other).get("x-auth-scope"), "read");
});
