//! Device cookies recognise a browser that logged in before, so an attacker who guesses elsewhere
//! cannot lock the owner out ([OWASP, "Slow Down Online Guessing Attacks with Device Cookies"]).
//!
//! [OWASP, "Slow Down Online Guessing Attacks with Device Cookies"]: https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies

use core::time::Duration;

use crate::base64url;
use crate::email::EmailAddress;
use crate::id::Id;
use crate::root_keys::{Purpose, RootKeys};
use crate::time::UnixTime;

/// The lifetime of a device cookie after a login.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The length of the MAC in the cookie, in bytes.
const MAC_BYTES: usize = 16;

/// The content of a valid device cookie.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownBrowser {
    /// The identifier of the cookie.
    pub nonce: Id,
    /// The generation of the account when the cookie was issued. With any other generation of the
    /// account the browser is unknown: the sessions of that time have ended, and so has its status.
    pub generation: u64,
}

/// The device cookie for a browser that has just logged in to `email`, or proved that its user
/// reads the mail of `email`: `second.nonce.generation.mac`. It grants no access and only selects
/// the bucket that counts this browser's logins.
pub fn issue(
    root_keys: &RootKeys,
    email: &EmailAddress,
    browser: &KnownBrowser,
    now: UnixTime,
) -> String {
    let (issued_at, generation) = (now.as_secs().to_string(), browser.generation.to_string());
    let parts = parts(email, &issued_at, &browser.nonce, &generation);
    let code = root_keys.mac(Purpose::DeviceCookie, &parts);
    let code = code.get(..MAC_BYTES).unwrap_or(&code);
    format!(
        "{issued_at}.{}.{generation}.{}",
        browser.nonce,
        base64url::encode(code)
    )
}

/// The browser of `cookie`, if a host issued it for `email` within the last year. With any other
/// content the browser is unknown. The caller compares the generation with that of the account.
pub fn recognise(
    root_keys: &RootKeys,
    cookie: &str,
    email: &EmailAddress,
    now: UnixTime,
) -> Option<KnownBrowser> {
    let mut members = cookie.split('.');
    let (issued_at, nonce) = (members.next()?, members.next()?);
    let (generation, code) = (members.next()?, members.next()?);
    if members.next().is_some() {
        return None;
    }
    let nonce = Id::parse(nonce).ok()?;
    let code = base64url::decode(code)?;
    let good_until = UnixTime::from_secs(issued_at.parse().ok()?).plus(DEVICE_LIFETIME);
    let ours = code.len() == MAC_BYTES
        && root_keys.verify_mac(
            Purpose::DeviceCookie,
            &parts(email, issued_at, &nonce, generation),
            &code,
        );
    let generation = generation.parse().ok()?;
    (ours && now < good_until).then_some(KnownBrowser { nonce, generation })
}

fn parts<'a>(
    email: &'a EmailAddress,
    issued_at: &'a str,
    nonce: &'a Id,
    generation: &'a str,
) -> [&'a [u8]; 4] {
    [
        email.as_str().as_bytes(),
        issued_at.as_bytes(),
        nonce.as_str().as_bytes(),
        generation.as_bytes(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn root_keys(key: char) -> RootKeys {
        let key = key.to_string().repeat(32);
        RootKeys::parse(format!(r#"{{"id":"1","key":"{key}"}}"#).as_bytes()).expect("a vault")
    }

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).expect("an address")
    }

    fn cookie() -> (String, KnownBrowser) {
        let browser = KnownBrowser {
            nonce: Id::from_random([7; 16]),
            generation: 3,
        };
        let ann = email("Ann@example.com");
        (issue(&root_keys('k'), &ann, &browser, NOON), browser)
    }

    #[test]
    fn a_device_cookie_is_valid_for_a_year_and_its_own_address() {
        let (cookie, browser) = cookie();
        let known = |address, now| recognise(&root_keys('k'), &cookie, &email(address), now);
        let end = NOON.plus(DEVICE_LIFETIME);
        let last = end.minus(Duration::from_secs(1));
        assert_eq!(known("ann@example.com", NOON), Some(browser.clone()));
        assert_eq!(known("ann@example.com", last), Some(browser));
        assert_eq!(known("ann@example.com", end), None);
        assert_eq!(known("bob@example.com", NOON), None);
        let elsewhere = recognise(&root_keys('x'), &cookie, &email("ann@example.com"), NOON);
        assert_eq!(elsewhere, None);
    }

    #[test]
    fn a_modified_device_cookie_is_rejected() {
        let (cookie, _browser) = cookie();
        let ann = email("ann@example.com");
        for place in 0..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(
                recognise(&root_keys('k'), &changed, &ann, NOON),
                None,
                "{changed}"
            );
        }
        let short = cookie.rsplit_once('.').expect("dots").0;
        let later = cookie.replacen("17954", "017954", 1);
        for text in [
            "",
            ".",
            "..",
            short,
            &format!("{short}."),
            &format!("{cookie}."),
            &later,
        ] {
            assert_eq!(recognise(&root_keys('k'), text, &ann, NOON), None, "{text}");
        }
    }
}
