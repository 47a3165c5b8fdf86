//! Who writes down what happens.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use fc_core::Clock;
use parking_lot::Mutex;

use super::{Event, What};

/// Writes down what happens, for any number of tasks. Clones share it.
///
/// An event costs a lock, and with a file one `write`: a process that is killed leaves all but at most
/// the last, torn one. An event that could not be written is counted ([`History::lost`]): such a
/// history must not be judged.
#[derive(Clone)]
pub struct History(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    host: String,
    state: Mutex<State>,
}

struct State {
    sink: Sink,
    lost: u64,
}

enum Sink {
    Memory { events: Vec<Event>, max: usize },
    File { file: File, line: Vec<u8> },
}

impl History {
    /// In memory, at most `max` events.
    pub fn in_memory(clock: Arc<dyn Clock>, host: impl Into<String>, max: usize) -> Self {
        Self::of(clock, host.into(), Sink::Memory { events: Vec::new(), max })
    }

    /// In a new file, which no other process writes.
    ///
    /// # Errors
    ///
    /// If the file exists already or cannot be made.
    pub fn in_file(
        clock: Arc<dyn Clock>,
        host: impl Into<String>,
        path: impl AsRef<Path>,
    ) -> io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Self::of(clock, host.into(), Sink::File { file, line: Vec::new() }))
    }

    fn of(clock: Arc<dyn Clock>, host: String, sink: Sink) -> Self {
        let state = Mutex::new(State { sink, lost: 0 });
        Self(Arc::new(Inner { clock, host, state }))
    }

    /// Writes down that something happens now.
    pub fn record(&self, what: What) {
        let wall = self.0.clock.wall().as_unix_millis();
        let mut state = self.0.state.lock();
        // Under the lock: the lines are in the order of their times.
        let at = self.0.clock.now().as_nanos();
        let event = Event { at, wall, host: self.0.host.clone(), what };
        if !state.sink.keep(event) {
            state.lost += 1;
        }
    }

    /// Events that could not be written.
    pub fn lost(&self) -> u64 {
        self.0.state.lock().lost
    }

    /// What is in memory; nothing of a file.
    pub fn events(&self) -> Vec<Event> {
        match &self.0.state.lock().sink {
            Sink::Memory { events, .. } => events.clone(),
            Sink::File { .. } => Vec::new(),
        }
    }
}

impl Sink {
    fn keep(&mut self, event: Event) -> bool {
        match self {
            Self::Memory { events, max } => {
                let room = events.len() < *max;
                if room {
                    events.push(event);
                }
                room
            }
            Self::File { file, line } => {
                line.clear();
                let written = serde_json::to_writer(&mut *line, &event).map_err(io::Error::from);
                line.push(b'\n');
                // One call: what another thread writes cannot come in between.
                written.and_then(|()| file.write_all(line)).is_ok()
            }
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("host", &self.0.host)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimClock;
    use crate::history::read;

    #[test]
    fn what_memory_has_no_room_for_is_counted() {
        let history =
            History::in_memory(Arc::new(SimClock::new(fc_core::Timestamp::default())), "a", 2);
        for id in ["1", "2", "3"] {
            history.record(What::ack(id));
        }
        assert_eq!((history.events().len(), history.lost()), (2, 1));
    }

    #[test]
    fn a_file_has_what_several_threads_wrote_in_the_order_of_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let clock = Arc::new(crate::history::BootClock::default());
        let history = History::in_file(clock.clone(), "a", &path).unwrap();
        assert!(History::in_file(clock, "b", &path).is_err());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let history = &history;
                scope.spawn(move || {
                    for number in 0..500 {
                        history.record(What::ack(format!("{thread}/{number}")));
                    }
                });
            }
        });
        let events = read([&path]).unwrap();
        assert_eq!((events.len(), history.lost()), (2000, 0));
        let raw = crate::history::parse("history", &std::fs::read(&path).unwrap()).unwrap();
        assert!(raw.is_sorted_by_key(|event| event.at));
    }
}
