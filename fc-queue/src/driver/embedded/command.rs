//! What callers ask of the writer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LeaseToken, NewTask, Place, Pushed, Settlement, Verdict,
};
use fc_core::{Error, ErrorKind, Result, Timestamp};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// An operation that is written to the log.
#[derive(Debug)]
pub(super) enum Op {
    Push {
        lane: Lane,
        task: NewTask,
    },
    Settle {
        lease: LeaseToken,
        settlement: Settlement,
    },
    Cancel {
        lane: Lane,
        id: String,
    },
    Redrive {
        lane: Lane,
        which: Which,
        at: Timestamp,
        note: Bytes,
    },
    Purge {
        lane: Lane,
        place: Place,
        which: Which,
    },
    /// Nothing, but with a new segment: the leases beside the last one have grown long.
    Turn,
}

impl Op {
    /// Whether somebody waits for it who is not done yet: all but settlements, whose tasks have run.
    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Settle { .. })
    }
}

/// Tasks of a lane.
#[derive(Debug)]
pub(super) enum Which {
    /// The one of this id.
    Id(String),
    /// Some of those behind a position.
    Behind { after: Option<u64>, up_to: u64 },
}

/// What an operation found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Pushed(Pushed),
    Settled,
    Turned,
    Cancelled(Cancelled),
    /// So many; behind `next` there may be more.
    Moved {
        count: u64,
        next: Option<u64>,
    },
}

/// An operation, and who waits for its end.
#[derive(Debug)]
pub(super) struct Command {
    pub op: Op,
    pub reply: oneshot::Sender<Result<Answer>>,
}

/// Bytes of an operation beside its texts and payloads, about.
const OVERHEAD: usize = 256;

impl Op {
    /// What it needs in memory and in the log, about, bytes.
    pub(super) fn bytes(&self) -> u64 {
        let task = |task: &NewTask| task.id.len() + task.payload.len() + task.note.len() + OVERHEAD;
        let bytes = match self {
            Self::Push { task: pushed, .. } => task(pushed),
            Self::Settle { settlement, .. } => {
                let told = match &settlement.verdict {
                    Verdict::Done => 0,
                    Verdict::Retry { note, .. } => note.len(),
                    Verdict::Bury { reason, note } => reason.len() + note.len(),
                };
                let follow_ups = settlement.follow_ups.iter();
                told + follow_ups.map(|follow_up| task(&follow_up.task)).sum::<usize>() + OVERHEAD
            }
            Self::Cancel { .. } | Self::Purge { .. } | Self::Turn => OVERHEAD,
            Self::Redrive { note, .. } => note.len() + OVERHEAD,
        };
        bytes as u64
    }
}

/// Commands that wait for the writer.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<Waiting>,
    came: Condvar,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    bytes: u64,
    /// How many of the commands are urgent.
    urgent: usize,
    is_closed: bool,
}

impl Waiting {
    /// Whether there is no use in waiting for more.
    fn has_gathered(&self) -> bool {
        self.urgent > 0 || self.commands.len() >= GATHERED_MAX
    }
}

/// Settlements that are not kept waiting for more.
const GATHERED_MAX: usize = 1024;

/// Longest list of commands that wait.
const COMMANDS_MAX: usize = 65_536;

impl Inbox {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { state: Mutex::default(), came: Condvar::new(), bytes_max }
    }

    /// Hands a command to the writer.
    ///
    /// # Errors
    ///
    /// `ResourceThrottled` if too much waits already, or the queue is being closed.
    pub(super) fn put(&self, command: Command) -> Result<()> {
        let mut state = self.state.lock();
        let bytes = state.bytes + command.op.bytes();
        if state.is_closed {
            return Err(Error::new(ErrorKind::ResourceThrottled, "the queue is closed"));
        }
        let is_alone = state.commands.is_empty();
        if (bytes > self.bytes_max && !is_alone) || state.commands.len() >= COMMANDS_MAX {
            let what = format!(
                "{bytes} bytes in {} operations wait to be written, over the limit of {} bytes or \
                 {COMMANDS_MAX} operations",
                state.commands.len() + 1,
                self.bytes_max
            );
            return Err(Error::new(ErrorKind::ResourceThrottled, what));
        }
        let is_urgent = command.op.is_urgent();
        state.bytes = bytes;
        state.urgent += usize::from(is_urgent);
        state.commands.push_back(command);
        let is_awaited = is_alone || (is_urgent && state.urgent == 1) || state.has_gathered();
        drop(state);
        if is_awaited {
            self.came.notify_one();
        }
        Ok(())
    }

    /// Waits up to `pause` for more than settlements: a frame of them alone is not worth being written
    /// while many more come, and whoever pushes would have to wait for its sync.
    pub(super) fn gather(&self, pause: Duration) {
        let mut state = self.state.lock();
        let is_over = |state: &mut Waiting| state.is_closed || state.has_gathered();
        if !is_over(&mut state) {
            self.came.wait_while_for(&mut state, |state| !is_over(state), pause);
        }
    }

    /// Takes commands of up to `bytes_max` bytes and at least one, if there is any; with `is_idle`, waits
    /// for the first. `None`: closed, and none is left.
    pub(super) fn take(&self, bytes_max: u64, is_idle: bool) -> Option<Vec<Command>> {
        let mut state = self.state.lock();
        while is_idle && state.commands.is_empty() && !state.is_closed {
            self.came.wait(&mut state);
        }
        let mut taken = Vec::with_capacity(state.commands.len());
        let mut bytes = 0;
        while let Some(next) = state.commands.front().map(|command| command.op.bytes()) {
            if bytes + next > bytes_max && !taken.is_empty() {
                break;
            }
            bytes += next;
            taken.extend(state.commands.pop_front());
        }
        state.bytes -= bytes;
        let urgent = taken.iter().filter(|command| command.op.is_urgent()).count();
        state.urgent -= urgent;
        if taken.is_empty() && state.is_closed { None } else { Some(taken) }
    }

    /// Takes no more; those who wait are served.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.came.notify_one();
    }

    /// Takes no more, and lets go of those who wait.
    pub(super) fn abandon(&self) {
        let left = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.urgent = 0;
            std::mem::take(&mut state.commands)
        };
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn put(inbox: &Inbox, op: Op) {
        let (reply, _) = oneshot::channel();
        inbox.put(Command { op, reply }).unwrap();
    }

    fn settle() -> Op {
        let lane = Lane::new("l").unwrap();
        let lease = LeaseToken { lane, task: "t".into(), position: 1, fence: 1 };
        Op::Settle { lease, settlement: Verdict::Done.into() }
    }

    fn push() -> Op {
        Op::Push { lane: Lane::new("l").unwrap(), task: NewTask::new("t", "") }
    }

    /// ASY-7: whoever pushes does not wait until the tasks of others that have run are written down.
    #[test]
    fn asy_7_settlements_gather_and_a_push_does_not() {
        let inbox = Inbox::new(u64::MAX);
        let gathers = || inbox.gather(LONG);
        std::thread::scope(|scope| {
            put(&inbox, settle());
            assert!(!inbox.state.lock().has_gathered());
            let gathering = scope.spawn(gathers);
            put(&inbox, settle());
            put(&inbox, push());
            gathering.join().unwrap();
        });
        assert_eq!(inbox.take(u64::MAX, false).unwrap().len(), 3);
        assert!(!inbox.state.lock().has_gathered(), "the push was taken");
        inbox.gather(Duration::ZERO);
        (0..GATHERED_MAX).for_each(|_| put(&inbox, settle()));
        gathers();
        inbox.close();
        assert_eq!(inbox.take(u64::MAX, false).unwrap().len(), GATHERED_MAX);
        gathers();
    }
}
