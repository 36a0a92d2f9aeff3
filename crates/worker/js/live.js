// Responses that can outlive the token of their request: WebSockets and streams. Their bytes stay in the platform and
// never pass the Rust module.

/** A response of at most this many bytes ends by itself. */
const SHORT = 1 << 20;

/**
 * The response to send in place of `response`. It ends when `controller` aborts, and aborts it when it ends by
 * itself. `undefined` if `response` cannot outlive the token.
 */
export function hold(response, controller, closeCode) {
  if (response.webSocket) return bridge(response, controller, closeCode);
  const { body, headers } = response;
  const length = headers.get("content-length");
  if (!body || (length !== null && length <= SHORT)) return undefined;
  // The platform decodes the body for the pipe and encodes it again, so the length of the origin does not count.
  const isEncoded = headers.has("content-encoding");
  const keepsLength = length !== null && !isEncoded;
  const pipe = keepsLength ? new FixedLengthStream(Number(length)) : new IdentityTransformStream();
  const end = () => controller.abort();
  body.pipeTo(pipe.writable, { signal: controller.signal }).then(end, end);
  const held = new Response(pipe.readable, response);
  if (isEncoded) held.headers.delete("content-length");
  return held;
}

/** Ends the response of `controller` unless it is called again within `seconds`. */
export function renew(controller, seconds) {
  clearTimeout(controller.lease);
  controller.lease = setTimeout(() => controller.abort(), seconds * 1000);
}

/** Resolves when `controller` aborts. */
export function aborted(controller) {
  return new Promise((resolve) =>
    controller.signal.addEventListener("abort", () => {
      clearTimeout(controller.lease);
      resolve();
    }),
  );
}

function bridge(response, controller, closeCode) {
  const origin = response.webSocket;
  const [client, edge] = Object.values(new WebSocketPair());
  for (const [from, to] of [
    [origin, edge],
    [edge, origin],
  ]) {
    const end = (code, reason) => {
      close(to, code, reason);
      close(from, code, reason);
      controller.abort();
    };
    from.binaryType = "arraybuffer";
    from.addEventListener("message", ({ data }) => {
      try {
        to.send(data);
      } catch {
        end(1011);
      }
    });
    from.addEventListener("close", ({ code, reason }) => end(code, reason));
    from.addEventListener("error", () => end(1011));
    from.accept();
  }
  controller.signal.addEventListener("abort", () => {
    for (const socket of [edge, origin]) close(socket, closeCode, "the token has ended");
  });
  return new Response(null, { status: 101, webSocket: client, headers: response.headers });
}

/** Closes a socket unless it is closed. RFC 6455 §7.4.1: 1005, 1006 and 1015 are never sent. */
function close(socket, code, reason) {
  try {
    if (code === 1005) socket.close();
    else socket.close(code === 1006 || code === 1015 ? 1011 : code, reason);
  } catch {
    // It is closed.
  }
}
