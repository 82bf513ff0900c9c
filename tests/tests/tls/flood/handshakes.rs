//! Connections that never come to anything, and a fleet that comes back at once.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fleetmesh_testbed::long;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clients::{FloodTls, connect};
use super::{FloodBed, MIB, NEIGHBOUR, STRANGER};

/// How a handshake is left unfinished.
#[derive(Clone, Copy, Debug)]
enum HandshakeManner {
    /// Nothing is said.
    Silent,
    /// The first message is sent, and no other.
    Begun,
    /// It is finished without a certificate, and nothing is asked.
    Anonymous,
}

/// Begins handshakes for ever, each when the last was closed.
async fn loops(manner: HandshakeManner, tls: FloodTls, hello: Vec<u8>, port: u16) {
    loop {
        match manner {
            HandshakeManner::Silent => closed(connect(STRANGER, port).await).await,
            HandshakeManner::Begun => {
                let mut begun = connect(STRANGER, port).await;
                if let Ok(stream) = &mut begun {
                    // It may be closed already.
                    let _ = stream.write_all(&hello).await;
                }
                closed(begun).await;
            }
            HandshakeManner::Anonymous => closed(tls.connect(STRANGER, port).await).await,
        }
    }
}

/// Awaits that the other side closes.
async fn closed<S: AsyncRead + Unpin, E>(stream: Result<S, E>) {
    match stream {
        Ok(mut stream) => _ = stream.read_to_end(&mut Vec::new()).await,
        Err(_) => sleep(Duration::from_millis(10)).await,
    }
}

/// How many of the streams that a proxy at `from` opened one after the other were served in time, of how many, and how long
/// the slowest took.
async fn served(tls: &FloodTls, from: Ipv4Addr, port: u16, length: Duration) -> (usize, usize, Duration) {
    let (began, mut served, mut slowest) = (Instant::now(), Vec::new(), Duration::ZERO);
    while began.elapsed() < length {
        let attempt = timeout(Duration::from_secs(10), tls.configured(from, port)).await;
        let took = attempt.ok().and_then(Result::ok);
        slowest = slowest.max(took.unwrap_or_default());
        served.push(took.is_some());
        sleep(Duration::from_millis(100)).await;
    }
    (served.iter().filter(|served| **served).count(), served.len(), slowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_without_end_hold_up_no_proxy_of_another_address() {
    let (loopers, length) = long::choose((384, Duration::from_secs(4)), (2048, Duration::from_secs(40)));
    for manner in [HandshakeManner::Silent, HandshakeManner::Begun, HandshakeManner::Anonymous] {
        let mut bed = FloodBed::start(&format!("handshakes-{manner:?}"), &[]).await;
        let folder = bed.certificates.proxy("red", "1d").await;
        let (proxy, stranger) =
            (FloodTls::proxy(&bed.certificates, &folder), FloodTls::stranger(&bed.certificates, b"h2"));
        proxy.configured(NEIGHBOUR, bed.ads).await.unwrap();
        let before = bed.forget_peak();
        let mut attack = JoinSet::new();
        for _ in 0..loopers {
            attack.spawn(loops(manner, stranger.clone(), stranger.hello(), bed.ads));
        }
        let (others, own) = tokio::join!(
            served(&proxy, NEIGHBOUR, bed.ads, length),
            served(&proxy, STRANGER, bed.ads, length)
        );
        let grown = bed.peak().saturating_sub(before);
        attack.shutdown().await;
        println!(
            "{loopers} looping handshakes, {manner:?}, {length:?}: a proxy of another address is served {} times of {} (slowest {:?}), \
             one of the same address {} of {} (slowest {:?}); memory grew by {} MiB",
            others.0,
            others.1,
            others.2,
            own.0,
            own.1,
            own.2,
            grown / MIB
        );
        assert!(others.1 >= 3 && others.0 == others.1, "{manner:?}: {others:?}");
        assert!(own.0 > 0, "{manner:?}: {own:?}");
        assert!(grown < 96 * MIB, "{manner:?}: {} MiB", grown / MIB);
    }
}

/// With one handshake at a time and several in front that never end, a proxy's waits longer than any of them may take, and
/// its own time begins with its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_has_its_time_from_its_turn_on() {
    let bed = FloodBed::start("handshake-turn", &["--max-handshakes-per-source=1"]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let (proxy, stranger) =
        (FloodTls::proxy(&bed.certificates, &folder), FloodTls::stranger(&bed.certificates, b"h2"));
    let stuck = async |times: usize| {
        let mut stuck = Vec::new();
        for _ in 0..times {
            let mut stream = connect(STRANGER, bed.ads).await.unwrap();
            stream.write_all(&stranger.hello()).await.unwrap();
            stuck.push(stream);
        }
        stuck
    };
    let alone = Instant::now();
    let mut one = stuck(1).await.remove(0);
    closed::<_, ()>(Ok(&mut one)).await;
    let alone = alone.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&alone), "nobody waits: {alone:?}");

    let front = stuck(1).await;
    // It has its turn when the server answers it.
    front[0].peek(&mut [0]).await.unwrap();
    let waiting = tokio::spawn({
        let proxy = proxy.clone();
        async move { proxy.configured(STRANGER, bed.ads).await }
    });
    // It is in the queue when those come that are newer, and go first.
    sleep(Duration::from_millis(300)).await;
    let behind = stuck(4).await;
    let waited = waiting.await.unwrap().unwrap();
    drop((front, behind));
    println!(
        "a handshake was finished {waited:?} after it was begun, behind others that took up to a second each"
    );
    assert!(waited > Duration::from_secs(3), "it waited for its turn: {waited:?}");
}

/// With one handshake at a time of an address, and clients of the same address before and after the proxy that say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_takes_no_handshake() {
    let bed = FloodBed::start("silent", &["--max-handshakes-per-source=1"]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let proxy = FloodTls::proxy(&bed.certificates, &folder);
    let silent = async || connect(STRANGER, bed.ads).await.unwrap();
    let front = silent().await;
    let mut waiting = tokio::spawn({
        let proxy = proxy.clone();
        async move { proxy.configured(STRANGER, bed.ads).await }
    });
    let mut behind = Vec::new();
    // The newest goes first, and gives way after a second: one each half a second would hold up the proxy for ever.
    let took = loop {
        match timeout(Duration::from_millis(500), &mut waiting).await {
            Ok(configured) => break configured.unwrap().unwrap(),
            Err(_) => behind.push(silent().await),
        }
        assert!(behind.len() < 20, "it was not served within ten seconds");
    };
    drop((front, behind));
    println!("a proxy was configured {took:?} after it came, among clients of its address that say nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_behind_one_address_that_comes_back_at_once_waits_and_does_not_fail() {
    let fleet = long::choose(250, 2000);
    let mut bed =
        FloodBed::start("storm", &["--max-handshakes-per-source=8", "--max-streams-per-certificate=0"]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let proxy = FloodTls::proxy(&bed.certificates, &folder);
    let before = bed.forget_peak();
    let began = Instant::now();
    let mut proxies = JoinSet::new();
    for _ in 0..fleet {
        let (proxy, port) = (proxy.clone(), bed.ads);
        proxies.spawn(async move { proxy.configured(STRANGER, port).await });
    }
    let times = proxies.join_all().await;
    let failed: Vec<_> = times.iter().filter_map(|time| time.as_ref().err()).collect();
    let slowest = times.iter().flatten().max().unwrap();
    println!(
        "{fleet} proxies behind one address, eight handshakes at a time: all configured within {:?}, the slowest after {slowest:?}; \
         memory grew by {} MiB",
        began.elapsed(),
        bed.peak().saturating_sub(before) / MIB
    );
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
}
