//! The rotation function of the local Secrets Manager.

use std::{future::Future, pin::Pin, sync::Arc};

use serde_json::Value;

type Called = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Calls the rotation function with one event; an error is the function's response.
#[derive(Clone)]
pub struct RotationFunction(Arc<dyn Fn(Value) -> Called + Send + Sync>);

impl RotationFunction {
    /// The function that uses `call`.
    pub fn new<F>(call: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |event| Box::pin(call(event))))
    }
}

impl std::fmt::Debug for RotationFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotationFunction").finish_non_exhaustive()
    }
}

impl RotationFunction {
    /// Calls the function with `event`.
    pub(super) async fn call(&self, event: Value) -> Result<(), String> {
        (self.0)(event).await
    }
}
