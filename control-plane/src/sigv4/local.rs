//! A listener of this host, where nobody is asked who he is: every caller acts for the first account.
//!
//! A signature is not verified there, as AWS's clients sign whatever they send. But who signs with a key of another account means that
//! account, as he would act for it at AWS: he is refused, before anything is done for an account that he did not mean.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_model::Account;
use http::HeaderMap;

use super::Claim;
use crate::accounts::Accounts;
use crate::keys::Keys;
use crate::response::RefusalResponse;
use crate::rights::Rights;

/// The keys by which a local listener knows whom a caller means.
#[derive(Clone, Debug)]
pub struct LocalKeys {
    /// The keys that count.
    pub keys: Arc<Keys>,
    /// The accounts that are served.
    pub accounts: Accounts,
}

/// `router` for callers of this host. Without `keys` nobody is known by one.
pub fn local(router: Router, keys: Option<LocalKeys>) -> Router {
    let router = router.layer(Extension(Rights::Local));
    match keys {
        Some(keys) => router.layer(from_fn_with_state(keys, check)),
        None => router,
    }
}

async fn check(State(local): State<LocalKeys>, request: Request, next: Next) -> Response {
    match local.meant(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => RefusalResponse(refusal).into_response(),
    }
}

impl LocalKeys {
    fn meant(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = Claim::parse(headers).ok().and_then(|claim| self.keys.find(&claim.access_key_id))
        else {
            return Ok(());
        };
        let Some(account) = key.holder.policy.account else { return Ok(()) };
        let identity = self.accounts.identity();
        if identity.account(&account.to_string()) == Some(Account::First) {
            return Ok(());
        }
        let (holder, first) = (&key.holder, &identity.account);
        let message = format!(
            "{holder} is of account {account}, and callers on loopback and Unix sockets act for account {first}, whoever signs: use the key at an address that is served over TLS (--tls-cert), or another one here"
        );
        Err(Refusal::new(Class::AccessDenied, message))
    }
}
