//! The headers of AWS that `http` has no names for.
//!
//! They are constants so that none is parsed when it is used: in wasm the parser of header names
//! weighs twelve kilobytes, and is left out where nothing calls it.

use http::HeaderName;
use http::header::CONTENT_ENCODING;

pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
pub(crate) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-crc32");
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The headers of an answer that a client looks at. A transport whose platform has header objects
/// of its own need bring no others.
///
/// `content-encoding` tells that the platform has inflated the body that the checksum was made over.
pub const READ: [HeaderName; 4] = [CHECKSUM, CONTENT_ENCODING, ERROR_TYPE, REQUEST_ID];
