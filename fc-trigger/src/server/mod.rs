//! The gateway's own server: connections, protocols, the bytes level.

mod chunked;
mod connection;
mod head;
mod scan;
mod strict;
mod taking;
mod timer;
mod violation;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fc_core::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) use taking::Taking;
pub(crate) use violation::Violation;

use crate::gateway::Shared;
use connection::{Connection, Protocols};

/// After a failed accept: out of descriptors does not pass in a microsecond (T26).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells the connections of one `serve` that it ends.
#[derive(Debug, Default)]
struct Closing {
    flag: AtomicBool,
    notify: Notify,
}

/// Accepts until `shutdown`, then drains.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    listener
        .local_addr()
        .map_err(|error| Error::internal("the listener has no address").with_source(error))?;
    let protocols = Arc::new(Protocols::new(shared));
    let closing = Arc::new(Closing::default());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let has_room = connections.len() < shared.config.connections_max;
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection {
                        stream,
                        peer,
                        shared: shared.clone(),
                        protocols: protocols.clone(),
                        closing: closing.clone(),
                    };
                    connections.spawn(connection.run());
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept failed; pausing");
                    let clock = &shared.ports.clock;
                    let pause = clock.sleep_until(clock.now() + ACCEPT_PAUSE);
                    tokio::select! {
                        () = &mut shutdown => break,
                        () = pause => {}
                    }
                }
            },
        }
    }
    drop(listener);
    drain(shared, &closing, connections).await;
    Ok(())
}

async fn drain(shared: &Shared, closing: &Closing, mut connections: JoinSet<()>) {
    shared.draining.store(true, Ordering::Release);
    closing.flag.store(true, Ordering::Release);
    closing.notify.notify_waiters();
    let clock = &shared.ports.clock;
    let deadline = clock.now() + shared.config.drain_timeout;
    let all = async { while connections.join_next().await.is_some() {} };
    if clock.with_deadline(deadline, all).await.is_err() {
        tracing::warn!(left = connections.len(), "drain deadline passed; closing connections");
        connections.shutdown().await;
    }
}

/// Errors of a client that left before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// What `serve` needs of an accepted socket.
fn prepare(stream: &TcpStream) {
    // Without it a small answer waits for the client's delayed acknowledgement: 44 ms a call.
    // A socket that refuses is already closed, and reading it says so.
    let _ = stream.set_nodelay(true);
}
