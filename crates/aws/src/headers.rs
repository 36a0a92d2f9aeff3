//! The AWS headers for which `http` has no constants.
//!
//! They are constants so that no name is parsed at run time. In wasm the header name parser takes
//! 12 KB; the linker drops it if nothing calls it.

use http::HeaderName;
use http::header::CONTENT_ENCODING;

pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
pub(crate) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-crc32");
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The response headers that a client reads. A transport with its own header objects may pass only
/// these.
///
/// `content-encoding` shows that the platform has decompressed the body over which the checksum was
/// computed.
pub const READ: [HeaderName; 4] = [CHECKSUM, CONTENT_ENCODING, ERROR_TYPE, REQUEST_ID];
