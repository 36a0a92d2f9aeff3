//! DynamoDB: rows, the layout of the tables, and the store ports over them.

pub mod item;
mod read;
pub mod store;
pub mod table;
mod write;
