//! A connection that can lose answers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Stands before a server on this machine and passes everything on, but for answers that it is told
/// to lose.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    is_mute: Arc<AtomicBool>,
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy of the server at `port`, on a free port. It runs in the caller's runtime.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let (is_mute, cuts) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0));
        let (mute, subscribe) = (is_mute.clone(), cuts.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A server that is away: the client's connection breaks, too.
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    tokio::spawn(pass(client, server, mute.clone(), subscribe.subscribe()));
                }
            }
        });
        Ok(Self { port: own, is_mute, cuts, accepting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on what the server answers is lost.
    pub fn mute(&self) {
        self.is_mute.store(true, Ordering::Release);
    }

    /// Breaks all connections. New ones lose nothing.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
        self.is_mute.store(false, Ordering::Release);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    is_mute: Arc<AtomicBool>,
    mut cuts: watch::Receiver<u64>,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, None) => {}
        () = copy(from_server, to_client, Some(&is_mute)) => {}
        _ = cuts.changed() => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_mute: Option<&AtomicBool>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_mute.is_some_and(|is_mute| is_mute.load(Ordering::Acquire)) {
            continue;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
