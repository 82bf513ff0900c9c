//! The functions of rules: those of CEL and of Kubernetes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::extractors::This;
use kube_cel::cel::{Context, ExecutionError};

use crate::schema::pattern::{Pattern, PatternError};

/// Compiled patterns that are kept; most are literals of rules, the others come from objects.
const KEPT: usize = 256;

/// A context with all functions and no variables.
pub(crate) fn context() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function("matches", matches);
    context
}

/// `matches` with RE2's classes. CEL's own reads them as Unicode's, and compiles the pattern in each call.
fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> Result<bool, ExecutionError> {
    compiled(&pattern)
        .map(|pattern| pattern.matches(&text))
        .map_err(|error| ExecutionError::function_error("matches", error))
}

fn compiled(source: &str) -> Result<Pattern, PatternError> {
    static PATTERNS: OnceLock<Mutex<HashMap<String, Pattern>>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(Mutex::default);
    if let Some(pattern) = patterns.lock().unwrap_or_else(PoisonError::into_inner).get(source) {
        return Ok(pattern.clone());
    }
    let pattern = Pattern::new(source)?;
    let mut kept = patterns.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(source.to_owned(), pattern.clone());
    Ok(pattern)
}
