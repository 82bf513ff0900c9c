//! Parses the JSON of `nft -j list` into the rules of [`fleetmesh_instance::interception::nft`]. The text form varies between versions
//! of nft, the JSON does not. Pure.

use fleetmesh_instance::interception::nft::{CHAINS, NftRule};
use serde_json::Value;

/// Whether the answer of `nft -j list tables` names our table.
pub fn has_table(listing: &str) -> Result<bool, String> {
    let ours = |item: &Value| item["table"]["family"] == "inet" && item["table"]["name"] == super::TABLE;
    Ok(items(listing)?.iter().any(ours))
}

/// The rules in the answer of `nft -j list table inet fleetmesh`, in the kernel's order, chain by chain.
///
/// A rule of a shape that we never make keeps its JSON as its text.
pub fn rules(listing: &str) -> Result<Vec<NftRule>, String> {
    let mut rules: Vec<NftRule> =
        items(listing)?.iter().filter_map(|item| item.get("rule")).map(rule).collect();
    // Stable: the order inside a chain is the kernel's.
    rules.sort_by_key(|rule| CHAINS.iter().position(|chain| *chain == rule.chain));
    Ok(rules)
}

fn items(listing: &str) -> Result<Vec<Value>, String> {
    let mut document: Value = serde_json::from_str(listing).map_err(|error| error.to_string())?;
    match document["nftables"].take() {
        Value::Array(items) => Ok(items),
        _ => Err("no list named nftables".to_owned()),
    }
}

fn rule(rule: &Value) -> NftRule {
    let statements = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Option<Vec<String>> = statements.iter().map(statement).collect();
    NftRule {
        chain: rule["chain"].as_str().unwrap_or_default().to_owned(),
        text: words.map_or_else(|| rule["expr"].to_string(), |words| words.join(" ")),
    }
}

fn statement(statement: &Value) -> Option<String> {
    for verdict in ["return", "accept", "drop"] {
        if statement.get(verdict).is_some() {
            return Some(verdict.to_owned());
        }
    }
    if let Some(goto) = statement.get("goto") {
        return Some(format!("goto {}", goto["target"].as_str()?));
    }
    if let Some(reject) = statement.get("reject") {
        return Some(format!("reject with {}", reject["type"].as_str()?));
    }
    if let Some(redirect) = statement.get("redirect") {
        return Some(format!("redirect to :{}", redirect["port"].as_u64()?));
    }
    let matched = statement.get("match")?;
    let left = selector(&matched["left"])?;
    let right = operand(&matched["right"], left.ends_with("dport"))?;
    match matched["op"].as_str()? {
        "==" => Some(format!("{left} {right}")),
        "!=" => Some(format!("{left} != {right}")),
        _ => None,
    }
}

fn selector(left: &Value) -> Option<String> {
    if let Some(key) = left["meta"]["key"].as_str() {
        return Some(format!("meta {key}"));
    }
    if let Some(protocol) = left["payload"]["protocol"].as_str() {
        return Some(format!("{protocol} {}", left["payload"]["field"].as_str()?));
    }
    // Versions differ: a list of flags, or one flag alone.
    let flags = &left["fib"]["flags"];
    let flag = flags.as_str().or_else(|| match flags.as_array()?.as_slice() {
        [flag] => flag.as_str(),
        _ => None,
    })?;
    Some(format!("fib {flag} {}", left["fib"]["result"].as_str()?))
}

fn operand(right: &Value, is_set: bool) -> Option<String> {
    if let Some(members) = right["set"].as_array() {
        let members: Option<Vec<String>> = members.iter().map(scalar).collect();
        return Some(format!("{{ {} }}", members?.join(", ")));
    }
    if let Some(address) = right["prefix"]["addr"].as_str() {
        return Some(format!("{address}/{}", right["prefix"]["len"].as_u64()?));
    }
    // nft shows a set of one member as the member.
    scalar(right).map(|text| if is_set { format!("{{ {text} }}") } else { text })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
