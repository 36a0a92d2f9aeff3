//! The column names that several kinds of rows share.

/// The request that last wrote the row.
pub(super) const REQUEST_ID: &str = "request_id";

pub(super) const SESSION_ID: &str = "session_id";
pub(super) const USER_ID: &str = "user_id";
pub(super) const CREATED_AT: &str = "created_at";
pub(super) const ACTIVE: &str = "active";
pub(super) const PASSWORD: &str = "password";
pub(super) const STATUS: &str = "status";
pub(super) const VERIFIED_AT: &str = "verified_at";
pub(super) const GENERATION: &str = "generation";
pub(super) const VERSION: &str = "version";
