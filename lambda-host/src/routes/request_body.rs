//! The members of a request body, declared once: for the parser and for the OpenAPI document.
//!
//! [`request_body!`] declares a body. [`json_body`](super::json_body) and the forms of OAuth read
//! it from a request.

use portcullis_core::email::EmailAddress;
use portcullis_core::password::Password;
use portcullis_core::secret::Secret;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::problem::Problem;

/// Declares a body with its members, each [`Required`] or [`Optional`]. The comments are the
/// descriptions of the document. `#[schema(..)]` adds the rules of [`TextSchema`]:
///
/// ```text
/// request_body! {
///     /// The first code.
///     #[schema(as = FirstCode)]
///     struct ConfirmBody {
///         /// The code that the device shows.
///         #[schema(pattern = "^[0-9 ]{6,12}$", example = "287082")]
///         code: Required,
///     }
/// }
/// ```
macro_rules! request_body {
    (
        $(#[doc = $doc:literal])+
        #[schema(as = $schema:ident)]
        $vis:vis struct $body:ident {
            $(
                $(#[doc = $member_doc:literal])+
                $(#[schema($($rule:ident $(= $value:expr)?),+ $(,)?)])?
                $member:ident: $kind:ty,
            )+
        }
    ) => {
        $(#[doc = $doc])+
        $vis struct $body {
            $(
                $(#[doc = $member_doc])+
                $vis $member: $kind,
            )+
        }

        impl $crate::routes::request_body::RequestBody for $body {
            fn take(members: &mut impl $crate::routes::request_body::Members) -> Self {
                Self {
                    $($member: $crate::routes::request_body::Member::take(
                        members,
                        stringify!($member),
                    ),)+
                }
            }
        }

        impl utoipa::ToSchema for $body {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($schema).into()
            }
        }

        impl utoipa::PartialSchema for $body {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::routes::request_body::BodySchema::new(&[$($doc),+])
                    $(.member::<$kind>(
                        stringify!($member),
                        &[$($member_doc),+],
                        |text| text $($(.$rule($($value)?))+)?,
                    ))+
                    .build()
            }
        }
    };
}
pub(super) use request_body;

/// A body that [`request_body!`] declares.
pub(super) trait RequestBody: ToSchema {
    /// Takes every declared member.
    // SECURITY: no member's problem ends the loop early, so each secret is wiped even if the body
    // is malformed.
    fn take(members: &mut impl Members) -> Self;
}

/// The members of a request while they are taken: of a JSON object, or of a form.
pub(super) trait Members {
    /// The text of the member `name`, if present.
    ///
    /// # Errors
    ///
    /// The [`Problem`] of a value that is no text.
    fn take(&mut self, name: &'static str) -> Result<Option<Secret<String>>, Problem>;
}

/// A kind of member.
pub(super) trait Member {
    /// Whether the document lists it as required.
    const REQUIRED: bool;

    /// The member `name`, with its problem if it has one.
    fn take(members: &mut impl Members, name: &'static str) -> Self;
}

/// A text that the body must have. Its problem is kept until the value is parsed.
#[derive(Debug)]
pub(super) struct Required(Result<Secret<String>, Problem>);

impl Member for Required {
    const REQUIRED: bool = true;

    fn take(members: &mut impl Members, name: &'static str) -> Self {
        let value = members.take(name);
        Self(value.and_then(|value| value.ok_or(Problem::MissingMember(name))))
    }
}

impl Required {
    /// The text.
    pub(super) fn text(self) -> Result<Secret<String>, Problem> {
        self.0
    }

    /// The text as an e-mail address.
    pub(super) fn email(self) -> Result<EmailAddress, Problem> {
        EmailAddress::parse(self.0?.expose()).map_err(Problem::BadEmail)
    }

    /// The text as a password.
    pub(super) fn password(self) -> Result<Password, Problem> {
        Password::parse(&self.0?).map_err(Problem::BadPassword)
    }
}

/// A text that the body may have. Its problem is kept until the value is parsed.
#[derive(Debug)]
pub(super) struct Optional(Result<Option<Secret<String>>, Problem>);

impl Member for Optional {
    const REQUIRED: bool = false;

    fn take(members: &mut impl Members, name: &'static str) -> Self {
        Self(members.take(name))
    }
}

impl Optional {
    /// A missing member.
    pub(super) const fn absent() -> Self {
        Self(Ok(None))
    }

    /// The text, if present.
    pub(super) fn text(self) -> Result<Option<Secret<String>>, Problem> {
        self.0
    }

    /// The text as a password, if present.
    pub(super) fn password(self) -> Result<Option<Password>, Problem> {
        let parse = |text: Secret<String>| Password::parse(&text).map_err(Problem::BadPassword);
        self.0?.map(parse).transpose()
    }
}

/// The description of a body.
pub(super) struct BodySchema(ObjectBuilder);

impl BodySchema {
    /// A body without members. `doc` are the lines of its comment.
    pub(super) fn new(doc: &[&str]) -> Self {
        let body = ObjectBuilder::new().schema_type(Type::Object);
        Self(body.description(Some(description(doc))))
    }

    /// Adds a member of the kind `M`.
    pub(super) fn member<M: Member>(
        self,
        name: &str,
        doc: &[&str],
        rules: impl FnOnce(TextSchema) -> TextSchema,
    ) -> Self {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let text = rules(TextSchema {
            text: text.description(Some(description(doc))),
            ignored: false,
        });
        if text.ignored {
            return self;
        }
        let body = self.0.property(name, text.text);
        Self(if M::REQUIRED {
            body.required(name)
        } else {
            body
        })
    }

    pub(super) fn build(self) -> RefOr<Schema> {
        self.0.into()
    }
}

/// The description of a member, with the rules that `#[schema(..)]` can have.
pub(super) struct TextSchema {
    text: ObjectBuilder,
    ignored: bool,
}

impl TextSchema {
    /// The minimum number of characters.
    pub(super) fn min_length(mut self, characters: usize) -> Self {
        self.text = self.text.min_length(Some(characters));
        self
    }

    /// The maximum number of characters.
    pub(super) fn max_length(mut self, characters: usize) -> Self {
        self.text = self.text.max_length(Some(characters));
        self
    }

    /// A regular expression that the text matches.
    pub(super) fn pattern(mut self, expression: &str) -> Self {
        self.text = self.text.pattern(Some(expression));
        self
    }

    /// An example, in the form that the derived schemas have.
    #[expect(
        deprecated,
        reason = "the derive macro of `ToSchema` writes `example` too"
    )]
    pub(super) fn example(mut self, text: &str) -> Self {
        self.text = self.text.example(Some(text.into()));
        self
    }

    /// Leaves the member out of the document: the host reads it only to reject the request.
    pub(super) const fn ignore(mut self) -> Self {
        self.ignored = true;
        self
    }
}

/// The text of a comment.
fn description(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc.iter().map(|line| line.trim()).collect();
    lines.join("\n")
}
