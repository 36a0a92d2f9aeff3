// An MCP server of the official SDK behind the Worker. A client of the SDK finds the authorization server by the
// challenge, and calls a tool with a token for this resource.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import {
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
} from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";

import { Program, freePort, scratch } from "./programs.mjs";
import { PASSWORD, System, bearer } from "./system.mjs";

const user = { email: "ada@example.com", password: PASSWORD };
let system;
let server;
let resource;

/** An MCP server with one tool, which tells the caller that the edge has verified. */
async function startServer() {
  const answer = async (request, response) => {
    const mcp = new McpServer({ name: "notes", version: "1.0.0" });
    mcp.registerTool("whoami", { description: "Tells the caller" }, () => ({
      content: [{ type: "text", text: `${request.headers["x-auth-subject"]} ${request.headers.authorization}` }],
    }));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    response.on("close", () => transport.close());
    await mcp.connect(transport);
    await transport.handleRequest(request, response);
  };
  const listener = http.createServer(answer).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return listener;
}

before(async () => {
  server = await startServer();
  system = new System();
  system.folder = scratch();
  await system.startEngine();
  const port = await freePort();
  resource = `http://127.0.0.1:${port}/mcp`;
  await system.startHost((url) => ({ PORTCULLIS_ISSUER: url, PORTCULLIS_RESOURCES: `${resource},https://other.example` }));
  const policy = {
    issuers: [
      {
        issuer: system.hostUrl,
        audience: [resource, "https://other.example"],
        algorithms: ["EdDSA"],
        keys: "document",
        profile: "at+jwt",
      },
    ],
    routes: [{ path: "/mcp", access: "token", scopes: ["notes"], resource }],
  };
  await system.startWorker(
    {
      PORTCULLIS_ISSUER: system.hostUrl,
      PORTCULLIS_ORIGIN: `http://127.0.0.1:${server.address().port}`,
      PORTCULLIS_POLICY: JSON.stringify(policy),
    },
    { port },
  );
  assert.equal((await system.post("/v1/register", user)).status, 201);
  const terminal = new Program("portcullis", ["users", "grant", user.email, "--scope", "notes"], {
    ...system.hostSettings,
  });
  const [status] = await terminal.ended;
  assert.equal(status, 0, terminal.log);
});
after(async () => {
  await system.stop();
  server.close();
});

/** A token that the authorization server of the metadata issues for its resource. */
async function tokenFor(metadata) {
  const [issuer] = metadata.authorization_servers;
  const found = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
  assert.equal(found.issuer, issuer, "RFC 8414 §3.3");
  const login = await system.post("/v1/login", { ...user, resource: metadata.resource });
  return (await login.json()).access_token;
}

async function call(token) {
  const client = new Client({ name: "test", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(resource), { requestInit: { headers: bearer(token) } });
  try {
    await client.connect(transport);
    const tools = await client.listTools();
    assert.deepEqual(tools.tools.map((tool) => tool.name), ["whoami"]);
    const { content } = await client.callTool({ name: "whoami" });
    return content[0].text;
  } finally {
    await client.close();
  }
}

test("an MCP client finds the authorization server by the challenge and calls a tool behind the edge", async () => {
  const refused = await fetch(resource, { method: "POST" });
  assert.equal(refused.status, 401);
  const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(refused);
  assert.equal(scope, "notes");
  const metadata = await discoverOAuthProtectedResourceMetadata(resource, { resourceMetadataUrl });
  assert.equal(metadata.resource, resource);
  assert.deepEqual(metadata.scopes_supported, ["notes"]);
  // Without the challenge, the client finds the same document at the well-known address.
  assert.deepEqual(await discoverOAuthProtectedResourceMetadata(resource), metadata);
  const token = await tokenFor(metadata);
  const { sub } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.equal(await call(token), `${sub} undefined`, "the server sees the caller and no token");
});

test("an MCP client with a token for another resource or without a token is refused", async () => {
  const login = await system.post("/v1/login", { ...user, resource: "https://other.example" });
  const { access_token: token } = await login.json();
  for (const wrong of [token, "a.b.c"]) await assert.rejects(call(wrong), /401|Unauthorized/i);
  const refused = await fetch(resource, { method: "POST", headers: bearer(token) });
  assert.equal((await refused.json()).code, "wrong_audience");
  assert.match(refused.headers.get("www-authenticate"), /resource_metadata=/);
});
