// An edge of its own for the tests: it signs assertions with node:crypto and shares no code with packages/origin.

import { createHmac, createPrivateKey, sign } from "node:crypto";

export const NOON = 1_767_268_800;
export const ORIGIN = "https://origin.example";
export const SECRET = "0123456789abcdef0123456789abcdef";
export const NEXT_SECRET = "~an0ther-secret!of-the-s@me-edge~";

/** The key of RFC 8037, appendix A.1. */
export const ED25519 = {
  kid: "ed-1",
  alg: "EdDSA",
  kty: "OKP",
  crv: "Ed25519",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
};

/** The key of RFC 7517, appendix A.2. */
export const P256 = {
  kid: "ec-1",
  alg: "ES256",
  kty: "EC",
  crv: "P-256",
  x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  d: "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
};

/** The public half of a key. */
export function publicHalf({ d: _, ...key }) {
  return key;
}

/** The claims of an accepted request `GET /orders?page=2`, with changes. */
export function claims(changes = {}) {
  const usual = {
    aud: ORIGIN,
    iat: NOON,
    exp: NOON + 60,
    jti: "AQEBAQEBAQEBAQEBAQEBAQ",
    htm: "GET",
    htp: "/orders?page=2",
    host: "app.example",
    sub: "ada",
    token_iss: "https://issuer.example",
    scope: "orders:read orders:write",
    sid: "session-1",
    roles: ["editor", "chief, editor"],
  };
  return { ...usual, ...changes };
}

export function header(key, changes = {}) {
  const own = typeof key === "string" ? { alg: "HS256" } : { alg: key.alg, kid: key.kid };
  return { typ: "portcullis-assertion+jwt", ...own, ...changes };
}

export const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** The signature of the input; the key is a secret or a private JWK. */
export function signature(key, input) {
  if (typeof key === "string") return createHmac("sha256", key).update(input).digest("base64url");
  const made = createPrivateKey({ key, format: "jwk" });
  return key.kty === "OKP"
    ? sign(null, Buffer.from(input), made).toString("base64url")
    : sign("sha256", Buffer.from(input), { key: made, dsaEncoding: "ieee-p1363" }).toString("base64url");
}

export function assertion(key, payload = claims(), head = header(key)) {
  const input = `${encode(head)}.${encode(payload)}`;
  return `${input}.${signature(key, input)}`;
}
