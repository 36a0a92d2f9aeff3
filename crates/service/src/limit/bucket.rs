//! The buckets in which attempts are counted, and their keys.

use portcullis_core::base64url;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::limit::Quota;
use portcullis_core::limit::client::{ClientNetwork, ClientSite};
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::root_keys::{Purpose, RootKeys};

use crate::context::ServiceContext;
use crate::store::{Bucket, BucketGroup};

/// The number of bytes of a bucket's MAC in its row key; too long for an attacker to find a
/// collision.
const NAME_BYTES: usize = 16;

/// The key under which attempts are counted together.
#[derive(Clone, Copy, Debug)]
pub enum LimitKey<'a> {
    /// The attempts from the client's network. Requests without a known client address share one
    /// key.
    Network,
    /// The attempts on one address, registered or not.
    Email(&'a EmailAddress),
    /// The attempts on one address from all browsers that became known in one generation of the
    /// account. Cookies of an earlier generation must not fill the bucket of the current one.
    KnownBrowsers(&'a EmailAddress, u64),
    /// The attempts on one address from one browser that became known in this generation of the
    /// account. The browsers of one generation are a group.
    Device(&'a EmailAddress, u64, &'a Id),
    /// The attempts on one account.
    Account(&'a Id),
    /// The attempts on one second factor of an account. SECURITY: nothing that a client can do with
    /// the password alone starts a new count, such as a password change.
    Factor(&'a Id, &'a Id),
    /// The attempts of one session.
    Session(&'a Id),
}

/// The bucket of `limit_key`.
pub(crate) fn bucket<S, C>(
    scope: LimitKind,
    quota: Quota,
    limit_key: LimitKey<'_>,
    ctx: ServiceContext<'_, S, C>,
) -> Bucket {
    let network;
    let generation;
    let (first, second): (&[u8], &[u8]) = match limit_key {
        LimitKey::Network => {
            let parsed = ClientNetwork::parse(&ctx.call.client_address);
            network = parsed
                .map(|network| network.to_string())
                .unwrap_or_default();
            (network.as_bytes(), b"")
        }
        LimitKey::Email(email) => (email.as_str().as_bytes(), b""),
        LimitKey::KnownBrowsers(email, raised) => {
            generation = raised.to_be_bytes();
            (email.as_str().as_bytes(), &generation)
        }
        LimitKey::Device(email, _, nonce) => (email.as_str().as_bytes(), nonce.as_str().as_bytes()),
        LimitKey::Account(user_id) => (user_id.as_str().as_bytes(), b""),
        LimitKey::Factor(user_id, factor_id) => {
            (user_id.as_str().as_bytes(), factor_id.as_str().as_bytes())
        }
        LimitKey::Session(session_id) => (session_id.as_str().as_bytes(), b""),
    };
    Bucket {
        scope,
        quota,
        name: bucket_name(ctx.root_keys, scope, quota, [first, second]),
        group: match limit_key {
            LimitKey::Device(email, raised, _) => {
                Some(device_group(scope, quota, email, raised, ctx).name)
            }
            LimitKey::Network
            | LimitKey::Email(_)
            | LimitKey::KnownBrowsers(..)
            | LimitKey::Account(_)
            | LimitKey::Factor(..)
            | LimitKey::Session(_) => None,
        },
    }
}

/// The group of the buckets of all browsers that became known in the generation `raised`.
pub(crate) fn device_group<S, C>(
    scope: LimitKind,
    quota: Quota,
    email: &EmailAddress,
    raised: u64,
    ctx: ServiceContext<'_, S, C>,
) -> BucketGroup {
    let generation = raised.to_be_bytes();
    let parts = [email.as_str().as_bytes(), &generation];
    BucketGroup {
        scope,
        quota,
        name: bucket_name(ctx.root_keys, scope, quota, parts),
    }
}

/// The bucket of the sampled attempts of `site`, with the quota of one network.
pub(crate) fn site_bucket<S, C>(
    scope: LimitKind,
    quota: Quota,
    site: ClientSite,
    ctx: ServiceContext<'_, S, C>,
) -> Bucket {
    // The prefix length distinguishes it from each network.
    let text = site.to_string();
    Bucket {
        scope,
        quota,
        name: bucket_name(ctx.root_keys, scope, quota, [text.as_bytes(), b""]),
        group: None,
    }
}

/// The IPv6 site of the client; `None` for any other address.
pub(crate) fn client_site<S, C>(ctx: ServiceContext<'_, S, C>) -> Option<ClientSite> {
    ClientNetwork::parse(&ctx.call.client_address).and_then(ClientSite::of)
}

/// A count is valid only under its quota, so the quota is part of its key.
fn bucket_name(
    root_keys: &RootKeys,
    scope: LimitKind,
    quota: Quota,
    [first, second]: [&[u8]; 2],
) -> String {
    let rule = if quota.is_exact() {
        String::new()
    } else {
        quota.to_string()
    };
    let parts = [scope.as_str().as_bytes(), rule.as_bytes(), first, second];
    let code = root_keys.mac(Purpose::LimitKey, &parts);
    base64url::encode(code.get(..NAME_BYTES).unwrap_or(&code))
}
