//! A manual rotation: runs the four steps in order, without Secrets Manager.

use crate::ports::{Clock, SecureRandom, SignatureVerifier};
use crate::rotate::ports::{KeyChangeStore, KeyFactory, KeyFactoryError, SecretStore, Stage};
use crate::rotate::{RotateError, Rotation, Step};

/// Rotates now, or completes an aborted rotation. Returns the version that is current then.
///
/// # Errors
///
/// [`RotateError`]; a retry continues where it stopped.
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
            // Its key was revoked before it became current, or is unreadable: it is replaced by
            // another.
            Err(RotateError::KeyRevoked | RotateError::Key(KeyFactoryError::NoKey)) => {}
            Err(error) => return Err(error),
        }
    }
    // Secrets Manager requires at least 32 characters.
    let token = format!("{}-{}", rotation.random.id()?, rotation.random.id()?);
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
