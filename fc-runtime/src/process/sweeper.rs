//! Ends whole process trees, many at once, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Error, InstanceId};
use parking_lot::{Condvar, Mutex};
use rustix::process::Signal;
use tokio::sync::watch;

use super::failed;
use super::leader::Leader;
use super::ports::PortGuard;
use super::process_table::{Entry, ProcessTable};

/// How often a tree is looked for before it is given up: with the pauses below, about 4 s.
const ROUNDS_MAX: u32 = 64;

/// How many looks in a row must find nothing: a process that is just being replaced by another
/// program, or was born behind the reader's back, is missed by one.
const CLEAN_ROUNDS: u32 = 2;

/// Pause behind the first rounds; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_micros(500);

/// See [`PAUSE`].
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// How far the end of a tree has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Swept {
    /// Nobody has asked yet, or it failed and may be asked for again.
    No,
    /// The sweeper works at it.
    Running,
    /// Nothing is left.
    Done,
    /// This many processes could not be ended.
    Left(u32),
}

/// A tree to be ended.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) instance: InstanceId,
    pub(super) leader: Arc<Leader>,
    /// Free again when the tree is gone.
    pub(super) port: Option<Arc<PortGuard>>,
    pub(super) done: watch::Sender<Swept>,
}

/// Ends process trees. One look at `/proc` serves all that wait for one; the thread ends when the
/// last holder of the sweeper is gone and its work is done.
#[derive(Debug)]
pub(super) struct Sweeper {
    queue: Arc<Queue>,
}

#[derive(Default, Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct Waiting {
    /// As many as there are instances at most.
    sweeps: Vec<Sweep>,
    closed: bool,
}

impl Sweeper {
    pub(super) fn start() -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let worker = queue.clone();
        std::thread::Builder::new()
            .name("fc-sweeper".into())
            .spawn(move || worker.work())
            .map_err(failed("sweeper thread"))?;
        Ok(Self { queue })
    }

    /// Kills the group at once, and ends the rest of the tree soon.
    pub(super) fn sweep(&self, sweep: Sweep) {
        sweep.leader.signal_group(Signal::KILL);
        self.queue.waiting.lock().sweeps.push(sweep);
        self.queue.changed.notify_one();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.queue.waiting.lock().closed = true;
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn work(&self) {
        let mut open: Vec<Open> = Vec::new();
        loop {
            {
                let mut waiting = self.waiting.lock();
                while open.is_empty() && waiting.sweeps.is_empty() {
                    if waiting.closed {
                        return;
                    }
                    self.changed.wait(&mut waiting);
                }
                open.extend(waiting.sweeps.drain(..).map(Open::new));
            }
            let table = ProcessTable::read();
            for (over, swept) in open.extract_if(.., |each| each.round(&table)).map(Open::close) {
                over.send_replace(swept);
            }
            if let Some(pause) = open.iter().map(|each| each.pause()).min() {
                let mut waiting = self.waiting.lock();
                // A new tree is looked at without delay: it ends the pause.
                self.changed.wait_for(&mut waiting, pause);
            }
        }
    }
}

/// A tree at which the sweeper works.
struct Open {
    sweep: Sweep,
    marker: Vec<u8>,
    rounds: u32,
    clean_rounds: u32,
    /// How many were given up.
    left: u32,
    /// Those found so far that may still be on their way out: a dying process loses its
    /// environment, and with it its marker, before it is gone.
    dying: Vec<Entry>,
}

impl Open {
    fn new(sweep: Sweep) -> Self {
        let marker = format!("FC_INSTANCE_ID={}", sweep.instance).into_bytes();
        Self { sweep, marker, rounds: 0, clean_rounds: 0, left: 0, dying: Vec::new() }
    }

    /// Kills what is found, and says whether the tree is over, one way or the other.
    fn round(&mut self, table: &ProcessTable) -> bool {
        self.rounds += 1;
        let leader = &self.sweep.leader;
        let leader_ended = leader.outcome().is_some();
        self.bury(table, leader_ended);
        let leader = &self.sweep.leader;
        let found = table.belonging(leader.pid(), &self.marker);
        let clean = found.is_empty() && self.dying.is_empty() && leader_ended;
        self.clean_rounds = if clean { self.clean_rounds + 1 } else { 0 };
        if self.clean_rounds >= CLEAN_ROUNDS {
            leader.reap();
            return true;
        }
        if self.rounds > ROUNDS_MAX {
            let left = found.len().max(self.dying.len()).max(1);
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            tracing::error!(instance = %self.sweep.instance, left, "processes could not be ended");
            self.left = left;
            return true;
        }
        leader.signal_group(Signal::KILL);
        for entry in found {
            entry.kill();
            if !self.dying.iter().any(|known| known.is(&entry)) {
                self.dying.push(entry);
            }
        }
        false
    }

    /// Forgets those that are gone, and takes away those that are ours to take: what its parent
    /// leaves behind is inherited by the machine's first process, which the platform may be.
    fn bury(&mut self, table: &ProcessTable, leader_ended: bool) {
        let (own, leader) = (rustix::process::getpid(), self.sweep.leader.pid());
        for entry in table.inherited(leader, own) {
            entry.reap();
        }
        let living: Vec<Entry> = std::mem::take(&mut self.dying);
        let may_inherit = |entry: &Entry| {
            (!leader_ended && entry.is_child_of(leader))
                || living.iter().any(|other| entry.is_child_of(other.pid))
        };
        let keep = living.iter().filter(|known| match table.find(known) {
            None => false,
            // It is taken away last.
            Some(now) if now.pid == leader => !now.is_zombie(),
            Some(now) if now.is_left_to(own) => {
                now.reap();
                false
            }
            // Its parent dies too, and may leave it to us.
            Some(now) => !now.is_zombie() || may_inherit(now),
        });
        self.dying = keep.cloned().collect();
    }

    /// Frees all that it holds, and says whom to tell what.
    fn close(self) -> (watch::Sender<Swept>, Swept) {
        let swept = if self.left == 0 { Swept::Done } else { Swept::Left(self.left) };
        let Sweep { done, port, leader, .. } = self.sweep;
        drop((port, leader));
        (done, swept)
    }

    fn pause(&self) -> Duration {
        (PAUSE * (1 << (self.rounds / 2).min(10))).min(PAUSE_MAX)
    }
}
