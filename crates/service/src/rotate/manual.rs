//! A manual rotation: runs the four steps in order, without Secrets Manager.

use crate::ports::SecureRandom as _;
use crate::rotate::ports::RotationPorts;
use crate::rotate::{RotateError, Rotation, Step};
use crate::signing::secret::{SecretChangeStore as _, Stage};

/// Rotates now, or completes an aborted rotation. Returns the version that is current then.
///
/// # Errors
///
/// [`RotateError`]; a retry continues where it stopped.
pub async fn rotate_now<P: RotationPorts>(
    rotation: &Rotation<'_, P>,
) -> Result<String, RotateError> {
    let stages = rotation.secret.stages().await?;
    let pending = stages.version(Stage::Pending);
    let begun = pending.filter(|version| !stages.has(version, Stage::Current));
    if let Some(token) = begun {
        match all(rotation, token).await {
            Ok(()) => return Ok(token.to_owned()),
            // Its key was revoked before it became current, or is unreadable: it is replaced by
            // another.
            Err(RotateError::KeyRevoked | RotateError::NoKey) => {}
            Err(error) => return Err(error),
        }
    }
    // Secrets Manager requires at least 32 characters.
    let random = rotation.context.random;
    let token = format!("{}-{}", random.id()?, random.id()?);
    all(rotation, &token).await?;
    Ok(token)
}

async fn all<P: RotationPorts>(rotation: &Rotation<'_, P>, token: &str) -> Result<(), RotateError> {
    for step in [Step::Create, Step::Set, Step::Test, Step::Finish] {
        rotation.step(step, token).await?;
    }
    Ok(())
}
