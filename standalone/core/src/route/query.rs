//! The parameters of a request, and what those of lists and watches mean.

use crate::status::{FieldError, FieldErrorKind, Status};

/// The parameters of a query, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// These parameters.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first of this name; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(one, _)| one == name).map_or("", |(_, value)| value)
    }

    /// All of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Whether the first of this name means yes, as Go's API machinery reads it: anything but nothing, `false` and `0`.
    pub fn flag(&self, name: &str) -> bool {
        match self.0.iter().find(|(one, _)| one == name) {
            None => false,
            Some((_, value)) => !matches!(value.to_lowercase().as_str(), "false" | "0"),
        }
    }

    /// Whether nothing is to be stored.
    ///
    /// # Errors
    /// 422: `dryRun` is not `All`.
    pub fn dry_run(&self, options: &str) -> Result<bool, Status> {
        let mut values = self.all("dryRun").peekable();
        let is_given = values.peek().is_some();
        match values.find(|value| *value != "All") {
            None => Ok(is_given),
            Some(value) => {
                let error = FieldError::new(
                    FieldErrorKind::NotSupported,
                    "dryRun",
                    Some(serde_json::json!([value])),
                    "supported values: \"All\"",
                );
                Err(Status::invalid("meta.k8s.io", options, "", &[error]))
            }
        }
    }

    /// How many a page has at most; none, and less than one, is no bound.
    fn limit(&self) -> Result<u64, Status> {
        match self.get("limit") {
            "" => Ok(0),
            text => text.parse::<i64>().map(|limit| u64::try_from(limit).unwrap_or_default()).map_err(|_| {
                Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }
}

/// How a resource version is meant.
const MATCH: &str = "resourceVersionMatch";
const WITH_TOKEN: &str = "resourceVersionMatch is forbidden when continue is provided";

/// `ListOptions`, but for selectors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// At most so many; 0 is no bound.
    pub limit: u64,
    /// Where the last page ended.
    pub token: Option<String>,
    /// The resource version that is asked for, if one is. 0 is any.
    pub revision: Option<u64>,
    /// Whether the list has to be of that very version.
    pub is_exact: bool,
    /// After how many seconds a watch ends.
    pub timeout: Option<u64>,
    /// Whether a watch is sent bookmarks.
    pub bookmarks: bool,
    /// Whether a watch begins with what there is.
    pub initial_events: Option<bool>,
}

fn forbidden(member: &str, why: &str) -> FieldError {
    FieldError::new(FieldErrorKind::Forbidden, member, None, why)
}

fn unsupported(matches: &str, supported: &str) -> FieldError {
    let why = format!("supported values: {supported}");
    FieldError::new(FieldErrorKind::NotSupported, MATCH, Some(matches.into()), why)
}

impl ListOptions {
    /// What `parameters` say.
    ///
    /// # Errors
    /// 400 or 422: they have no meaning, or none together.
    pub fn read(parameters: &Parameters, is_watch: bool) -> Result<Self, Status> {
        let revision = match parameters.get("resourceVersion") {
            "" => None,
            text => Some(text.parse::<u64>().map_err(|_| {
                let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                if is_watch {
                    Status::unexplained(format!("resourceVersion: Invalid value: {text:?}: {why}"))
                } else {
                    Status::bad_request(format!(
                        "invalid resource version: resourceVersion: Invalid value: {text:?}: {why}"
                    ))
                }
            })?),
        };
        let token = Some(parameters.get("continue").to_owned()).filter(|token| !token.is_empty());
        let matches = parameters.get("resourceVersionMatch");
        let initial = Some(parameters.get("sendInitialEvents")).filter(|text| !text.is_empty());
        let options = Self {
            limit: parameters.limit()?,
            token,
            revision,
            is_exact: matches == "Exact",
            timeout: parameters.number("timeoutSeconds")?,
            bookmarks: parameters.flag("allowWatchBookmarks"),
            initial_events: initial.map(|_| parameters.flag("sendInitialEvents")),
        };
        options.check(matches, is_watch)?;
        Ok(options)
    }

    fn check(&self, matches: &str, is_watch: bool) -> Result<(), Status> {
        let errors = if is_watch { self.watch_errors(matches) } else { self.list_errors(matches) };
        if !errors.is_empty() {
            return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
        if self.token.is_some() && self.revision.is_some_and(|revision| revision != 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(())
    }

    fn list_errors(&self, matches: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !matches.is_empty() {
            if self.revision.is_none() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                errors.push(forbidden(MATCH, why));
            }
            if self.token.is_some() {
                errors.push(forbidden(MATCH, WITH_TOKEN));
            }
            if !matches!(matches, "Exact" | "NotOlderThan") {
                errors.push(unsupported(matches, "\"Exact\", \"NotOlderThan\", \"\""));
            }
            if self.is_exact && self.revision == Some(0) {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(forbidden(MATCH, why));
            }
        }
        if self.initial_events.is_some() {
            errors.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        errors
    }

    fn watch_errors(&self, matches: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.initial_events.is_some() && matches != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(forbidden(MATCH, why));
        }
        if matches.is_empty() {
            return errors;
        }
        if self.initial_events.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(forbidden(MATCH, why));
        }
        if matches != "NotOlderThan" {
            errors.push(unsupported(matches, "\"NotOlderThan\""));
        }
        if self.token.is_some() {
            errors.push(forbidden(MATCH, WITH_TOKEN));
        }
        errors
    }
}
