// Accepts a request only with a proof that it passed the Portcullis edge.

import { createHash, timingSafeEqual } from "node:crypto";

import { Refusal, check, isWholeIdentity, verifyAssertion } from "./assertion.js";
import { RemoteKeys } from "./keys.js";
import { parseOptions } from "./options.js";
import { deleteHeaders, values } from "./request.js";

const SECRET_HEADER = "x-portcullis-edge-secret";
const ASSERTION_HEADER = "x-portcullis-assertion";
const PROOFS = [SECRET_HEADER, ASSERTION_HEADER];

const PROBLEM = JSON.stringify({ type: "about:blank", title: "Forbidden", status: 403, code: "no_edge_proof" });
const PROBLEM_HEADERS = {
  "content-type": "application/problem+json",
  "cache-control": "no-store",
  "content-length": String(Buffer.byteLength(PROBLEM)),
};

/**
 * Middleware for Express and Connect. A request without a proof gets 403; an accepted one has its identity in
 * `req.portcullis`. The member `verifyRequest` does the same check without a response.
 */
export function edgeProof(options) {
  const verifyRequest = edgeVerifier(options);
  const middleware = (request, response, next) => {
    verifyRequest(request).then(({ accepted }) => {
      if (accepted) return next();
      response.writeHead(403, PROBLEM_HEADERS);
      response.end(PROBLEM);
    }).catch(next);
  };
  return Object.assign(middleware, { verifyRequest });
}

/**
 * The check alone, for `server.on("upgrade")` and servers without Connect. It returns a promise of
 * `{accepted: true, identity}` or `{accepted: false, reason}`, and never rejects.
 */
export function edgeVerifier(given) {
  const options = parseOptions(given);
  const { keys } = options;
  const remote = options.keysUrl && new RemoteKeys(options.keysUrl);
  const findKey = (kid, now) => (remote ? remote.find(kid, now) : (keys.get(kid) ?? "unknown"));
  const prove = options.mode === "secret" ? proveBySecret : proveByAssertion;
  // A proof is read once and then deleted; the same middleware may be mounted twice.
  const proven = new WeakMap();
  return async (request) => {
    try {
      const identity = proven.get(request) ?? Object.freeze(await prove(request, options, findKey));
      proven.set(request, identity);
      request.portcullis = identity;
      return { accepted: true, identity };
    } catch (error) {
      // Deny by default: a fault of ours is a refusal as well.
      const reason = error instanceof Refusal ? error.reason : "internal_error";
      delete request.portcullis;
      try {
        options.onRefused(reason, request);
      } catch {
        // A failing log must not change the answer.
      }
      return { accepted: false, reason };
    }
  };
}

/** Answers a refused upgrade request on its socket. */
export function refuseUpgrade(socket) {
  const lines = Object.entries(PROBLEM_HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  // A client that has already closed its side is no error of the app.
  socket.on("error", () => {});
  socket.end(`HTTP/1.1 403 Forbidden\r\nconnection: close\r\n${lines.join("")}\r\n${PROBLEM}`);
}

async function proveByAssertion(request, options, findKey) {
  const sent = values(request, ASSERTION_HEADER);
  const facts = { method: request.method, target: request.originalUrl ?? request.url };
  // Deleted first, also for a refused request: an app must not read an unproven identity, nor log a proof.
  deleteHeaders(request, [options.identityPrefix, "x-auth-", ...PROOFS]);
  const [assertion] = sent;
  check(assertion !== undefined, "no_assertion");
  check(sent.length === 1, "several_assertions");
  const claims = await verifyAssertion(assertion, facts, options, findKey);
  return {
    subject: claims.sub ?? null,
    issuer: claims.token_iss ?? null,
    scopes: scopes(claims.scope),
    roles: named(claims.roles ?? []),
    session: claims.sid ?? null,
    requestId: claims.jti,
    host: claims.host,
  };
}

async function proveBySecret(request, options) {
  const sent = values(request, SECRET_HEADER);
  deleteHeaders(request, PROOFS);
  const [secret] = sent;
  check(secret !== undefined, "no_secret");
  check(sent.length === 1, "several_secrets");
  check(isOneOf(secret, options.secrets), "wrong_secret");
  const only = (name) => {
    const [value, ...more] = values(request, name);
    check(more.length === 0, "duplicate_header");
    // Text beyond ASCII has no one decoding in a header (RFC 9110 §5.5).
    check(value === undefined || /^[\t\x20-\x7e]*$/.test(value), "bad_header");
    return value;
  };
  const identity = (name) => only(`${options.identityPrefix}${name}`);
  const host = only("x-forwarded-host");
  check(!options.hosts || options.hosts.has((host ?? "").toLowerCase()), "wrong_host");
  const [subject, issuer, session] = [identity("subject"), identity("issuer"), identity("session")];
  const granted = scopes(identity("scope"));
  const roles = decoded(identity("roles"));
  check(isWholeIdentity(subject, issuer), "bad_identity");
  check(subject !== undefined || (session === undefined && granted.length === 0 && roles.length === 0), "bad_identity");
  return {
    subject: subject ?? null,
    issuer: issuer ?? null,
    scopes: granted,
    roles,
    session: session ?? null,
    requestId: only("x-request-id") ?? null,
    host: host ?? null,
  };
}

/** Compares digests, so that neither the length nor the place of the first difference changes the time. */
function isOneOf(secret, secrets) {
  const digest = (value) => createHash("sha256").update(value).digest();
  const sent = digest(secret);
  let isKnown = false;
  for (const own of secrets) isKnown = timingSafeEqual(sent, digest(own)) || isKnown;
  return isKnown;
}

function scopes(scope = "") {
  return named(scope.split(" "));
}

/** The values of a header that the edge made: percent-encoded, separated by commas. */
function decoded(header = "") {
  try {
    return named(header.split(",").map(decodeURIComponent));
  } catch {
    throw new Refusal("bad_header");
  }
}

function named(names) {
  return Object.freeze(names.filter((name) => name !== ""));
}
