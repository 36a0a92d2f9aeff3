//! Mail: the sender and the transport, the pages that it links to, and disposable addresses.

use core::time::Duration;
use std::path::PathBuf;

use http::Uri;
use portcullis_aws::endpoint::{Endpoint, Region};
use portcullis_aws::ses::Sender;
use portcullis_core::email::EmailAddress;
use portcullis_service::settings::{Mailing, PasswordRules};

use crate::config::variable::{Environment, Fault, on_or_off, plain_or_loopback};
use crate::disposable::DisposableConfig;
use crate::mailer::MailDelivery;

/// The sender of mail that stays in a folder.
const NOBODY: &str = "portcullis@portcullis.invalid";

/// The allowed lifetimes of a link, in seconds.
const LINK_LIFETIMES: core::ops::RangeInclusive<u64> = 600..=3_600;

/// The mail settings.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// The content of mail.
    pub mailing: Mailing,
    /// The destination of mail.
    pub delivery: MailDelivery,
    /// The handling of disposable addresses.
    pub disposable: DisposableConfig,
}

/// Reads the mail settings. The first of `passwords.services` is the service's name in mail.
pub(super) fn mail(
    env: &mut Environment<'_>,
    issuer: Option<&str>,
    passwords: &PasswordRules,
) -> Option<MailConfig> {
    let public_url = env.optional("PORTCULLIS_PUBLIC_URL", plain_or_loopback);
    let verify_page = env.optional("PORTCULLIS_VERIFY_PAGE", plain_or_loopback);
    let reset_page = env.optional("PORTCULLIS_RESET_PAGE", plain_or_loopback);
    let unlock_page = env.optional("PORTCULLIS_UNLOCK_PAGE", plain_or_loopback);
    let verify_lifetime = env.optional("PORTCULLIS_VERIFY_LIFETIME", link_lifetime);
    let reset_lifetime = env.optional("PORTCULLIS_RESET_LIFETIME", link_lifetime);
    let unlock_lifetime = env.optional("PORTCULLIS_UNLOCK_LIFETIME", link_lifetime);
    let invite_lifetime = env.optional("PORTCULLIS_INVITE_LIFETIME", invite_lifetime);
    let require_verified = env.optional("PORTCULLIS_REQUIRE_VERIFIED", on_or_off);
    // SES delivers to ASCII local parts only.
    let has_ses = env.has("PORTCULLIS_MAIL_FROM") && !env.has("PORTCULLIS_MAILBOX");
    let smtputf8 = env.optional("PORTCULLIS_SMTPUTF8", |text| match on_or_off(text)? {
        true if has_ses => Err(Fault::Invalid),
        smtputf8 => Ok(smtputf8),
    });
    let name = if env.has("PORTCULLIS_BRAND_NAMES") {
        passwords.services.first().cloned()
    } else {
        issuer.and_then(host)
    };
    let name = name.unwrap_or_default();
    let delivery = delivery(env, &name);
    let disposable = DisposableConfig {
        refuse: env
            .optional("PORTCULLIS_DISPOSABLE", refuse_or_allow)
            .unwrap_or(false),
        more: env.optional("PORTCULLIS_DISPOSABLE_FILE", |text| Ok(PathBuf::from(text))),
    };
    let public_url = public_url.or_else(|| issuer.map(str::to_owned))?;
    let page = |path: &str| format!("{}{path}", public_url.trim_end_matches('/'));
    Some(MailConfig {
        mailing: Mailing {
            service_name: name,
            verify_page: verify_page.unwrap_or_else(|| page("/v1/email/verify")),
            reset_page: reset_page.unwrap_or_else(|| page("/v1/password/reset")),
            unlock_page: unlock_page.unwrap_or_else(|| page("/v1/login/unlock")),
            verify_lifetime: verify_lifetime.unwrap_or(Duration::from_secs(3_600)),
            reset_lifetime: reset_lifetime.unwrap_or(Duration::from_secs(1_800)),
            unlock_lifetime: unlock_lifetime.unwrap_or(Duration::from_secs(3_600)),
            invite_lifetime: invite_lifetime.unwrap_or(DEFAULT_INVITE_LIFETIME),
            require_verified: require_verified.unwrap_or(true),
            smtputf8: smtputf8.unwrap_or(false),
        },
        delivery: delivery?,
        disposable,
    })
}

fn delivery(env: &mut Environment<'_>, name: &str) -> Option<MailDelivery> {
    let folder = env.optional("PORTCULLIS_MAILBOX", |text| Ok(PathBuf::from(text)));
    let has_sender = env.has("PORTCULLIS_MAIL_FROM");
    let address = env.optional("PORTCULLIS_MAIL_FROM", |text| {
        EmailAddress::parse(text).map_err(|_| Fault::Invalid)
    });
    let endpoint = env.optional("PORTCULLIS_SES_ENDPOINT", |text| {
        let fault = Fault::Invalid;
        Endpoint::parse(&plain_or_loopback(text)?).map_err(|_| fault)
    });
    let sender = |address| Sender {
        name: name.to_owned(),
        address,
    };
    match (folder, has_sender) {
        (Some(folder), _) => {
            let address = address.or_else(|| EmailAddress::parse(NOBODY).ok())?;
            Some(MailDelivery::Folder(folder, sender(address)))
        }
        (None, true) => {
            // The reader of the region reports a faulty region.
            let region = env.optional("AWS_REGION", |text| Ok(Region::parse(text).ok()))?;
            let endpoint = match endpoint {
                Some(endpoint) => endpoint,
                None => Endpoint::of_ses(&region?).ok()?,
            };
            Some(MailDelivery::Ses(endpoint, sender(address?)))
        }
        (None, false) => Some(MailDelivery::None),
    }
}

/// The host of a URL.
fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    uri.host().map(str::to_owned)
}

/// A week.
const DEFAULT_INVITE_LIFETIME: Duration = Duration::from_secs(604_800);

/// Parses the lifetime of an invitation, in seconds.
fn invite_lifetime(text: &str) -> Result<Duration, Fault> {
    let seconds = text.parse().unwrap_or(0);
    let fits = (3_600..=2_592_000).contains(&seconds);
    fits.then(|| Duration::from_secs(seconds))
        .ok_or(Fault::Invalid)
}

fn link_lifetime(text: &str) -> Result<Duration, Fault> {
    let seconds = text.parse().unwrap_or(0);
    let fault = Fault::Invalid;
    let fits = LINK_LIFETIMES.contains(&seconds);
    fits.then(|| Duration::from_secs(seconds)).ok_or(fault)
}

fn refuse_or_allow(text: &str) -> Result<bool, Fault> {
    match text {
        "refuse" => Ok(true),
        "allow" => Ok(false),
        _ => Err(Fault::Invalid),
    }
}
