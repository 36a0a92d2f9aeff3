// The Worker's entry point: passes each request to the Rust module, and responds itself after a trap.
//
// `panic = "abort"`: a trap ends the whole instance with all its requests in flight. The bindings
// start a new instance at the next call (`schedule_reinit`). This file responds to the requests of
// the old instance, which would otherwise hang until the runtime's timeout.

import * as portcullis from "./bindings.js";

/** Resolves the promise of each request in flight. */
const waiting = new Set();

addEventListener("error", (event) => endIfTrap(event.error));
addEventListener("unhandledrejection", (event) => endIfTrap(event.reason));

function endIfTrap(fault) {
  if (!isTrap(fault)) return;
  console.error("the module trapped and starts afresh");
  for (const fail of waiting) fail();
  waiting.clear();
}

/** A trap of the module (`unreachable`, out of bounds; a RangeError is a stack overflow). */
function isTrap(fault) {
  return fault instanceof WebAssembly.RuntimeError || fault instanceof RangeError;
}

// SECURITY: fails closed. A request without a decision is never forwarded to the origin.
function refusal(request) {
  const problem = {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    code: "internal_error",
  };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  // RFC 6797 §7.1; the value of `HSTS` in crates/core/src/transport_security.rs.
  if (request.url.startsWith("https:")) headers["strict-transport-security"] = "max-age=31536000";
  return new Response(JSON.stringify(problem), { status: 500, headers });
}

export default {
  async fetch(request, env, context) {
    let fail;
    const died = new Promise((resolve) => (fail = resolve));
    waiting.add(fail);
    try {
      const answer = await Promise.race([portcullis.fetch(request, env, context), died]);
      // Created here and not in the trap handler: a Response belongs to its own request.
      return answer ?? refusal(request);
    } catch (fault) {
      endIfTrap(fault);
      return refusal(request);
    } finally {
      waiting.delete(fail);
    }
  },
};
