//! DynamoDB: rows, the layout of the tables, and the store ports over them.

pub mod item;
pub mod table;
