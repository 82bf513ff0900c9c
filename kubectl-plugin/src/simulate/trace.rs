//! A trace from CSV. Pure.

use std::time::Duration;

use fleetmesh_core::canary::simulate::{Requests, SimulatedRow, Trace};
use fleetmesh_core::canary::time::in_words;
use fleetmesh_core::canary::{AskOutcome, Spec};
use fleetmesh_crds::Verb;
use fleetmesh_crds::canary::{Canary, MetricSource};
use jiff::{SignedDuration, Timestamp};

use crate::action::word;

/// Before the name of a webhook in the header.
const WEBHOOK: &str = "webhook:";
/// A trace has no more rows than this: a week of seconds.
const MAX_ROWS: usize = 7 * 24 * 3600;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Time,
    Requests,
    Errors,
    Metric(String),
    Webhook(String),
    Action,
}

/// The trace in `text` for a route of `spec`, and when it begins: without dates in the file, 1970.
///
/// # Errors
/// A column that the analysis needs is missing, another is not known, or a cell cannot be meant; which, in words.
pub fn read(text: &str, spec: &Spec) -> Result<(Trace, Timestamp), String> {
    let canary = spec.canary.clone().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns = columns(&header, &canary)?;
    let mut rows: Vec<SimulatedRow> = Vec::new();
    let mut start = None;
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let (time, mut row) = row(&columns, &record).map_err(|words| format!("line {line}: {words}"))?;
        let since = time.duration_since(*start.get_or_insert(time));
        let since = Duration::try_from(since).ok();
        let later = since.filter(|since| rows.last().is_none_or(|last| *since > last.at));
        let Some(at) = later else {
            return Err(format!("line {line}: the time must be after that of the row before"));
        };
        if rows.len() == MAX_ROWS {
            return Err(format!("line {line}: there are more than {MAX_ROWS} rows"));
        }
        row.at = at;
        rows.push(row);
    }
    check_gaps(&rows, &canary)?;
    Ok((Trace { rows }, start.unwrap_or(Timestamp::UNIX_EPOCH)))
}

fn columns(header: &csv::StringRecord, canary: &Canary) -> Result<Vec<Column>, String> {
    let metrics = canary.effective_analysis().effective_metrics();
    let is_query = |name: &str| {
        metrics
            .iter()
            .any(|metric| metric.name == name && matches!(metric.source, MetricSource::Prometheus(_)))
    };
    let column = |name: &str| match name {
        "time" => Ok(Column::Time),
        "requests" => Ok(Column::Requests),
        "errors" => Ok(Column::Errors),
        "action" => Ok(Column::Action),
        name if is_query(name) => Ok(Column::Metric(name.to_owned())),
        name => match name.strip_prefix(WEBHOOK) {
            Some(hook) if canary.webhooks.iter().any(|known| known.effective_name() == hook) => {
                Ok(Column::Webhook(hook.to_owned()))
            }
            _ => Err(format!(
                "the column {name:?} is not known: there are time, requests, errors, action, {WEBHOOK}NAME, and the names of the Route's prometheus metrics"
            )),
        },
    };
    let columns = header.iter().map(column).collect::<Result<Vec<Column>, String>>()?;
    let mut needed = vec![("time".to_owned(), Column::Time, "each row has one".to_owned())];
    for metric in &metrics {
        let why = format!("the metric {} is judged by it", metric.name);
        needed.push(match metric.source {
            MetricSource::LoadReport(_) => ("requests".to_owned(), Column::Requests, why),
            MetricSource::Prometheus(_) => (metric.name.clone(), Column::Metric(metric.name.clone()), why),
        });
    }
    for (name, column, why) in needed {
        match columns.iter().filter(|known| **known == column).count() {
            0 => return Err(format!("the column {name} is missing: {why}")),
            1 => {}
            _ => return Err(format!("the column {name} is there twice")),
        }
    }
    Ok(columns)
}

fn row(columns: &[Column], record: &csv::StringRecord) -> Result<(Timestamp, SimulatedRow), String> {
    let (mut at, mut row) = (Timestamp::UNIX_EPOCH, SimulatedRow::default());
    let (mut requests, mut failed) = (None, 0);
    for (column, cell) in columns.iter().zip(record) {
        match column {
            Column::Time => at = time(cell)?,
            Column::Requests => requests = count(cell)?,
            Column::Errors => failed = count(cell)?.unwrap_or(0),
            // No number is given by an empty cell.
            Column::Metric(_) if cell.is_empty() => {}
            Column::Metric(name) => {
                row.metrics.insert(name.clone(), outcome(cell)?);
            }
            Column::Webhook(_) | Column::Action if cell.is_empty() => {}
            Column::Webhook(name) => {
                let answer = serde_json::from_value(cell.into()).map_err(|_| {
                    format!("{cell:?} is no answer: write Confirmed, NotYet, Refused or Error")
                })?;
                row.webhooks.insert(name.clone(), answer);
            }
            Column::Action => row.action = Some(verb(cell)?),
        }
    }
    let succeeded = requests.unwrap_or(0).checked_sub(failed);
    let succeeded = succeeded.ok_or_else(|| format!("{failed} errors are more than the requests"))?;
    row.requests = requests.map(|_| Requests { succeeded, failed });
    Ok((at, row))
}

fn time(cell: &str) -> Result<Timestamp, String> {
    if let Ok(time) = cell.parse::<Timestamp>() {
        return Ok(time);
    }
    let since = match cell.parse::<f64>() {
        Ok(seconds) => SignedDuration::try_from_secs_f64(seconds).ok().filter(|since| !since.is_negative()),
        Err(_) => {
            humantime::parse_duration(cell).ok().and_then(|length| SignedDuration::try_from(length).ok())
        }
    };
    since.and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok()).ok_or_else(|| {
        format!("{cell:?} is no time: write seconds (90), a length (1m30s) or a date (2026-12-01T10:00:00Z)")
    })
}

fn count(cell: &str) -> Result<Option<u64>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    cell.parse().map(Some).map_err(|_| format!("{cell:?} is no count of requests"))
}

fn outcome(cell: &str) -> Result<AskOutcome, String> {
    match cell {
        "error" => Ok(AskOutcome::Error("the trace says that the source did not answer".to_owned())),
        number => number.parse().map(AskOutcome::Value).map_err(|_| {
            format!("{number:?} is no number: leave it empty for no number, and write error for no answer")
        }),
    }
}

fn verb(cell: &str) -> Result<Verb, String> {
    Verb::ALL.into_iter().find(|verb| word(*verb) == cell).ok_or_else(|| {
        let words: Vec<&str> = Verb::ALL.into_iter().map(word).collect();
        format!("{cell:?} is no action: write {}", words.join(", "))
    })
}

/// A trace whose rows are all further apart than the analysis looks back would only show outages.
fn check_gaps(rows: &[SimulatedRow], canary: &Canary) -> Result<(), String> {
    let interval = canary.effective_analysis().interval();
    let gaps = rows.iter().zip(rows.iter().skip(1)).map(|(one, next)| next.at.saturating_sub(one.at));
    match gaps.min() {
        None => Err("there must be at least two rows".to_owned()),
        Some(gap) if gap > interval => Err(format!(
            "the rows are {} apart, and the analysis looks back {}: record more often, or judge less often (analysis.interval)",
            in_words(gap),
            in_words(interval)
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_crds::canary::WebhookAnswer;
    use serde_json::json;

    use super::*;

    fn canary() -> Canary {
        let prometheus = json!({"prometheus": {"address": "http://prometheus:9090", "query": "q"}});
        serde_json::from_value(json!({
            "analysis": {"metrics": [
                {"name": "success", "source": {"loadReport": {}}, "thresholdRange": {"min": 99}},
                {"name": "p99", "source": prometheus, "thresholdRange": {"max": 500}}]},
            "webhooks": [{"type": "confirm-promotion", "url": "https://gate.example"}]}))
        .unwrap()
    }

    fn trace(text: &str) -> Result<Trace, String> {
        let spec = Spec { uid: String::new(), targets: Vec::new(), canary: Some(canary()) };
        read(text, &spec).map(|(trace, _)| trace)
    }

    #[test]
    fn every_kind_of_cell_is_read() {
        let text = "time, requests, errors, p99, webhook:confirm-promotion, action\n\
                    0, 100, 1, 200, NotYet,\n30, , , , ,promote\n1m, 0, 0, error, Confirmed, skip-step\n";
        let rows = trace(text).unwrap().rows;
        assert_eq!(rows[0].requests, Some(Requests { succeeded: 99, failed: 1 }));
        assert_eq!(rows[0].metrics["p99"], AskOutcome::Value(200.0));
        assert_eq!(rows[0].webhooks["confirm-promotion"], WebhookAnswer::NotYet);
        assert_eq!(
            (rows[1].requests, rows[1].metrics.get("p99"), rows[1].action),
            (None, None, Some(Verb::Promote))
        );
        assert_eq!((rows[2].requests, rows[2].action), (Some(Requests::default()), Some(Verb::SkipStep)));
        assert!(matches!(rows[2].metrics["p99"], AskOutcome::Error(_)));
        assert_eq!(rows[2].at, Duration::from_secs(60));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_way_out() {
        for (text, expected) in [
            ("time,p99\n0,1\n", "requests is missing: the metric success is judged by it"),
            ("time,requests\n0,1\n", "column p99 is missing"),
            ("time,requests,p99,p95\n", "\"p95\" is not known"),
            ("time,requests,p99,webhook:other\n", "\"webhook:other\" is not known"),
            ("time,time,requests,p99\n", "time is there twice"),
            ("time,requests,p99\nsoon,1,1\n", "line 2: \"soon\" is no time"),
            ("time,requests,p99\n-1,1,1\n", "is no time"),
            ("time,requests,p99\n1e300,1,1\n", "is no time"),
            ("time,requests,p99\n0,x,1\n", "is no count"),
            ("time,requests,p99\n0,1,fast\n", "is no number"),
            ("time,requests,errors,p99\n0,1,2,1\n", "2 errors are more than the requests"),
            ("time,requests,p99,action\n0,1,1,go\n", "is no action: write promote, promote-full"),
            ("time,requests,p99\n30,1,1\n30,1,1\n", "line 3: the time must be after"),
            ("time,requests,p99\n0,1,1\n", "at least two rows"),
            ("time,requests,p99\n0,1,1\n60,1,1\n", "apart, and the analysis looks back 30s"),
            ("time,requests,p99\n0,1\n", "line"),
            ("", "time is missing"),
        ] {
            let words = trace(text).unwrap_err();
            assert!(words.contains(expected), "{text}: {words}");
        }
    }
}
