// The public keys of the edge: a JWK Set (RFC 7517), given or read from a URL.

import { createPublicKey } from "node:crypto";

/** Seconds until the keys are read again in the background; the edge's `max-age`. */
const FRESH = 300;
/** Seconds for which the last keys are used while their URL fails. Later every request is refused. */
const MAX_AGE = 3600;
/** Seconds between two reads: unknown key ids must not let a client cause requests to the edge. */
const COOL_DOWN = 10;
const TIMEOUT_MS = 5000;
const MAX_BYTES = 64 * 1024;
const MAX_KEYS = 16;

/** The key parameters of each algorithm (RFC 8037 §2, RFC 7518 §6.2.1). */
const ALGORITHMS = {
  EdDSA: { kty: "OKP", crv: "Ed25519", coordinates: ["x"] },
  ES256: { kty: "EC", crv: "P-256", coordinates: ["x", "y"] },
};

/** The keys of a JWK Set by `kid`. Throws if any member is not a public key of a known algorithm. */
export function parseKeys(set) {
  const keys = set?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    throw new TypeError(`edgeProof: keys must be a JWK Set with 1 to ${MAX_KEYS} keys`);
  }
  const parsed = new Map();
  for (const jwk of keys) {
    const { kid, alg, kty, crv, d } = jwk ?? {};
    const algorithm = Object.hasOwn(ALGORITHMS, String(alg)) ? ALGORITHMS[alg] : undefined;
    check(typeof kid === "string" && kid !== "" && !parsed.has(kid), "each key needs a kid of its own");
    check(algorithm && kty === algorithm.kty && crv === algorithm.crv, "each key must be EdDSA (Ed25519) or ES256 (P-256)");
    check(d === undefined, "the keys must be public: remove d");
    const coordinates = algorithm.coordinates.map((name) => [name, jwk[name]]);
    check(coordinates.every(([, value]) => typeof value === "string"), "a key has no coordinates");
    let key;
    try {
      key = createPublicKey({ key: { kty, crv, ...Object.fromEntries(coordinates) }, format: "jwk" });
    } catch {
      check(false, "a key is not on its curve");
    }
    parsed.set(kid, { alg, key });
  }
  return parsed;
}

/** The keys at a URL, cached. */
export class RemoteKeys {
  #url;
  #keys = new Map();
  #readAt = -Infinity;
  #triedAt = -Infinity;
  #reading;

  constructor(url) {
    this.#url = url;
  }

  /** The key, `"unknown"`, or `"unavailable"` if there are no keys young enough to decide. */
  async find(kid, now) {
    const age = now - this.#readAt;
    const isUsable = age >= 0 && age < MAX_AGE;
    const cached = isUsable ? this.#keys.get(kid) : undefined;
    if (cached === undefined) {
      await this.#read(now);
    } else if (age >= FRESH) {
      // In the background: a request with a known key does not wait.
      void this.#read(now);
      return cached;
    } else {
      return cached;
    }
    const readAge = now - this.#readAt;
    if (readAge >= MAX_AGE || readAge < 0) return "unavailable";
    return this.#keys.get(kid) ?? "unknown";
  }

  /** Reads once for all requests that wait, and not during the cool-down. It never rejects. */
  #read(now) {
    if (this.#reading) return this.#reading;
    // A clock that was set back must not prolong the cool-down.
    if (now >= this.#triedAt && now - this.#triedAt < COOL_DOWN) return Promise.resolve();
    this.#triedAt = now;
    this.#reading = download(this.#url)
      .then((keys) => {
        this.#keys = keys;
        this.#readAt = now;
      })
      .catch(() => {})
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}

async function download(url) {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error("the keys are unavailable");
  }
  const chunks = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new Error("the key document is too long");
    chunks.push(chunk);
  }
  return parseKeys(JSON.parse(Buffer.concat(chunks).toString("utf8")));
}

function check(holds, message) {
  if (!holds) throw new TypeError(`edgeProof: ${message}`);
}
