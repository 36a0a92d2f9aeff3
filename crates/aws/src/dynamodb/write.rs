//! The writes of DynamoDB: single conditional writes and transactions.

use std::borrow::Cow;

use portcullis_core::json::{Json, Object};

use crate::client::ApiCall;
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, Tables, digest};
use crate::operation::Operation;

/// The condition that the row does not exist.
pub(crate) const NEW: Expression = Expression::of("attribute_not_exists(#PK)");

/// The maximum number of rows in one DynamoDB transaction.
pub(crate) const MAX_TRANSACTION_ITEMS: usize = 100;

/// An expression with its values.
///
/// Attributes are written as `#name`, so that reserved words of DynamoDB are allowed.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    text: Cow<'static, str>,
    values: Vec<(Cow<'static, str>, Attribute)>,
}

impl Expression {
    pub(crate) const fn of(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            values: Vec::new(),
        }
    }

    /// An update that sets each attribute to its value and leaves the others.
    pub(crate) fn set(attributes: impl IntoIterator<Item = (&'static str, Attribute)>) -> Self {
        let (mut terms, mut values) = (Vec::new(), Vec::new());
        for (name, value) in attributes {
            terms.push(format!("#{name} = :{name}"));
            values.push((Cow::Owned(format!(":{name}")), value));
        }
        Self {
            text: Cow::Owned(format!("SET {}", terms.join(", "))),
            values,
        }
    }

    /// An expression that is built at run time.
    pub(crate) const fn built(text: String) -> Self {
        Self {
            text: Cow::Owned(text),
            values: Vec::new(),
        }
    }

    /// The expression with the value of its placeholder `name` (`:version`).
    pub(crate) fn with(mut self, name: &'static str, value: Attribute) -> Self {
        self.values.push((Cow::Borrowed(name), value));
        self
    }

    /// The update that also removes the attribute `name`.
    pub(crate) fn removing(mut self, name: &'static str) -> Self {
        let word = if self.text.contains(" REMOVE ") {
            ","
        } else {
            " REMOVE"
        };
        self.text = Cow::Owned(format!("{}{word} #{name}", self.text));
        self
    }

    /// The attribute names in the expression: each `#name` of the text.
    fn attributes(&self) -> impl Iterator<Item = &str> {
        self.text.split('#').skip(1).map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            end.and_then(|end| rest.get(..end)).unwrap_or(rest)
        })
    }
}

/// Rows that are written atomically.
pub(crate) struct Transaction<'a> {
    tables: &'a Tables,
    actions: Vec<Json>,
}

impl<'a> Transaction<'a> {
    pub(crate) const fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            actions: Vec::new(),
        }
    }

    /// Writes `row` under `key`, replacing an existing row.
    pub(crate) fn put(&mut self, key: &Key, row: Item) {
        let action = self.action(key).row(key, row);
        self.push("Put", action);
    }

    /// Writes `row` under `key` if `condition` holds for the existing row.
    pub(crate) fn put_if(&mut self, key: &Key, row: Item, condition: &Expression) {
        let action = self.action(key).row(key, row).condition(condition);
        self.push("Put", action);
    }

    /// Updates the row under `key` if `condition` holds for it.
    pub(crate) fn update_if(&mut self, key: &Key, change: &Expression, condition: &Expression) {
        let action = self
            .action(key)
            .key(key)
            .update(change)
            .condition(condition);
        self.push("Update", action);
    }

    /// Cancels the transaction unless `condition` holds for the row under `key`.
    pub(crate) fn check(&mut self, key: &Key, condition: &Expression) {
        let action = self.action(key).key(key).condition(condition);
        self.push("ConditionCheck", action);
    }

    /// Deletes the row under `key` if `condition` holds for it.
    pub(crate) fn delete_if(&mut self, key: &Key, condition: &Expression) {
        let action = self.action(key).key(key).condition(condition);
        self.push("Delete", action);
    }

    /// Deletes the row under `key`, if it exists.
    pub(crate) fn delete(&mut self, key: &Key) {
        let action = self.action(key).key(key);
        self.push("Delete", action);
    }

    /// The call. Its token is a digest of all writes, including the request id and the audit row. A
    /// repetition has the same token and is executed once; no other transaction can have the same
    /// token.
    pub(crate) fn into_call(self) -> ApiCall {
        let actions = Json::Array(self.actions);
        let token = digest(&actions.to_string());
        ApiCall::new(Operation::TransactWriteItems)
            .with("TransactItems", actions)
            .with("ClientRequestToken", token)
    }

    fn action(&self, key: &Key) -> Action {
        Action::on(self.tables, key)
    }

    fn push(&mut self, kind: &str, action: Action) {
        let action = Object::from_iter([(kind, action.members)]);
        self.actions.push(action.into());
    }
}

/// A `PutItem` of `row` under `key` if `condition` holds for the existing row.
pub(crate) fn put_if(tables: &Tables, key: &Key, row: Item, condition: &Expression) -> ApiCall {
    let action = Action::on(tables, key).row(key, row).condition(condition);
    action.into_call(Operation::PutItem)
}

/// An `UpdateItem` of the row under `key` if `condition` holds for it.
pub(crate) fn update_if(
    tables: &Tables,
    key: &Key,
    change: &Expression,
    condition: &Expression,
) -> ApiCall {
    let action = Action::on(tables, key);
    let action = action.key(key).update(change).condition(condition);
    action.into_call(Operation::UpdateItem)
}

/// As [`update_if`]; the response contains the updated row.
pub(crate) fn update_and_return(
    tables: &Tables,
    key: &Key,
    change: &Expression,
    condition: &Expression,
) -> ApiCall {
    update_if(tables, key, change, condition).with("ReturnValues", "ALL_NEW")
}

/// A `DeleteItem` of the row under `key` if `condition` holds for it.
pub(crate) fn delete_if(tables: &Tables, key: &Key, condition: &Expression) -> ApiCall {
    let action = Action::on(tables, key).key(key).condition(condition);
    action.into_call(Operation::DeleteItem)
}

/// The members that a single write and one in a transaction share.
struct Action {
    members: Object,
}

impl Action {
    fn on(tables: &Tables, key: &Key) -> Self {
        let table = tables.name(key.table());
        Self {
            members: Object::from_iter([("TableName", table)]),
        }
    }

    fn row(self, key: &Key, row: Item) -> Self {
        self.with("Item", row.under(key).into_wire())
    }

    fn key(self, key: &Key) -> Self {
        self.with("Key", key.to_item().into_wire())
    }

    fn update(self, change: &Expression) -> Self {
        self.with("UpdateExpression", (*change.text).into())
            .terms(change)
    }

    /// A condition that returns the existing row on failure: a retry recognises its own earlier
    /// write by it.
    fn condition(self, condition: &Expression) -> Self {
        self.with("ConditionExpression", (*condition.text).into())
            .with("ReturnValuesOnConditionCheckFailure", "ALL_OLD".into())
            .terms(condition)
    }

    fn terms(mut self, expression: &Expression) -> Self {
        for attribute in expression.attributes() {
            let name = format!("#{attribute}");
            self.insert("ExpressionAttributeNames", name, attribute.into());
        }
        for (name, value) in &expression.values {
            let value = value.clone().into_wire();
            self.insert("ExpressionAttributeValues", name.to_string(), value);
        }
        self
    }

    fn insert(&mut self, member: &str, name: String, value: Json) {
        let terms = self.members.remove(member).and_then(Json::into_object);
        let mut terms = terms.unwrap_or_default();
        terms.insert(name, value);
        self.members.insert(member, terms);
    }

    fn with(mut self, name: &str, value: Json) -> Self {
        self.members.insert(name, value);
        self
    }

    fn into_call(self, operation: Operation) -> ApiCall {
        let call = ApiCall::new(operation);
        self.members
            .into_iter()
            .fold(call, |call, (name, value)| call.with(&name, value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{NOON, client};

    fn body(call: &ApiCall) -> serde_json::Value {
        let request = client([]).request(call, NOON).unwrap();
        serde_json::from_slice(request.body()).unwrap()
    }

    fn versions() -> Expression {
        Expression::of("#version = :version").with(":version", Attribute::number(7))
    }

    #[test]
    fn an_expression_lists_its_attribute_names() {
        let text = "attribute_not_exists(#PK) OR (#status = :s AND #request_id<:r)";
        let expression = Expression::of(text);
        let names: Vec<_> = expression.attributes().collect();
        assert_eq!(names, ["PK", "status", "request_id"]);
        let one = Expression::of("#ttl");
        assert_eq!(one.attributes().next(), Some("ttl"));
    }

    #[test]
    fn an_update_sets_and_names_each_attribute() {
        let change = Expression::set([
            ("status", Attribute::text("active")),
            ("version", Attribute::number(8)),
        ]);
        let change = change.removing("left").removing("right");
        let tables = Tables::default();
        let mut transaction = Transaction::new(&tables);
        transaction.update_if(&Key::key_document(), &change, &NEW);
        let update = &body(&transaction.into_call())["TransactItems"][0]["Update"];
        assert_eq!(
            update["UpdateExpression"],
            "SET #status = :status, #version = :version REMOVE #left, #right"
        );
        assert_eq!(
            update["ExpressionAttributeNames"],
            json!({"#PK": "PK", "#left": "left", "#right": "right", "#status": "status",
                "#version": "version"})
        );
        assert_eq!(
            update["ExpressionAttributeValues"],
            json!({":status": {"S": "active"}, ":version": {"N": "8"}})
        );
    }

    #[test]
    fn a_failed_conditional_write_returns_the_existing_row() {
        let row = Item::new().with_number("version", 8);
        let call = put_if(&Tables::default(), &Key::key_document(), row, &versions());
        assert!(call.is_repeatable());
        assert_eq!(
            body(&call),
            json!({
                "TableName": "TokenBlacklist",
                "Item": {"PK": {"S": "KEYS"}, "SK": {"S": "JWKS"}, "version": {"N": "8"}},
                "ConditionExpression": "#version = :version",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":version": {"N": "7"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                "ReturnConsumedCapacity": "TOTAL",
            })
        );
    }

    #[test]
    fn an_update_and_its_condition_share_names_and_values() {
        let tables = Tables::default();
        let mut transaction = Transaction::new(&tables);
        let change = Expression::of("SET #version = :next").with(":next", Attribute::number(8));
        transaction.update_if(&Key::key_document(), &change, &versions());
        let update = &body(&transaction.into_call())["TransactItems"][0]["Update"];
        assert_eq!(update["UpdateExpression"], "SET #version = :next");
        assert_eq!(
            update["ExpressionAttributeNames"],
            json!({"#version": "version"})
        );
        assert_eq!(
            update["ExpressionAttributeValues"],
            json!({":version": {"N": "7"}, ":next": {"N": "8"}})
        );
    }

    #[test]
    fn a_repeated_transaction_has_the_same_token_and_a_changed_one_another() {
        let tables = Tables::default();
        let token = |number: u64| {
            let mut transaction = Transaction::new(&tables);
            transaction.put(&Key::key_document(), Item::new().with_number("n", number));
            let body = body(&transaction.into_call());
            body["ClientRequestToken"].as_str().unwrap().to_owned()
        };
        assert_eq!(token(1), token(1));
        assert_ne!(token(1), token(2));
        assert!((1..=36).contains(&token(1).len()));
    }
}
