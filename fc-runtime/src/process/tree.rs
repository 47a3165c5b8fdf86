//! A process tree that is ended whatever happens to its holder.

use std::sync::Arc;

use fc_core::{Error, InstanceId, Result};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::leader::Leader;
use super::ports::PortGuard;
use super::sweeper::{Sweep, Sweeper, Swept};

/// A process tree and its port. Dropped, it is killed at once and taken away by the sweeper.
#[derive(Debug)]
pub(super) struct Tree {
    instance: InstanceId,
    leader: Arc<Leader>,
    port: Mutex<Option<Arc<PortGuard>>>,
    sweeper: Arc<Sweeper>,
    swept: watch::Sender<Swept>,
}

impl Tree {
    pub(super) fn new(
        instance: InstanceId,
        leader: Arc<Leader>,
        port: Option<PortGuard>,
        sweeper: Arc<Sweeper>,
    ) -> Self {
        Self {
            instance,
            leader,
            port: Mutex::new(port.map(Arc::new)),
            sweeper,
            swept: watch::Sender::new(Swept::No),
        }
    }

    /// Ends it and waits until nothing is left. Idempotent, and safe to drop.
    pub(super) async fn end(&self) -> Result<()> {
        let mut news = self.swept.subscribe();
        self.begin_end();
        let over = |swept: &Swept| matches!(swept, Swept::Done | Swept::Left(_));
        let swept = news.wait_for(over).await.map(|swept| *swept);
        match swept {
            Ok(Swept::Left(left)) => Err(Error::internal(format!(
                "instance {}: {left} processes could not be ended",
                self.instance
            ))),
            _ => {
                self.port.lock().take();
                Ok(())
            }
        }
    }

    /// Kills the group at once, and has the rest ended soon, unless that goes on already.
    pub(super) fn begin_end(&self) {
        let begin = self.swept.send_if_modified(|swept| {
            let begin = matches!(swept, Swept::No | Swept::Left(_));
            if begin {
                *swept = Swept::Running;
            }
            begin
        });
        if begin {
            self.sweeper.sweep(Sweep {
                instance: self.instance,
                leader: self.leader.clone(),
                port: self.port.lock().clone(),
                done: self.swept.clone(),
            });
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.begin_end();
    }
}
