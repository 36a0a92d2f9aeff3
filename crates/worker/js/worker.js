// The Worker's front: hands each request to the Rust module, and answers for it if that one dies.
//
// `panic = "abort"`: a trap ends the whole instance, with every request that still waits in it. The
// bindings start a new instance at the next call (`schedule_reinit`); this file sees to it that those
// who waited in the old one get an answer, not a connection that hangs until the runtime gives up.

import * as portcullis from "./bindings.js";

/** Ends the wait of each request in flight. */
const waiting = new Set();

addEventListener("error", (event) => endIfTrap(event.error));
addEventListener("unhandledrejection", (event) => endIfTrap(event.reason));

function endIfTrap(fault) {
  if (!isTrap(fault)) return;
  console.error("the module trapped and starts afresh");
  for (const fail of waiting) fail();
  waiting.clear();
}

/** A fault of the module itself (`unreachable`, out of bounds; a RangeError is its stack at an end). */
function isTrap(fault) {
  return fault instanceof WebAssembly.RuntimeError || fault instanceof RangeError;
}

// SECURITY: closed when in doubt. The origin is never asked on behalf of a request that was not judged.
function refusal() {
  const problem = {
    type: "about:blank",
    title: "Internal Server Error",
    status: 500,
    code: "internal_error",
  };
  return new Response(JSON.stringify(problem), {
    status: 500,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}

export default {
  async fetch(request, env, context) {
    let fail;
    const died = new Promise((resolve) => (fail = resolve));
    waiting.add(fail);
    try {
      const answer = await Promise.race([portcullis.fetch(request, env, context), died]);
      // Made here and not by the one that reports the death: a Response belongs to its own request.
      return answer ?? refusal();
    } catch (fault) {
      endIfTrap(fault);
      return refusal();
    } finally {
      waiting.delete(fail);
    }
  },
};
