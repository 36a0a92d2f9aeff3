//! The cookies by which a call recognises its browser.

use http::header::HeaderMap;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::limit::device::{self, DEVICE_LIFETIME};
use portcullis_core::registration::{self, REGISTRATION_LIFETIME, RegisteredHere};
use portcullis_service::limit;

use super::OpenCall;
use crate::api_error::ApiError;
use crate::cookies;

/// The cookie that identifies a browser that has logged in before.
pub(super) const DEVICE_COOKIE: &str = "__Host-portcullis-device";

/// The cookie that identifies the browser that sent a registration.
const REGISTRATION_COOKIE: &str = "__Host-portcullis-registration";

impl OpenCall<'_> {
    /// Sets the device cookie of a browser that has just logged in to `email`, or proved it, while
    /// the account has this `generation`.
    ///
    /// # Errors
    ///
    /// [`Problem::Internal`] if the platform has no random bytes.
    pub(in crate::routes) fn remember_browser(
        &self,
        headers: &mut HeaderMap,
        email: &EmailAddress,
        generation: u64,
    ) -> Result<(), ApiError> {
        let presented = cookies::value(&self.call.headers, DEVICE_COOKIE);
        if let Some(cookie) = limit::device_cookie(email, generation, presented, self.ctx())? {
            cookies::set(headers, DEVICE_COOKIE, &cookie, Some(DEVICE_LIFETIME));
        }
        Ok(())
    }

    /// The generation in the device cookie of this browser for `email`, if it has a valid one.
    pub(in crate::routes) fn known_generation(&self, email: &EmailAddress) -> Option<u64> {
        let cookie = cookies::value(&self.call.headers, DEVICE_COOKIE)?;
        let browser = device::recognise(self.root_keys, cookie, email, self.call.meta.now)?;
        Some(browser.generation)
    }

    /// Sets the cookie of a browser that has just sent the registration with the answer `user_id`.
    pub(in crate::routes) fn mark_registration(&self, headers: &mut HeaderMap, user_id: &Id) {
        let cookie = registration::issue(self.root_keys, user_id, self.call.meta.now);
        let lifetime = Some(REGISTRATION_LIFETIME);
        cookies::set(headers, REGISTRATION_COOKIE, &cookie, lifetime);
    }

    /// The registration that this browser sent, by its cookie.
    pub(in crate::routes) fn registered_here(&self) -> Option<RegisteredHere> {
        let cookie = cookies::value(&self.call.headers, REGISTRATION_COOKIE)?;
        registration::recognise(self.root_keys, cookie, self.call.meta.now)
    }
}
