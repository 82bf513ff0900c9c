//! `/livez`, `/readyz` and `/metrics` of a process: one answer for all programs that run in it, on whichever listener.
//! Shows what its sources report; measures and decides nothing itself.

mod serving;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The media type of [`Health::metrics`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What ends a page of OpenMetrics.
const END: &str = "# EOF\n";

/// A program that says how it is. It is asked often, and answers at once.
pub trait HealthSource: Debug + Send + Sync + 'static {
    /// Which program it is. Another one of this name takes its place.
    fn name(&self) -> &'static str;

    /// Why it has to be started again, in one line; `None` while it does not.
    fn failure(&self) -> Option<String>;

    /// Why nothing should be asked of it now, in one line; `None` while it is ready.
    fn unready(&self) -> Option<String>;

    /// Its metrics in the text format of OpenMetrics. No other program of the process may have a family of the same name.
    fn metrics(&self) -> String;
}

/// How the programs of a process are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<RwLock<Vec<Arc<dyn HealthSource>>>>);

impl Health {
    /// Adds a program, in the place of the former one of its name if there is one.
    pub fn add(&self, source: Arc<dyn HealthSource>) {
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|other| other.name() != source.name());
        sources.push(source);
    }

    fn sources(&self) -> Vec<Arc<dyn HealthSource>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What `/livez` answers: 200 while no program has failed, else 500 and a line for each that has.
    pub fn live(&self) -> (StatusCode, String) {
        self.page(StatusCode::INTERNAL_SERVER_ERROR, |source| source.failure())
    }

    /// What `/readyz` answers: 200 while all programs are ready, else 503 and a line for each that is not.
    pub fn ready(&self) -> (StatusCode, String) {
        self.page(StatusCode::SERVICE_UNAVAILABLE, |source| source.unready())
    }

    fn page(
        &self,
        otherwise: StatusCode,
        why: impl Fn(&dyn HealthSource) -> Option<String>,
    ) -> (StatusCode, String) {
        let lines: String =
            self.sources().iter().filter_map(|source| why(source.as_ref())).map(|line| line + "\n").collect();
        if lines.is_empty() { (StatusCode::OK, "ok\n".to_owned()) } else { (otherwise, lines) }
    }

    /// What `/metrics` answers: the metrics of all programs as one page of OpenMetrics.
    pub fn metrics(&self) -> String {
        let pages = self.sources().into_iter().map(|source| source.metrics());
        let mut text: String = pages.map(|page| page.trim_end_matches(END).to_owned()).collect();
        text.push_str(END);
        text
    }

    /// Serves the three pages.
    pub fn router(&self) -> Router {
        let [live, ready, metrics] = [(); 3].map(|()| self.clone());
        let metrics = move || {
            let text = metrics.metrics();
            async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], text) }
        };
        Router::new()
            .route("/livez", get(move || std::future::ready(live.live())))
            .route("/readyz", get(move || std::future::ready(ready.ready())))
            .route("/metrics", get(metrics))
    }
}

/// A listener for the pages, bound and not yet served: connections wait.
#[derive(Debug)]
pub struct BoundPages {
    /// The address that it took.
    pub address: SocketAddr,
    listener: TcpListener,
}

/// Binds `address`; port 0 takes a free one.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: SocketAddr) -> io::Result<BoundPages> {
    let listener = TcpListener::bind(address).await?;
    Ok(BoundPages { address: listener.local_addr()?, listener })
}

impl BoundPages {
    /// Serves the pages until `shutdown`.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, health: Health, shutdown: CancellationToken) -> io::Result<()> {
        serving::serve(self.listener, health.router(), serving::LIMITS, shutdown).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Program {
        name: &'static str,
        failure: Option<String>,
        is_ready: bool,
    }

    impl HealthSource for Program {
        fn name(&self) -> &'static str {
            self.name
        }

        fn failure(&self) -> Option<String> {
            self.failure.clone()
        }

        fn unready(&self) -> Option<String> {
            (!self.is_ready).then(|| format!("{} is not ready", self.name))
        }

        fn metrics(&self) -> String {
            format!("# TYPE {0} gauge\n{0} 1\n# EOF\n", self.name)
        }
    }

    fn program(name: &'static str, failure: Option<&str>, is_ready: bool) -> Arc<dyn HealthSource> {
        Arc::new(Program { name, failure: failure.map(str::to_owned), is_ready })
    }

    #[test]
    fn a_process_is_as_the_worst_of_its_programs() {
        let health = Health::default();
        health.add(program("one", None, true));
        assert_eq!(health.live(), (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(health.ready(), (StatusCode::OK, "ok\n".to_owned()));
        health.add(program("two", Some("two fell"), false));
        assert_eq!(health.live(), (StatusCode::INTERNAL_SERVER_ERROR, "two fell\n".to_owned()));
        assert_eq!(health.ready(), (StatusCode::SERVICE_UNAVAILABLE, "two is not ready\n".to_owned()));
        health.add(program("two", None, true));
        assert_eq!(health.live().0, StatusCode::OK, "a new one takes the place of the former");
        let page = "# TYPE one gauge\none 1\n# TYPE two gauge\ntwo 1\n# EOF\n";
        assert_eq!(health.metrics(), page);
    }

    #[tokio::test]
    async fn pages_are_served_at_the_address_that_was_taken_until_the_shutdown() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let pages = bind(([127, 0, 0, 1], 0).into()).await.expect("bound");
        let (health, shutdown, address) = (Health::default(), CancellationToken::new(), pages.address);
        health.add(program("one", None, false));
        let served = tokio::spawn(pages.serve(health, shutdown.clone()));
        let mut connection = tokio::net::TcpStream::connect(address).await.expect("connected");
        connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.expect("asked");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.0 503") && answer.ends_with("one is not ready\n"), "{answer}");
        shutdown.cancel();
        served.await.expect("no panic").expect("served");
    }
}
