// Makes tests/vectors/assertion/*.json: `node tests/origin/vectors.mjs`.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as signer from "./signer.mjs";

const { NOON, ORIGIN, SECRET, NEXT_SECRET, ED25519, P256 } = signer;
const FOLDER = new URL("../vectors/assertion/", import.meta.url);
const JWKS = { keys: [ED25519, P256].map(signer.publicHalf) };
const OTHER_ALGORITHM = { HS256: "EdDSA", EdDSA: "ES256", ES256: "EdDSA" };

/** The cases of one algorithm. */
export function vectors(alg) {
  const key = { HS256: SECRET, EdDSA: ED25519, ES256: P256 }[alg];
  const configured = alg === "HS256" ? { secret: SECRET } : { jwks: JWKS };
  const facts = { now: NOON, origin: ORIGIN, method: "GET", target: "/orders?page=2" };
  const vector = (name, assertion, accepted, changes = {}) => ({ name, ...configured, ...facts, ...changes, assertion, accepted });
  const claimed = (name, changes, accepted = false) => vector(name, signer.assertion(key, signer.claims(changes)), accepted);
  const headed = (name, changes) => vector(name, signer.assertion(key, signer.claims(), signer.header(key, changes)), false);
  const valid = signer.assertion(key);
  const [head, payload, signature] = valid.split(".");
  const anonymous = { sub: undefined, token_iss: undefined, scope: undefined, sid: undefined };
  const post = signer.assertion(key, signer.claims({ htm: "POST", htp: "/" }));
  const escaped = signer.assertion(key, signer.claims({ htp: "/a%2Fb/%C3%A9/?x=%20&&y" }));

  const cases = [
    vector("a valid assertion with an identity", valid, true),
    claimed("a valid assertion without an identity", anonymous, true),
    claimed("a valid assertion without scope and session", { scope: undefined, sid: undefined }, true),
    vector("another method and the root", post, true, { method: "POST", target: "/" }),
    vector("an escaped target, byte for byte", escaped, true, { target: "/a%2Fb/%C3%A9/?x=%20&&y" }),

    vector("the first second of the leeway before iat", valid, true, { now: NOON - 5 }),
    vector("one second before the leeway of iat", valid, false, { now: NOON - 6 }),
    vector("the last second of the leeway after exp", valid, true, { now: NOON + 64 }),
    vector("the end of the leeway after exp", valid, false, { now: NOON + 65 }),
    claimed("a lifetime of 61 seconds", { exp: NOON + 61 }),
    claimed("iat as text", { iat: String(NOON) }),
    claimed("exp as text", { exp: String(NOON + 60) }),
    claimed("exp with a fraction", { exp: NOON + 30.5 }),

    vector("another method of the request", valid, false, { method: "DELETE" }),
    vector("the method in another case", valid, false, { method: "get" }),
    vector("another path", valid, false, { target: "/admin?page=2" }),
    vector("another query", valid, false, { target: "/orders?page=3" }),
    vector("a target without the query", valid, false, { target: "/orders" }),
    vector("a target with an empty further parameter", valid, false, { target: "/orders?page=2&" }),
    vector("an escaped letter in the target", valid, false, { target: "/%6Frders?page=2" }),
    vector("a doubled slash in the target", valid, false, { target: "//orders?page=2" }),
    vector("the target in another case", valid, false, { target: "/Orders?page=2" }),
    vector("the target in absolute form", valid, false, { target: `${ORIGIN}/orders?page=2` }),

    vector("another origin of the app", valid, false, { origin: "https://other.example" }),
    vector("another port of the origin", valid, false, { origin: `${ORIGIN}:8443` }),
    claimed("aud with a slash at the end", { aud: `${ORIGIN}/` }),
    claimed("aud as an array", { aud: [ORIGIN] }),

    headed("another typ", { typ: "at+jwt" }),
    headed("typ in another case", { typ: "Portcullis-Assertion+JWT" }),
    headed("typ with a media type prefix", { typ: "application/portcullis-assertion+jwt" }),
    headed("no typ", { typ: undefined }),
    headed("no alg", { alg: undefined }),
    headed("the alg of another kind of key", { alg: OTHER_ALGORITHM[alg] }),
    headed("a critical extension", { crit: ["exp"] }),
    vector("alg none without a signature", `${signer.encode(signer.header(key, { alg: "none" }))}.${payload}.`, false),
    vector("alg none with the signature", `${signer.encode(signer.header(key, { alg: "none" }))}.${payload}.${signature}`, false),

    vector("no signature", `${head}.${payload}.`, false),
    vector("no signature part", `${head}.${payload}`, false),
    vector("a fourth part", `${valid}.${signature}`, false),
    vector("a signature with padding", `${valid}=`, false),
    vector("a blank at the end", `${valid} `, false),
    vector("a truncated signature", valid.slice(0, -4), false),
    vector("the signature of another payload", `${head}.${signer.encode(signer.claims({ sub: "eve" }))}.${signature}`, false),
    vector("the standard base64 alphabet", `${head}.${payload}.${signature.replace(/-/g, "+").replace(/_/g, "/")}+`, false),
    vector("claims that are an array", signer.assertion(key, []), false),
    vector("claims that are no JSON", signer.assertion(key, "not json"), false),
    vector("an empty assertion", "", false),
  ];
  for (const name of ["aud", "iat", "exp", "jti", "htm", "htp", "host"]) cases.push(claimed(`no ${name}`, { [name]: undefined }));
  if (alg === "HS256") {
    cases.push(vector("another secret", signer.assertion(NEXT_SECRET), false));
  } else {
    const forged = (secret) => signer.assertion(secret, signer.claims(), signer.header(key, { alg: "HS256" }));
    cases.push(vector("algorithm confusion: HS256 with the coordinate x as text", forged(key.x), false));
    cases.push(vector("algorithm confusion: HS256 with the key set as text", forged(JSON.stringify(JWKS)), false));
    cases.push(headed("no kid", { kid: undefined }));
    cases.push(headed("an unknown kid", { kid: "unknown" }));
    cases.push(headed("the kid of the other key", { kid: alg === "EdDSA" ? "ec-1" : "ed-1" }));
  }
  return cases;
}

export const FILES = { HS256: "hs256.json", EdDSA: "eddsa.json", ES256: "es256.json" };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [alg, name] of Object.entries(FILES)) {
    writeFileSync(new URL(name, FOLDER), `${JSON.stringify(vectors(alg), null, 2)}\n`);
  }
}
