//! Tests of the listeners.

use super::*;

#[test]
fn both_forms_are_read_and_nonsense_is_not() {
    assert_eq!("127.0.0.1:0".parse(), Ok(Listen::Tcp("127.0.0.1:0".into())));
    assert_eq!("[::1]:9080".parse(), Ok(Listen::Tcp("[::1]:9080".into())));
    assert_eq!("unix:/run/x.sock".parse(), Ok(Listen::Unix("/run/x.sock".into())));
    for text in ["", "9080", ":9080", "unix:", "localhost", "localhost:x", "localhost:70000"] {
        assert!(text.parse::<Listen>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let error = Listen::Tcp("0.0.0.0:0".into())
        .bind(Purpose::Api, None, Bounds::default())
        .await
        .expect_err("refused");
    assert!(error.to_string().starts_with("0.0.0.0:0 is not a loopback address, so it needs TLS"), "{error}");
    assert!(Listen::Tcp("127.0.0.1:0".into()).bind(Purpose::Api, None, Bounds::default()).await.is_ok());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("s.sock");
    let listen = Listen::Unix(path.clone());
    // A socket whose process is gone: the file stays when a plain listener is dropped.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let bound =
        listen.bind(Purpose::Api, None, Bounds::default()).await.expect("the stale socket is replaced");
    let mode = fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let error = listen.bind(Purpose::Api, None, Bounds::default()).await.expect_err("the socket is in use");
    assert!(error.to_string().contains("another process listens there"), "{error}");
    drop(bound);
    assert!(!path.exists());
    fs::write(&path, "a file").expect("a file");
    let error = listen.bind(Purpose::Api, None, Bounds::default()).await.expect_err("a file is in the way");
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), "a file");
}
