// Protected resources at the edge: their metadata (RFC 9728), the challenges that lead to it, and their audience
// (RFC 8707).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { scratch } from "./programs.mjs";
import { PASSWORD, System, auth, code } from "./system.mjs";

const API = "https://api.example";
const MCP = "https://api.example/mcp";
const WELL_KNOWN = "/.well-known/oauth-protected-resource";

let system;
const tokens = {};
before(async () => {
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  await Promise.all([system.startOrigin(), system.startHost(() => ({ PORTCULLIS_RESOURCES: MCP }))]);
  const policy = JSON.parse(system.policy);
  policy.issuers[0].audience = [API, MCP];
  policy.resource = API;
  policy.routes.push({ path: "/mcp/*", access: "token", scopes: ["tools"], scopes_any: ["read", "write"], resource: MCP });
  await system.startWorker({ PORTCULLIS_POLICY: JSON.stringify(policy) });
  const user = { email: "ada@example.com", password: PASSWORD };
  assert.equal((await system.post("/v1/register", user)).status, 201);
  for (const [name, resource] of [["api", API], ["mcp", MCP]]) {
    const login = await (await system.post("/v1/login", { ...user, resource })).json();
    tokens[name] = login.access_token;
  }
});
after(() => system.stop());

test("the edge publishes the metadata of each resource for every page, without a token and without the origin", async () => {
  for (const [path, expected] of [
    [WELL_KNOWN, { resource: API, scopes_supported: ["admin"] }],
    [`${WELL_KNOWN}/mcp`, { resource: MCP, scopes_supported: ["tools", "read", "write"] }],
  ]) {
    const answer = await system.ask(path, { headers: ["origin", "https://page.example"] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["access-control-allow-origin"], "*");
    assert.deepEqual(JSON.parse(answer.text), {
      authorization_servers: [system.issuer],
      bearer_methods_supported: ["header"],
      ...expected,
    });
    const preflight = await system.ask(path, {
      method: "OPTIONS",
      headers: ["origin", "https://page.example", "access-control-request-method", "GET"],
    });
    assert.deepEqual([preflight.status, preflight.headers["access-control-allow-headers"]], [204, "*"]);
    for (const method of ["POST", "DELETE"]) assert.equal(code(await system.ask(path, { method })), "unknown_route");
  }
});

test("no route of the origin answers at a metadata path in another spelling", async () => {
  for (const path of [`${WELL_KNOWN}/`, WELL_KNOWN.toUpperCase(), `${WELL_KNOWN}/MCP`, `${WELL_KNOWN}%20`]) {
    assert.equal(code(await system.ask(path, { headers: auth(tokens.api) })), "unknown_route", path);
  }
  const other = await system.ask(`${WELL_KNOWN}/other`, { headers: auth(tokens.api) });
  assert.equal(other.status, 200, "another path has the routes of the policy");
});

test("a challenge names the metadata and the scopes of the route", async () => {
  const challenge = async (path, token) => {
    const answer = await system.ask(path, { headers: token ? auth(token) : [] });
    return [answer.status, answer.headers["www-authenticate"]];
  };
  const of = (resource) => `resource_metadata="${API}${WELL_KNOWN}${resource}"`;
  assert.deepEqual(await challenge("/orders"), [401, `Bearer ${of("")}`]);
  assert.deepEqual(await challenge("/mcp/x"), [401, `Bearer ${of("/mcp")}, scope="tools read write"`]);
  const [status, denied] = await challenge("/mcp/x", tokens.mcp);
  assert.equal(status, 403);
  assert.match(denied, /^Bearer error="insufficient_scope", .*scope="tools read write", resource_metadata="[^"]*\/mcp"$/);
  assert.deepEqual((await challenge("/public/x"))[1], undefined);
});

test("a token for one resource is refused at another one", async () => {
  const at = async (path, token) => {
    const answer = await system.ask(path, { headers: auth(token) });
    return answer.status === 200 ? "allowed" : code(answer);
  };
  assert.equal(await at("/orders", tokens.api), "allowed");
  assert.equal(await at("/mcp/x", tokens.api), "wrong_audience");
  assert.equal(await at("/orders", tokens.mcp), "wrong_audience");
  assert.equal(await at("/mcp/x", tokens.mcp), "insufficient_scope", "its own resource, without the scope");
  assert.equal(await at("/MCP/x", tokens.mcp), "wrong_audience", "a twin needs both audiences");
});
