//! DynamoDB: rows, the table layout, and the implementation of the store ports.

pub mod item;
mod read;
pub mod store;
pub mod table;
mod write;
