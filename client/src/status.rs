//! What the API answers instead of an object.

use fleetmesh_standalone_core::status::quoted;
use serde_json::{Value, json};

/// A `Status` of a request that was not done.
#[derive(Clone, Debug)]
pub struct Status(Value);

impl Status {
    /// Of an answer with this code. What is no `Status` gets the words that kubectl has for the code.
    pub fn read(code: u16, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if value["kind"] == "Status" {
            return Self(value);
        }
        let (reason, message) = match code {
            401 => ("Unauthorized", "the server has asked for the client to provide credentials"),
            404 => ("NotFound", "the server could not find the requested resource"),
            405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("InternalError", "the server answered with an unknown error"),
        };
        Self(json!({ "reason": reason, "message": message, "code": code }))
    }

    /// The reason in one word, or nothing.
    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().unwrap_or_default()
    }

    /// The reason in words.
    pub fn message(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// With another message.
    pub fn saying(mut self, message: String) -> Self {
        self.0["message"] = message.into();
        self
    }

    /// What to print when it is the only error.
    pub fn shown(&self) -> String {
        if self.reason() == "Invalid" { self.invalid() } else { self.standard() }
    }

    /// What to print among others.
    pub fn standard(&self) -> String {
        match (self.reason(), self.message()) {
            ("Unauthorized", message) => format!("error: You must be logged in to the server ({message})"),
            ("", message) => format!("Error from server: {message}"),
            (reason, message) => format!("Error from server ({reason}): {message}"),
        }
    }

    fn invalid(&self) -> String {
        let details = &self.0["details"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&details["kind"]), text(&details["name"]));
        let mut causes: Vec<String> = Vec::new();
        for cause in details["causes"].as_array().into_iter().flatten() {
            let line = format!("{}: {}", text(&cause["field"]), text(&cause["message"]));
            if !causes.contains(&line) {
                causes.push(line);
            }
        }
        let mut head = "The request is invalid".to_owned();
        if !kind.is_empty() || !name.is_empty() {
            head = format!("The {kind} {} is invalid", quoted(&name));
        } else if causes.is_empty() && !self.message().is_empty() {
            head = format!("{head}: {}", self.message());
        }
        match causes.as_slice() {
            [] => head,
            [cause] => format!("{head}: {cause}"),
            causes => format!("{head}: \n* {}", causes.join("\n* ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_in_kubectls_words() {
        let status = |value: Value| Status::read(409, value.to_string().as_bytes()).shown();
        let conflict = json!({"kind": "Status", "reason": "Conflict", "message": "m"});
        assert_eq!(status(conflict), "Error from server (Conflict): m");
        assert_eq!(status(json!({"kind": "Status", "message": "m"})), "Error from server: m");
        let cause = |field: &str| json!({"field": field, "message": "is wrong"});
        let invalid = |causes: Value| {
            status(json!({"kind": "Status", "reason": "Invalid", "message": "m",
                          "details": {"kind": "Mesh", "name": "a", "causes": causes}}))
        };
        assert_eq!(invalid(json!([cause("x"), cause("x")])), "The Mesh \"a\" is invalid: x: is wrong");
        assert_eq!(
            invalid(json!([cause("x"), cause("y")])),
            "The Mesh \"a\" is invalid: \n* x: is wrong\n* y: is wrong"
        );
        assert_eq!(invalid(json!([])), "The Mesh \"a\" is invalid");
        let plain = Status::read(404, b"404 page not found");
        assert_eq!(
            plain.shown(),
            "Error from server (NotFound): the server could not find the requested resource"
        );
        assert!(plain.is_not_found());
    }
}
