//! Reads the authorities in use, and those that were read again from time to time. The shell: it calls AWS, waits, draws random numbers
//! and writes the file.

use std::path::Path;
use std::sync::Arc;

use fleetmesh_mesh::authorities::{Authority, AuthorityArn, Wanted, wanted};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_tasks::caught;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::book::ReadingBook;
use super::client::AuthorityClient;
use super::file;
use crate::aws::{GATHER, PollSettings};
use crate::metrics::ServerMetrics;
use crate::views::Views;

/// Calls under way at a time: a region that does not answer holds up no other.
pub(super) const CALLS: usize = 4;

/// Keeps the authorities in `known` up to date with ACM PCA until `shutdown`, for the client policies in `views`; counts what it reads in
/// `metrics`.
pub async fn run(
    views: Arc<dyn Views>,
    settings: PollSettings,
    known: watch::Sender<Discovered>,
    metrics: ServerMetrics,
    shutdown: CancellationToken,
) {
    let mut revisions = views.revisions();
    let client = AuthorityClient::new(settings.region);
    let path = settings.data_dir.join(file::NAME);
    let mut book = ReadingBook::new(settings.interval);
    let mut calls = FuturesUnordered::new();
    // Whether it may be that others are wanted: finding out goes through all meshes.
    let mut stale = true;
    loop {
        if std::mem::take(&mut stale) {
            revisions.borrow_and_update();
            let wanted = in_use(views.as_ref(), &known.borrow().clone());
            if follow(&known, &wanted) {
                save(&path, &known).await;
            }
            book.follow(&wanted);
        }
        let now = Instant::now();
        while calls.len() < CALLS
            && let Some(arn) = book.begin(now, |arn| known.borrow().authority(arn).is_some())
        {
            calls.push(read(&client, arn));
        }
        let next = book.next().filter(|_| calls.len() < CALLS);
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = revisions.changed() => match changed {
                Ok(()) => {
                    sleep(GATHER).await;
                    stale = true;
                }
                Err(_) => return,
            },
            Some((arn, read)) = calls.next() => {
                metrics.read_authority(read.is_ok());
                if book.ended(&arn, read.as_ref().err(), Instant::now(), fastrand::f64()) && enter(&known, &arn, read) {
                    save(&path, &known).await;
                    stale = true;
                }
            }
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    }
}

fn in_use(views: &dyn Views, known: &Discovered) -> Wanted {
    let meshes: Vec<_> = views.mesh_names().iter().filter_map(|name| views.mesh(name)).collect();
    wanted(meshes.iter().map(AsRef::as_ref), |arn| known.authority(arn).is_some())
}

/// Forgets what is not wanted and notes what is not read; says whether what is known changed.
fn follow(known: &watch::Sender<Discovered>, wanted: &Wanted) -> bool {
    known.send_if_modified(|known| {
        let mut changed = known.retain_authorities(wanted);
        for (text, reason) in &wanted.unreadable {
            changed |= known.enter_authority(text, Authority::Failed(reason.as_str().into()));
        }
        changed
    })
}

/// Reads one; a panic, which is a fault of Fleetmesh, is a failure like others.
async fn read(client: &AuthorityClient, arn: AuthorityArn) -> (AuthorityArn, Result<String, String>) {
    let read = caught(client.certificate(&arn)).await.unwrap_or_else(|panic| {
        tracing::error!(%arn, %panic, "reading an authority panicked: this is a fault of Fleetmesh");
        Err("reading it failed by a fault of Fleetmesh, which its log describes".to_owned())
    });
    (arn, read)
}

/// Enters the outcome of an attempt; says whether what is known changed by it.
fn enter(known: &watch::Sender<Discovered>, arn: &AuthorityArn, read: Result<String, String>) -> bool {
    let outcome = match read {
        Ok(pem) => Authority::Certificate(pem.into()),
        Err(reason) => Authority::Failed(reason.into()),
    };
    let changed = known.send_if_modified(|known| known.enter_authority(arn.as_str(), outcome));
    if changed {
        tracing::info!(%arn, "what is known of an authority changed");
    }
    changed
}

/// `known`, and what was known of authorities before a restart; a line in the log when that cannot be read.
pub async fn remember(data_dir: &Path, known: Discovered) -> Discovered {
    let path = data_dir.join(file::NAME);
    let shown = path.display().to_string();
    let before = known.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let mut known = known;
        file::load(&path, &mut known).map(|()| known)
    });
    match loading.await {
        Ok(Ok(known)) => known,
        Ok(Err(error)) => {
            tracing::warn!(path = shown, %error, "the certificates of authorities that were read before cannot be used; they are read anew");
            before
        }
        Err(_) => before,
    }
}

async fn save(path: &Path, known: &watch::Sender<Discovered>) {
    let (shown, path) = (path.display().to_string(), path.to_owned());
    let known = known.borrow().clone();
    let saved = tokio::task::spawn_blocking(move || file::save(&path, &known)).await;
    if let Ok(Err(error)) = saved {
        tracing::warn!(path = shown, %error, "the certificates of authorities are not kept for the next start");
    }
}
