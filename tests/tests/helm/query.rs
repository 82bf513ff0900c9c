//! Checks a PromQL query against the metrics that exist. Pure.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::Matchers;
use promql_parser::parser::{AggregateExpr, Call, Expr, LabelModifier, VectorSelector, parse};

/// The names that queries can have; of each whether it is a gauge, and its labels.
pub type Known = BTreeMap<String, (bool, Vec<&'static str>)>;

/// Functions that only make sense of what grows.
const GROWTH: [&str; 3] = ["rate", "irate", "increase"];

/// The names in `expr`, a query of Grafana's.
///
/// # Errors
/// In words: it cannot be parsed; a name, or a label of it, does not exist; a gauge is taken for a counter; a quantile is
/// asked of what has no buckets; `legend` shows a label that the result has not.
pub fn check(expr: &str, legend: &[String], known: &Known) -> Result<BTreeSet<String>, String> {
    let parsed = parse(&expr.replace("$__rate_interval", "5m")).map_err(|error| format!("parse: {error}"))?;
    let mut walk = QueryWalk { known, seen: BTreeSet::new() };
    let labels = walk.labels(&parsed)?;
    has(&labels, legend.iter().map(String::as_str), "the legend")?;
    Ok(walk.seen)
}

struct QueryWalk<'a> {
    known: &'a Known,
    seen: BTreeSet<String>,
}

type SeriesLabels = BTreeSet<String>;

impl QueryWalk<'_> {
    /// The labels of what `expr` gives.
    fn labels(&mut self, expr: &Expr) -> Result<SeriesLabels, String> {
        match expr {
            Expr::VectorSelector(selector) => self.selected(selector),
            Expr::MatrixSelector(matrix) => self.selected(&matrix.vs),
            Expr::Aggregate(aggregate) => self.aggregated(aggregate),
            Expr::Call(call) => self.called(call),
            Expr::Binary(binary) => {
                self.labels(&binary.rhs)?;
                self.labels(&binary.lhs)
            }
            Expr::Unary(unary) => self.labels(&unary.expr),
            Expr::Paren(paren) => self.labels(&paren.expr),
            Expr::Subquery(query) => self.labels(&query.expr),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(SeriesLabels::new()),
            Expr::Extension(_) => Err("an expression that nobody knows".to_owned()),
        }
    }

    fn selected(&mut self, selector: &VectorSelector) -> Result<SeriesLabels, String> {
        let name = selector.name.as_deref().ok_or("a selector without a name")?;
        let (_, labels) = self.known.get(name).ok_or_else(|| format!("there is no metric {name}"))?;
        let labels: SeriesLabels = labels.iter().map(|label| (*label).to_owned()).collect();
        let Matchers { matchers, or_matchers } = &selector.matchers;
        let matched = matchers.iter().chain(or_matchers.iter().flatten());
        has(&labels, matched.map(|matcher| matcher.name.as_str()), name)?;
        self.seen.insert(name.to_owned());
        Ok(labels)
    }

    fn aggregated(&mut self, aggregate: &AggregateExpr) -> Result<SeriesLabels, String> {
        let inner = self.labels(&aggregate.expr)?;
        let Some(modifier) = &aggregate.modifier else { return Ok(SeriesLabels::new()) };
        let named: SeriesLabels = modifier.labels().labels.iter().cloned().collect();
        has(&inner, named.iter().map(String::as_str), "what is aggregated")?;
        Ok(match modifier {
            LabelModifier::Include(_) => named,
            LabelModifier::Exclude(_) => inner.difference(&named).cloned().collect(),
        })
    }

    fn called(&mut self, call: &Call) -> Result<SeriesLabels, String> {
        let mut labels = SeriesLabels::new();
        for argument in &call.args.args {
            if let (Expr::MatrixSelector(matrix), true) = (&**argument, GROWTH.contains(&call.func.name)) {
                let name = matrix.vs.name.as_deref().unwrap_or_default();
                if self.known.get(name).is_some_and(|(gauge, _)| *gauge) {
                    return Err(format!("{name} is a gauge"));
                }
            }
            labels.extend(self.labels(argument)?);
        }
        if call.func.name == "histogram_quantile" && !labels.remove("le") {
            return Err("there is no label le to make a quantile of".to_owned());
        }
        Ok(labels)
    }
}

/// Checks that `labels` of `whose` hold all that are `named`.
fn has<'a>(
    labels: &SeriesLabels,
    mut named: impl Iterator<Item = &'a str>,
    whose: &str,
) -> Result<(), String> {
    match named.find(|label| !labels.contains(*label)) {
        Some(label) => Err(format!("{whose} has no label {label}")),
        None => Ok(()),
    }
}
