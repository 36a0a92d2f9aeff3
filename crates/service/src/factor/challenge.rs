//! The login challenge: the first step of a login returns it, and the second step presents it. It
//! is encrypted and serves no other purpose.

use core::time::Duration;

use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::root_keys::Purpose;
use portcullis_core::secret::Secret;
use portcullis_core::session::Device;
use portcullis_core::time::UnixTime;

use crate::context::ServiceContext;
use crate::ports::{NoEntropy, SecureRandom};
use crate::store::{Account, TotpFactor};

/// The time limit of the second step.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(300);

/// The account that passed the password check.
#[derive(Debug)]
pub struct Challenged {
    /// Its address.
    pub email: EmailAddress,
    /// Its id.
    pub user_id: Id,
    /// Incremented by each password change, which invalidates every earlier challenge.
    pub generation: u64,
    /// The factor that was active. A new factor invalidates the challenge.
    pub factor_id: Id,
}

/// Encrypts the fact that the password of `account` was correct, for the second step with `factor`
/// from the same device.
pub(crate) fn challenge<S>(
    account: &Account,
    factor: &TotpFactor,
    device: &Device,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<Secret<String>, NoEntropy> {
    let plain = format!(
        "{}\n{}\n{}\n{}\n{}",
        account.user_id,
        account.generation,
        factor.id,
        ctx.call.now.plus(CHALLENGE_LIFETIME).as_secs(),
        account.email.as_str(),
    );
    let nonce = ctx.random.nonce()?;
    let sealed = ctx.root_keys.seal(
        Purpose::LoginChallenge,
        &[device.as_str().as_bytes()],
        nonce,
        plain.as_bytes(),
    );
    Ok(Secret::new(sealed))
}

/// Decrypts the result of [`challenge`], unless it has expired.
pub(super) fn open<S, C>(
    sealed: &Secret<String>,
    device: &Device,
    ctx: ServiceContext<'_, S, C>,
) -> Option<Challenged> {
    let context = [device.as_str().as_bytes()];
    let plain = ctx
        .root_keys
        .open(Purpose::LoginChallenge, &context, sealed.expose())
        .ok()?;
    let plain = core::str::from_utf8(plain.expose()).ok()?;
    let mut lines = plain.splitn(5, '\n');
    let user_id = Id::parse(lines.next()?).ok()?;
    let generation = lines.next()?.parse().ok()?;
    let factor_id = Id::parse(lines.next()?).ok()?;
    let ends_at = UnixTime::from_secs(lines.next()?.parse().ok()?);
    let email = EmailAddress::parse(lines.next()?).ok()?;
    (ctx.call.now < ends_at).then_some(Challenged {
        email,
        user_id,
        generation,
        factor_id,
    })
}
