//! Stub
/// x
#[derive(Default)]
pub struct D {
    /// l
    pub lines: Vec<String>,
}
/// x
pub fn all() -> D {
    D::default()
}
