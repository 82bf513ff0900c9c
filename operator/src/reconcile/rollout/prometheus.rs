//! An instant query to a Prometheus (HTTP API, `GET /api/v1/query`), which must give one number. Of what the server says
//! otherwise nothing is repeated but its status and which of Prometheus' own classes of errors it names. Pure.

use fleetmesh_api::urls::escape;
use fleetmesh_core::canary::AskOutcome;
use serde::Deserialize;
use serde_json::Value;

use crate::outbound::{ExchangeAnswer, OutboundFailure};

/// The classes of errors in Prometheus' HTTP API (`errorType`), in its own words.
const ERRORS: [&str; 7] =
    ["timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found"];
/// The types of results that give no number.
const RESULTS: [&str; 3] = ["matrix", "string", "streams"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePrometheus {
    status: String,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

/// What is asked for behind the path of the server.
pub fn target(query: &str) -> String {
    format!("/api/v1/query?query={}", escape(query))
}

/// What the query gave.
pub fn outcome(answer: Result<ExchangeAnswer, OutboundFailure>) -> AskOutcome {
    match answer {
        Err(why) => AskOutcome::Error(format!("Prometheus cannot be asked: {why}")),
        Ok(answer) => read(answer.status, &answer.body),
    }
}

fn read(status: u16, body: &[u8]) -> AskOutcome {
    let wire = match serde_json::from_slice::<WirePrometheus>(body) {
        Ok(wire) => wire,
        Err(_) => return AskOutcome::Error(format!("Prometheus answers with status {status} and no result")),
    };
    match (wire.status.as_str(), wire.data) {
        ("success", Some(data)) => number(&data),
        _ => {
            let class = wire.error_type.unwrap_or_default();
            let class = ERRORS.iter().find(|known| **known == class);
            let class = class.map(|class| format!(" ({class})")).unwrap_or_default();
            AskOutcome::Error(format!("Prometheus refuses the query with status {status}{class}"))
        }
    }
}

/// A vector of one series or a scalar; each is `[time, "number"]`.
fn number(data: &Data) -> AskOutcome {
    let value = match data.result_type.as_str() {
        "scalar" => data.result.get(1),
        "vector" => match data.result.as_array().map(Vec::as_slice) {
            Some([]) => return AskOutcome::NoData,
            Some([one]) => one.pointer("/value/1"),
            Some(many) => {
                let count = many.len();
                return AskOutcome::Error(format!("the query gives {count} series: aggregate it to one"));
            }
            None => None,
        },
        other => {
            let other = RESULTS.iter().find(|known| **known == other).unwrap_or(&"something else");
            return AskOutcome::Error(format!(
                "the query gives a result of the type {other}: it must give a vector of one series or a scalar"
            ));
        }
    };
    match value.and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok()) {
        Some(value) if value.is_finite() => AskOutcome::Value(value),
        Some(_) => AskOutcome::NoData,
        None => AskOutcome::Error("Prometheus answers without a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(result_type: &str, result: &str) -> AskOutcome {
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"{result_type}","result":{result}}}}}"#);
        read(200, body.as_bytes())
    }

    #[test]
    fn one_series_or_a_scalar_is_a_number() {
        assert_eq!(
            answer("vector", r#"[{"metric":{},"value":[1435781451.781,"99.5"]}]"#),
            AskOutcome::Value(99.5)
        );
        assert_eq!(answer("scalar", r#"[1435781451.781,"3"]"#), AskOutcome::Value(3.0));
    }

    #[test]
    fn an_empty_result_and_nan_are_no_data() {
        assert_eq!(answer("vector", "[]"), AskOutcome::NoData);
        assert_eq!(answer("vector", r#"[{"metric":{},"value":[1,"NaN"]}]"#), AskOutcome::NoData);
    }

    #[test]
    fn everything_else_is_an_error_in_words() {
        let two = r#"[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"2"]}]"#;
        let says = |outcome: AskOutcome, words: &str| match outcome {
            AskOutcome::Error(text) => assert!(text.contains(words), "{text}"),
            other => panic!("{other:?} instead of an error about {words}"),
        };
        says(answer("vector", two), "2 series");
        says(answer("matrix", "[]"), "the type matrix");
        says(
            read(400, br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            "400 (bad_data)",
        );
        says(read(502, b"<html>"), "status 502");
        says(answer("vector", r#"[{"metric":{},"value":[1]}]"#), "without a number");
    }

    #[test]
    fn nothing_that_a_server_says_is_repeated() {
        for body in [
            r#"{"status":"error","errorType":"s3cr3t","error":"s3cr3t"}"#,
            r#"{"status":"s3cr3t","data":{"resultType":"s3cr3t","result":"s3cr3t"}}"#,
            r#"{"status":"success","data":{"resultType":"s3cr3t","result":"s3cr3t"}}"#,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"s3cr3t"]}]}}"#,
            r#"{"AccessKeyId":"s3cr3t","SecretAccessKey":"s3cr3t"}"#,
            "s3cr3t",
        ] {
            match read(200, body.as_bytes()) {
                AskOutcome::Error(text) => assert!(!text.contains("s3cr3t"), "{text}"),
                other => panic!("{other:?} of {body}"),
            }
        }
    }
}
