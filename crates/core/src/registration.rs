//! The registration cookie: the proof that a browser sent the registration that created an account.
//!
//! A mailed link proves that its bearer reads the mail of an address. It does not prove that the
//! bearer chose the password of the account: an attacker may have registered the address before its
//! owner ("account pre-hijacking", [Sudhodanan and Paverd, USENIX Security 2022, §3]). So the
//! password of a registration becomes valid only in the browser that sent this registration.
//! Every accepted registration sets the cookie, also one of an address that already had an account.
//!
//! [Sudhodanan and Paverd, USENIX Security 2022, §3]: https://www.usenix.org/conference/usenixsecurity22/presentation/sudhodanan

use core::time::Duration;

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{Purpose, RootKeys};
use crate::time::UnixTime;

/// The lifetime of a registration cookie: longer than the link of a verification mail.
pub const REGISTRATION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The length of the MAC in the cookie, in bytes.
const MAC_BYTES: usize = 16;

/// The user ID that the answer to a registration contained, as its cookie proves it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisteredHere(Id);

impl RegisteredHere {
    /// Whether the browser sent the registration that created the account `user_id`.
    pub fn created(&self, user_id: &Id) -> bool {
        self.0 == *user_id
    }
}

/// The registration cookie for `user_id`: `second.user_id.mac`.
pub fn issue(root_keys: &RootKeys, user_id: &Id, now: UnixTime) -> String {
    let issued_at = now.as_secs().to_string();
    let code = root_keys.mac(Purpose::RegistrationCookie, &parts(&issued_at, user_id));
    let code = code.get(..MAC_BYTES).unwrap_or(&code);
    format!("{issued_at}.{user_id}.{}", base64url::encode(code))
}

/// The content of `cookie`, if a host issued it within [`REGISTRATION_LIFETIME`].
pub fn recognise(root_keys: &RootKeys, cookie: &str, now: UnixTime) -> Option<RegisteredHere> {
    let mut members = cookie.split('.');
    let (issued_at, user_id, code) = (members.next()?, members.next()?, members.next()?);
    if members.next().is_some() {
        return None;
    }
    let user_id = Id::parse(user_id).ok()?;
    let code = base64url::decode(code)?;
    let ends_at = UnixTime::from_secs(issued_at.parse().ok()?).plus(REGISTRATION_LIFETIME);
    let parts = parts(issued_at, &user_id);
    let ours =
        code.len() == MAC_BYTES && root_keys.verify_mac(Purpose::RegistrationCookie, &parts, &code);
    (ours && now < ends_at).then_some(RegisteredHere(user_id))
}

fn parts<'a>(issued_at: &'a str, user_id: &'a Id) -> [&'a [u8]; 2] {
    [issued_at.as_bytes(), user_id.as_str().as_bytes()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn root_keys(key: char) -> RootKeys {
        let key = key.to_string().repeat(32);
        RootKeys::parse(format!(r#"{{"id":"1","key":"{key}"}}"#).as_bytes()).expect("keys")
    }

    fn ann() -> Id {
        Id::from_random([7; 16])
    }

    #[test]
    fn a_registration_cookie_is_valid_for_its_user_id_until_it_expires() {
        let cookie = issue(&root_keys('k'), &ann(), NOON);
        let end = NOON.plus(REGISTRATION_LIFETIME);
        for (now, valid) in [
            (NOON, true),
            (end.minus(Duration::from_secs(1)), true),
            (end, false),
        ] {
            let here = recognise(&root_keys('k'), &cookie, now);
            assert_eq!(here.is_some_and(|here| here.created(&ann())), valid);
        }
        let here = recognise(&root_keys('k'), &cookie, NOON).expect("valid");
        assert!(!here.created(&Id::from_random([8; 16])));
        assert_eq!(recognise(&root_keys('x'), &cookie, NOON), None);
    }

    #[test]
    fn a_cookie_of_another_purpose_is_no_registration_cookie() {
        let parts = parts("1795435200", &ann()).map(<[u8]>::to_vec);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let code = root_keys('k').mac(Purpose::DeviceCookie, &parts);
        let cookie = format!(
            "1795435200.{}.{}",
            ann(),
            base64url::encode(&code[..MAC_BYTES])
        );
        assert_eq!(recognise(&root_keys('k'), &cookie, NOON), None);
    }

    proptest! {
        #[test]
        fn a_modified_registration_cookie_is_rejected(place in any::<prop::sample::Index>(), byte in "[A-Za-z0-9._-]") {
            let cookie = issue(&root_keys('k'), &ann(), NOON);
            let place = place.index(cookie.len());
            let mut changed = cookie.clone();
            changed.replace_range(place..=place, &byte);
            prop_assume!(changed != cookie);
            prop_assert_eq!(recognise(&root_keys('k'), &changed, NOON), None);
            let cut = cookie.get(..place).expect("ASCII");
            prop_assert_eq!(recognise(&root_keys('k'), cut, NOON), None);
        }

        #[test]
        fn any_text_is_rejected_as_registration_cookie_without_a_panic(text in "\\PC{0,80}") {
            prop_assert_eq!(recognise(&root_keys('k'), &text, NOON), None);
        }
    }
}
