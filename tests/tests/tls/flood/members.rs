//! A proxy with a good certificate that connects and connects, and streams nothing.

use std::time::Duration;

use fleetmesh_testbed::{long, wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::clients::{FloodProxy, FloodTls};
use super::{FloodBed, MIB, STRANGER};
use crate::bed::LIMIT;

/// What a client of HTTP/2 begins with: the preface, and settings that set nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `--max-idle-connections-per-certificate`.
const IDLE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_of_one_certificate_are_bounded_and_its_streams_go_on() {
    let count = long::choose(100, 2000);
    let mut bed = FloodBed::start("idle", &["--max-idle-connections-per-certificate=8"]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let tls = FloodTls::proxy(&bed.certificates, &folder);
    let mut stream = FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap()).await.unwrap();
    stream.answers.message().await.unwrap();

    let before = bed.forget_peak();
    let mut held = JoinSet::new();
    for _ in 0..count {
        let mut idle = tls.connect(STRANGER, bed.ads).await.unwrap();
        held.spawn(async move {
            let _ = idle.write_all(PREFACE).await;
            // Until it is closed.
            let _ = idle.read_to_end(&mut Vec::new()).await;
        });
    }
    wait::until("the oldest are closed", LIMIT, async || {
        while held.try_join_next().is_some() {}
        Ok((held.len() <= IDLE).then_some(()))
    })
    .await
    .unwrap();
    let grown = bed.peak().saturating_sub(before);
    println!(
        "{count} idle connections of one certificate: {} live; memory grew by {} MiB",
        held.len(),
        grown / MIB
    );
    assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
    // None but the oldest, and not the one that streams.
    assert!(
        tokio::time::timeout(Duration::from_secs(1), held.join_next()).await.is_err(),
        "{} live",
        held.len()
    );
    assert_eq!(held.len(), IDLE);
    let again = tokio::time::timeout(Duration::from_millis(100), stream.ended()).await;
    assert!(again.is_err(), "the stream ended: {again:?}");
}
