//! One rule.

use std::sync::{Arc, OnceLock};

use kube_cel::cel::objects::OptionalValue;
use kube_cel::cel::{Context, ExecutionError, Program, Value as Cel};
use serde_json::Value;

use super::RulesError;
use super::value::to_cel;
use crate::schema::failure::{child, error, invalid};
use crate::schema::shape::{JsonType, Schema};
use crate::status::{FieldError, FieldErrorKind};

/// The longest message of an expression, in bytes.
const MAX_MESSAGE: usize = 5 * 1024;

/// A rule, compiled when it is needed.
#[derive(Debug)]
pub(super) struct Rule {
    source: String,
    message: Option<String>,
    message_expression: Option<String>,
    reason: Option<String>,
    field_path: Option<String>,
    pub(super) optional_old_self: bool,
    /// Whether the rule names `oldSelf`.
    transition: bool,
    compiled: OnceLock<Result<Compiled, String>>,
}

#[derive(Debug)]
pub(super) struct Compiled {
    program: Program,
    message: Option<Program>,
}

impl Rule {
    pub(super) fn read(json: &Value, path: &str) -> Result<Self, RulesError> {
        let wrong = || RulesError::Shape { rule: json.to_string(), path: path.to_owned() };
        let text = |name: &str| match json.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let text = value.as_str().ok_or_else(wrong)?.trim();
                Ok((!text.is_empty()).then(|| text.to_owned()))
            }
        };
        let source = text("rule")?.ok_or_else(wrong)?;
        let optional = json.get("optionalOldSelf").and_then(Value::as_bool);
        Ok(Self {
            transition: names_old_self(&source),
            source,
            message: text("message")?,
            message_expression: text("messageExpression")?,
            reason: text("reason")?,
            field_path: text("fieldPath")?.map(|path| normalized(&path)),
            optional_old_self: optional == Some(true),
            compiled: OnceLock::new(),
        })
    }

    /// Whether the rule compares with the old value.
    pub(super) fn needs_old(&self) -> bool {
        self.transition
    }

    pub(super) fn compiled(&self) -> Result<&Compiled, String> {
        let compile = |source: &str| Program::compile(source).map_err(|error| error.to_string());
        let compiled = self.compiled.get_or_init(|| {
            let message = self.message_expression.as_deref().map(compile).transpose()?;
            Ok(Compiled { program: compile(&self.source)?, message })
        });
        compiled.as_ref().map_err(Clone::clone)
    }

    /// What the value breaks of this rule, if it does.
    pub(super) fn check(
        &self,
        evaluation: &Evaluation<'_>,
        schema: &Schema,
        path: &str,
        value: &Value,
    ) -> Option<FieldError> {
        let type_name = || Value::String(schema.json_type.map_or("", JsonType::name).to_owned());
        let compiled = match self.compiled() {
            Ok(compiled) => compiled,
            Err(problem) => {
                return Some(invalid(path, type_name(), format!("rule compile error: {problem}")));
            }
        };
        let scope = evaluation.scope(self.optional_old_self);
        match compiled.program.execute(&scope) {
            Ok(Cel::Bool(true)) => None,
            Ok(_) => Some(self.broken(compiled, &scope, schema, path, value)),
            Err(error) => {
                let detail = match failure(&error) {
                    overload @ "no such overload" => format!(
                        "'{overload}': call arguments did not match a supported operator, function or macro signature for rule: {}",
                        self.name()
                    ),
                    "" => format!("{error} evaluating rule: {}", self.name()),
                    known => format!("{known} evaluating rule: {}", self.name()),
                };
                Some(invalid(path, type_name(), detail))
            }
        }
    }

    fn broken(
        &self,
        compiled: &Compiled,
        scope: &Context<'_>,
        schema: &Schema,
        path: &str,
        value: &Value,
    ) -> FieldError {
        let field = self.field_path.as_ref().map_or_else(|| path.to_owned(), |below| child(path, below));
        let omitted = matches!(schema.json_type, Some(JsonType::Object | JsonType::Array));
        let shown = (!omitted).then(|| value.clone());
        let detail = compiled
            .message
            .as_ref()
            .and_then(|message| expressed(message, scope))
            .unwrap_or_else(|| self.default_message());
        let (kind, detail) = match self.reason.as_deref() {
            Some("FieldValueForbidden") => (FieldErrorKind::Forbidden, detail),
            Some("FieldValueRequired") => (FieldErrorKind::Required, detail),
            Some("FieldValueDuplicate") => (FieldErrorKind::Duplicate, String::new()),
            _ => (FieldErrorKind::Invalid, detail),
        };
        error(kind, &field, shown, detail)
    }

    fn name(&self) -> &str {
        self.message.as_deref().unwrap_or(&self.source)
    }

    fn default_message(&self) -> String {
        self.message.clone().unwrap_or_else(|| format!("failed rule: {}", self.source))
    }
}

/// The API server's words for an error of an evaluation; empty where ours are as good.
fn failure(error: &ExecutionError) -> &str {
    match error {
        ExecutionError::FunctionError { function, message } => match function.as_str() {
            "matches" => message,
            "duration" => "type conversion error from 'string' to 'google.protobuf.Duration'",
            "timestamp" => "type conversion error from 'string' to 'google.protobuf.Timestamp'",
            _ => "",
        },
        ExecutionError::DivisionByZero(_) => "division by zero",
        ExecutionError::RemainderByZero(_) => "modulus by zero",
        ExecutionError::Overflow(..) => "integer overflow",
        ExecutionError::NoSuchOverload | ExecutionError::UnsupportedBinaryOperator(..) => "no such overload",
        _ => "",
    }
}

/// The message of an expression, if it is a line of text that is not too long.
fn expressed(message: &Program, scope: &Context<'_>) -> Option<String> {
    let Ok(Cel::String(text)) = message.execute(scope) else { return None };
    let text = text.trim();
    let usable = !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
    usable.then(|| text.to_owned())
}

/// Whether an expression names `oldSelf` outside of its string literals.
fn names_old_self(source: &str) -> bool {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let mut quoted: Option<char> = None;
    let mut word = String::new();
    let mut escaped = false;
    for character in source.chars().chain(std::iter::once(' ')) {
        if let Some(quote) = quoted {
            if character == quote && !escaped {
                quoted = None;
            }
            escaped = character == '\\' && !escaped;
            continue;
        }
        if is_name(character) {
            word.push(character);
            continue;
        }
        if word == "oldSelf" {
            return true;
        }
        word.clear();
        if matches!(character, '\'' | '"') {
            quoted = Some(character);
        }
    }
    false
}

/// `.spec.a['b']` as `spec.a[b]`.
fn normalized(path: &str) -> String {
    path.trim_start_matches('.').replace("['", "[").replace("']", "]")
}

/// The variables of one value's rules.
pub(super) struct Evaluation<'c> {
    plain: Context<'c>,
    old: Option<Cel>,
}

impl<'c> Evaluation<'c> {
    pub(super) fn new(
        functions: &'c Context<'c>,
        schema: &Schema,
        value: &Value,
        old: Option<&Value>,
    ) -> Self {
        let mut plain = functions.new_inner_scope();
        plain.add_variable_from_value("self", to_cel(value, Some(schema)));
        let old = old.map(|old| to_cel(old, Some(schema)));
        if let Some(old) = &old {
            plain.add_variable_from_value("oldSelf", old.clone());
        }
        Self { plain, old }
    }

    fn scope(&self, optional_old_self: bool) -> Context<'_> {
        let mut scope = self.plain.new_inner_scope();
        if optional_old_self {
            let old = self.old.clone().map_or_else(OptionalValue::none, OptionalValue::of);
            scope.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
        }
        scope
    }
}
