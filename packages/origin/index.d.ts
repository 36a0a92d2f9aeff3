import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** The proven facts of a request. `null`: the edge verified no token (open route), or the token has no such claim. */
export interface Identity {
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly scopes: readonly string[];
  /** With the secret header: those of the identity header `roles`, which the policy must set. */
  readonly roles: readonly string[];
  readonly session: string | null;
  readonly requestId: string | null;
  /** The public host[:port] of the request. */
  readonly host: string | null;
}

export interface PublicJwk {
  kid: string;
  alg: "EdDSA" | "ES256";
  kty: "OKP" | "EC";
  crv: "Ed25519" | "P-256";
  x: string;
  y?: string;
}

interface Common {
  /** The public hosts (host[:port]) that the app serves; every host if absent. */
  hosts?: string[];
  /** `headers.identity_prefix` of the policy; `x-auth-` if absent. */
  identityPrefix?: string;
  /** Gets the reason of each refusal. If absent, the first refusal of each reason is logged. */
  onRefused?: (reason: string, request: IncomingMessage) => void;
  /** The clock, in seconds since 1970. */
  now?: () => number;
}

export interface SecretOptions extends Common {
  mode?: "secret";
  /** `PORTCULLIS_EDGE_SECRET` of the Worker: one, or two during a rotation. */
  secrets: string[];
}

interface Assertion extends Common {
  /** `PORTCULLIS_ORIGIN` of the Worker as scheme://host[:port]. */
  origin: string;
  /** Seconds by which the clocks may differ: 0 to 60, 5 if absent. */
  leeway?: number;
}

export interface SharedSecretAssertionOptions extends Assertion {
  mode: "assertion";
  secrets: string[];
}

export interface KeysOptions extends Assertion {
  mode?: "assertion";
  keys: { keys: PublicJwk[] };
}

export interface KeysUrlOptions extends Assertion {
  mode?: "assertion";
  /** `https://<public host>/.well-known/portcullis-assertion-keys`. */
  keysUrl: string;
}

export type EdgeProofOptions = SecretOptions | SharedSecretAssertionOptions | KeysOptions | KeysUrlOptions;

export type Verification = { accepted: true; identity: Identity } | { accepted: false; reason: string };

export type VerifyRequest = (request: IncomingMessage) => Promise<Verification>;

export interface EdgeProof {
  (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void;
  verifyRequest: VerifyRequest;
}

/** @throws TypeError if an option is wrong */
export function edgeProof(options: EdgeProofOptions): EdgeProof;

/** @throws TypeError if an option is wrong */
export function edgeVerifier(options: EdgeProofOptions): VerifyRequest;

export function refuseUpgrade(socket: Duplex): void;

declare module "node:http" {
  interface IncomingMessage {
    portcullis?: Identity;
  }
}
