//! The way of a proxy's load reports to the control plane: a connection of their own over a Unix socket of ours, which can be
//! cut. It stands for the network; what is said on it is Envoy's and the control plane's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way that is open or cut.
pub struct SentReports {
    socket: PathBuf,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl SentReports {
    /// Listens at `socket`, also for other users, and leads to `control_plane`.
    pub fn start(socket: PathBuf, control_plane: PathBuf) -> Result<Self> {
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777))?;
        let (open, way) = watch::channel(true);
        let task = tokio::spawn(async move {
            loop {
                let Ok((proxy, _)) = listener.accept().await else { continue };
                tokio::spawn(lead(proxy, control_plane.clone(), way.clone()));
            }
        });
        Ok(Self { socket, open, task })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends the connections there are, and those to come at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections to come through.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for SentReports {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(mut proxy: UnixStream, control_plane: PathBuf, mut way: watch::Receiver<bool>) {
    if !*way.borrow_and_update() {
        return;
    }
    let copy = async {
        let mut control_plane = UnixStream::connect(control_plane).await?;
        tokio::io::copy_bidirectional(&mut proxy, &mut control_plane).await
    };
    tokio::select! {
        // Whoever is gone, the other one learns it by the end of the connection.
        _ = copy => {}
        _ = way.wait_for(|open| !open) => {}
    }
}
