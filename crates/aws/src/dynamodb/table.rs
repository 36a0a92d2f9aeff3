//! The layout of both tables: where each kind of row lies. One constructor a row.

/// The names of the two tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tables {
    /// Users, sessions, windows and the audit trail.
    pub main: String,
    /// What the edge may read: revocations, the feed and the key document.
    pub blacklist: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            main: "Portcullis".to_owned(),
            blacklist: "TokenBlacklist".to_owned(),
        }
    }
}
