//! Grafana's dashboard and the table of metrics: each name and each label in them is one that operator or control plane
//! has, and none that they have is missing.

use std::collections::BTreeSet;

use fleetmesh_metrics::{Description, MetricKind, Series};
use fleetmesh_testbed::helm::chart;
use fleetmesh_testbed::tools;
use serde_json::Value;

use crate::query::{Known, check};

/// Every family of both programs, those without samples too.
fn families() -> Vec<Description> {
    let operator = fleetmesh_operator::metrics::Metrics::new();
    let control_plane = fleetmesh_control_plane::metrics::ServerMetrics::new();
    operator.families().iter().chain(control_plane.families()).cloned().collect()
}

fn known(families: &[Description]) -> Known {
    let series = |family: &Description| {
        let gauge = family.kind == MetricKind::Gauge;
        family.series().into_iter().map(move |Series { name, labels }| (name, (gauge, labels)))
    };
    families.iter().flat_map(series).collect()
}

/// A panel's title, its query, and the labels that its legend shows.
fn queries(dashboard: &Value) -> Vec<(String, String, Vec<String>)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(|target| (panel["title"].as_str().unwrap().to_owned(), target))
    });
    let legend = |text: &str| {
        let parts = text.split("{{").skip(1);
        parts.map(|part| part.split("}}").next().unwrap().trim().to_owned()).collect()
    };
    targets
        .map(|(title, target)| {
            let expr = target["expr"].as_str().unwrap().to_owned();
            (title, expr, legend(target["legendFormat"].as_str().unwrap()))
        })
        .collect()
}

fn dashboard() -> Value {
    let path = chart().unwrap().join("dashboards/fleetmesh.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_query_of_the_dashboard_is_about_metrics_that_exist() {
    let families = families();
    let known = known(&families);
    let mut used = BTreeSet::new();
    let queries = queries(&dashboard());
    for (title, expr, legend) in &queries {
        let seen = check(expr, legend, &known).unwrap_or_else(|wrong| panic!("{title}: {wrong} in {expr}"));
        used.extend(seen);
    }
    let unseen: Vec<&str> = families
        .iter()
        .filter(|family| !family.series().iter().any(|series| used.contains(&series.name)))
        .map(|family| family.name.as_str())
        .collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}");
    println!("{} queries, {} metrics in {} families", queries.len(), known.len(), families.len());
}

#[test]
fn every_query_of_the_page_is_about_metrics_that_exist() {
    let page = std::fs::read_to_string(tools::workspace_dir().unwrap().join("docs/operations.md")).unwrap();
    let (_, rest) = page.split_once("| when | query |\n|---|---|\n").unwrap();
    let (rows, _) = rest.split_once("\n\n").unwrap();
    let known = known(&families());
    for row in rows.lines() {
        // A bar in a cell is escaped.
        let query = row.split('`').nth(1).unwrap().replace("\\|", "|");
        check(&query, &[], &known).unwrap_or_else(|wrong| panic!("{wrong} in {query}"));
    }
    assert!(rows.lines().count() >= 7);
}

#[test]
fn a_query_about_anything_else_is_found_out() {
    let known = known(&families());
    for (expr, wrong) in [
        ("sum(fleetmesh_operator_lading)", "fleetmesh_operator_lading"),
        ("sum(rate(fleetmesh_operator_rounds[5m]))", "fleetmesh_operator_rounds"),
        ("sum(rate(fleetmesh_operator_round_seconds[5m]))", "fleetmesh_operator_round_seconds"),
        ("sum by (mesh) (fleetmesh_control_plane_streams)", "mesh"),
        ("fleetmesh_operator_rounds_total{reason=\"x\"}", "reason"),
        ("rate(fleetmesh_operator_objects[5m])", "fleetmesh_operator_objects is a gauge"),
        ("histogram_quantile(0.9, sum by (kind) (rate(fleetmesh_operator_round_seconds_bucket[5m])))", "le"),
        ("sum(fleetmesh_operator_leading", "parse"),
        ("up", "up"),
    ] {
        let found = check(expr, &[], &known).expect_err(expr);
        assert!(found.contains(wrong), "{expr}: {found}");
    }
    let legend = ["kind".to_owned()];
    assert!(check("sum(fleetmesh_operator_rounds_total)", &legend, &known).is_err(), "summed away");
}

/// The table of metrics in docs/operations.md.
fn table(families: &[Description]) -> String {
    let mut table = HEAD.to_owned();
    for Description { name, kind, labels, help } in families {
        table.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    table
}

const HEAD: &str = "| metric | type | labels | tells |\n|---|---|---|---|\n";

#[test]
fn the_table_of_metrics_is_that_of_the_programs() {
    let path = tools::workspace_dir().unwrap().join("docs/operations.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(HEAD).expect("the page has the table");
    let (shown, after) = rest.split_once("\n\n").expect("the table ends");
    let table = table(&families());
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{table}\n{after}")).unwrap();
        return;
    }
    let shown = format!("{HEAD}{shown}\n");
    let first = table.lines().zip(shown.lines()).find(|(new, old)| new != old);
    assert!(table == shown, "first in (programs, docs/operations.md) {first:?}; run with FLEETMESH_BLESS=1");
}
