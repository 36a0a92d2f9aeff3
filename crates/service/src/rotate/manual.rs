//! A rotation by hand: the four steps in their order, without Secrets Manager driving them.

use crate::ports::{Clock, SecureRandom, SignatureVerifier};
use crate::rotate::ports::{KeyChangeStore, KeyFactory, KeyFactoryError, SecretStore, Stage};
use crate::rotate::{RotateError, Rotation, Step};

/// Rotates now, or brings the rotation that was cut off to its end. Gives the version that is in
/// force then.
///
/// # Errors
///
/// [`RotateError`]; repeating it goes on where it stopped.
pub async fn rotate_now<V, D, K, S, C, H>(
    rotation: &Rotation<'_, V, D, K, S, C, H>,
) -> Result<String, RotateError>
where
    V: SecretStore,
    D: KeyChangeStore,
    K: KeyFactory,
    S: SignatureVerifier,
    C: Clock,
    H: SecureRandom,
{
    let stages = rotation.secrets.stages().await?;
    let pending = stages.version(Stage::Pending);
    let begun = pending.filter(|version| !stages.has(version, Stage::Current));
    if let Some(token) = begun {
        match all(rotation, token).await {
            Ok(()) => return Ok(token.to_owned()),
            // Its key was called back before it came into force, or it is none: it is given up for
            // another.
            Err(RotateError::Withdrawn | RotateError::Key(KeyFactoryError::NoKey)) => {}
            Err(error) => return Err(error),
        }
    }
    // Secrets Manager wants 32 characters or more.
    let token = format!("{}-{}", rotation.chance.id()?, rotation.chance.id()?);
    all(rotation, &token).await?;
    Ok(token)
}

async fn all<V, D, K, S, C, H>(
    rotation: &Rotation<'_, V, D, K, S, C, H>,
    token: &str,
) -> Result<(), RotateError>
where
    V: SecretStore,
    D: KeyChangeStore,
    K: KeyFactory,
    S: SignatureVerifier,
    C: Clock,
    H: SecureRandom,
{
    for step in [Step::Create, Step::Set, Step::Test, Step::Finish] {
        rotation.step(step, token).await?;
    }
    Ok(())
}
