// The identity assertion: a compact JWS (RFC 7515) of the edge about one request.

import { createHmac, timingSafeEqual, verify } from "node:crypto";

import { parseJson } from "./json.js";

const TYPE = "portcullis-assertion+jwt";
const MAX_LENGTH = 32 * 1024;
const MAX_LIFETIME = 60;
const MAX_KEY_ID_BYTES = 256;
// Members that change the meaning of the signature (RFC 7515 §4.1.11, RFC 7797 §3) or the source of the key.
const FORBIDDEN = ["b64", "crit", "cty", "jku", "jwk", "x5u", "zip"];

/** A refusal with its reason; no reason contains input of the client. */
export class Refusal extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** Returns the claims of `assertion` if it is valid for the request, else throws a `Refusal`. */
export async function verifyAssertion(assertion, { method, target }, options, findKey) {
  const now = options.now();
  const { header, claims, input, signature } = parse(assertion);
  // RFC 8725 §3.11: an explicit type, so that no other token of the same key passes as an assertion.
  check(header.typ === TYPE, "wrong_type");
  check(!FORBIDDEN.some((name) => Object.hasOwn(header, name)), "forbidden_header");
  check(header.kid === undefined || isKeyId(header.kid), "malformed");
  if (options.secrets) verifyMac(header, input, signature, options.secrets);
  else await verifySignature(header, input, signature, (kid) => findKey(kid, now));
  checkClaims(claims(), { method, target, now }, options);
  return claims();
}

function parse(assertion) {
  check(assertion.length <= MAX_LENGTH, "malformed");
  const parts = assertion.split(".");
  check(parts.length === 3, "malformed");
  const [header, payload, signature] = parts.map(decode);
  return {
    header: object(header),
    // Parsed after the signature is verified.
    claims: () => object(payload),
    input: Buffer.from(`${parts[0]}.${parts[1]}`, "ascii"),
    signature,
  };
}

/** Base64url without padding, in its one canonical form (RFC 4648 §3.5, §5). */
function decode(text) {
  const bytes = Buffer.from(text, "base64url");
  check(text !== "" && bytes.toString("base64url") === text, "malformed");
  return bytes;
}

function object(bytes) {
  let value;
  try {
    value = parseJson(bytes);
  } catch {
    throw new Refusal("malformed");
  }
  check(typeof value === "object" && value !== null && !Array.isArray(value), "malformed");
  return value;
}

// SECURITY: the configured key fixes the algorithm (RFC 8725 §3.1), never the header alone.
function verifyMac(header, input, signature, secrets) {
  check(header.alg === "HS256", "wrong_algorithm");
  let isValid = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(input).digest();
    // Every secret is compared, so the time does not tell which one is right.
    const isSame = signature.length === expected.length && timingSafeEqual(signature, expected);
    isValid = isSame || isValid;
  }
  check(isValid, "bad_signature");
}

async function verifySignature(header, input, signature, findKey) {
  check(header.alg === "EdDSA" || header.alg === "ES256", "wrong_algorithm");
  // Checked before the keys are read: such a header must not cause a request to the edge.
  check(typeof header.kid === "string", "unknown_key");
  const found = await findKey(header.kid);
  check(found !== "unavailable", "keys_unavailable");
  check(found !== "unknown", "unknown_key");
  check(header.alg === found.alg, "wrong_algorithm");
  // Node refuses another length than 64 bytes, and DER (RFC 8037 §3.1, RFC 7518 §3.4).
  const isValid =
    found.alg === "EdDSA"
      ? verify(null, input, found.key, signature)
      : verify("sha256", input, { key: found.key, dsaEncoding: "ieee-p1363" }, signature);
  check(isValid, "bad_signature");
}

function checkClaims(claims, { method, target, now }, { origin, leeway, hosts }) {
  const { aud, iat, exp, jti, htm, htp, host, sub, token_iss: issuer, scope, sid, roles } = claims;
  check(Number.isSafeInteger(iat) && Number.isSafeInteger(exp) && iat < exp, "bad_claims");
  check(isText(jti) && isText(host), "bad_claims");
  const hasSubject = sub !== undefined;
  check(isWholeIdentity(sub, issuer), "bad_claims");
  for (const claim of [scope, sid]) {
    check(claim === undefined || (hasSubject && typeof claim === "string"), "bad_claims");
  }
  check(roles === undefined || (hasSubject && isTexts(roles)), "bad_claims");
  check(aud === origin, "wrong_audience");
  check(exp - iat <= MAX_LIFETIME, "lifetime_too_long");
  check(iat - leeway <= now, "not_yet_valid");
  check(now < exp + leeway, "expired");
  check(htm === method, "wrong_method");
  // RFC 9112 §3.2: a request target has no fragment, so servers differ in its end.
  check(htp === target && !target.includes("#"), "wrong_target");
  check(!hosts || hosts.has(host.toLowerCase()), "wrong_host");
}

/** An identity is whole or absent, and its parts are not empty. */
export function isWholeIdentity(subject, issuer) {
  return subject === undefined ? issuer === undefined : isText(subject) && isText(issuer);
}

function isKeyId(value) {
  return isText(value) && Buffer.byteLength(value) <= MAX_KEY_ID_BYTES;
}

function isTexts(value) {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isText(value) {
  return typeof value === "string" && value !== "";
}

export function check(holds, reason) {
  if (!holds) throw new Refusal(reason);
}
