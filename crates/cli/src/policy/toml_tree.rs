//! TOML as a tree with places. TOML has dates and infinite numbers, which a policy cannot have.

use core::ops::Range;

use portcullis_core::json::MAX_DEPTH;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::Finding;
use super::node::{Member, Node, NodeValue};

/// # Errors
///
/// The first syntax error, or the first value that JSON does not have.
pub(crate) fn parse(text: &str) -> Result<Node, Finding> {
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(text.len()..text.len());
        Finding::syntax(
            clamp(span, text.len()),
            format!("TOML: {}", error.message()),
        )
    })?;
    let span = table.span();
    node_of_table(table.into_inner(), span, 0)
}

fn clamp(span: Range<usize>, end: usize) -> Range<usize> {
    span.start.min(end)..span.end.min(end)
}

fn node_of_table(table: DeTable<'_>, span: Range<usize>, depth: usize) -> Result<Node, Finding> {
    let mut members = Vec::new();
    for (name, value) in table {
        members.push(Member {
            span: name.span(),
            name: name.into_inner().into_owned(),
            value: node(value, depth.saturating_add(1))?,
        });
    }
    members.sort_by_key(|member| member.span.start);
    let value = NodeValue::Object(members);
    Ok(Node { span, value })
}

fn node(value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Finding> {
    let span = value.span();
    if depth > MAX_DEPTH {
        let message = format!("TOML: more than {MAX_DEPTH} levels of nesting");
        return Err(Finding::syntax(span, message));
    }
    let value = match value.into_inner() {
        DeValue::String(text) => NodeValue::Text(text.into_owned()),
        DeValue::Boolean(value) => NodeValue::Bool(value),
        DeValue::Integer(number) => {
            let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
            let number = number.ok_or_else(|| {
                Finding::syntax(span.clone(), "the number is too large".to_owned())
            })?;
            NodeValue::Number(number.to_string())
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            let number = number.ok_or_else(|| {
                Finding::syntax(span.clone(), "a policy has no such number".to_owned())
            })?;
            NodeValue::Number(number.to_string())
        }
        DeValue::Datetime(_) => {
            let message = "a policy has no dates: a time is a number of seconds".to_owned();
            return Err(Finding::syntax(span, message));
        }
        DeValue::Array(elements) => {
            let elements: Result<_, _> = elements
                .into_iter()
                .map(|element| node(element, depth.saturating_add(1)))
                .collect();
            NodeValue::Array(elements?)
        }
        DeValue::Table(table) => return node_of_table(table, span, depth),
    };
    Ok(Node { span, value })
}
