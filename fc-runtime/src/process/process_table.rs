//! What runs on this machine, as far as it may belong to an instance.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

/// Longest environment that is looked through, bytes: the kernel allows more, a function's is under
/// 8 KB and the platform's own variables come with it.
const ENVIRONMENT_BYTES_MAX: u64 = 256 * 1024;

/// One process.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    parent: i32,
    group: i32,
    /// When it started, in clock ticks since boot: tells two holders of one id apart.
    started: u64,
    zombie: bool,
    environment: Vec<u8>,
}

/// The processes of this machine at one moment.
#[derive(Debug)]
pub(super) struct ProcessTable(Vec<Entry>);

impl ProcessTable {
    /// Reads `/proc`. A process that comes or goes meanwhile may be missed.
    pub(super) fn read() -> Self {
        let Ok(folder) = std::fs::read_dir("/proc") else {
            return Self(Vec::new());
        };
        let own = rustix::process::getpid();
        let pids = folder
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Pid::from_raw)
            .filter(|pid| *pid != own);
        Self(pids.filter_map(Entry::read).collect())
    }

    /// The living processes of the instance that `leader` began and `marker`
    /// (`FC_INSTANCE_ID=…`) names: its group, whoever has the marker, and their descendants.
    pub(super) fn belonging(&self, leader: Pid, marker: &[u8]) -> Vec<Entry> {
        let leader = leader.as_raw_nonzero().get();
        let mut known: HashSet<i32> = HashSet::from([leader]);
        loop {
            let before = known.len();
            for entry in &self.0 {
                let belongs = known.contains(&entry.parent)
                    || entry.group == leader
                    || has_variable(&entry.environment, marker);
                if belongs {
                    known.insert(entry.pid.as_raw_nonzero().get());
                }
            }
            if known.len() == before {
                break;
            }
        }
        let living = self.0.iter().filter(|entry| !entry.zombie);
        living.filter(|entry| known.contains(&entry.pid.as_raw_nonzero().get())).cloned().collect()
    }

    /// What has become of `entry` of an earlier table.
    pub(super) fn find(&self, entry: &Entry) -> Option<&Entry> {
        self.0.iter().find(|other| other.is(entry))
    }

    /// The ended members of the group of `leader` that are `own`'s to take away: where the platform
    /// is a container's first process, or has made itself a reaper, it inherits them.
    pub(super) fn inherited(&self, leader: Pid, own: Pid) -> impl Iterator<Item = &Entry> {
        let group = leader.as_raw_nonzero().get();
        let all = self.0.iter();
        all.filter(move |entry| {
            entry.group == group && entry.pid != leader && entry.is_left_to(own)
        })
    }
}

impl Entry {
    /// Whether both are the same process.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Whether it has ended and waits to be taken away by `own`.
    pub(super) fn is_left_to(&self, own: Pid) -> bool {
        self.zombie && self.parent == own.as_raw_nonzero().get()
    }

    /// Whether it has ended.
    pub(super) fn is_zombie(&self) -> bool {
        self.zombie
    }

    pub(super) fn is_child_of(&self, parent: Pid) -> bool {
        self.parent == parent.as_raw_nonzero().get()
    }

    /// Takes an ended child of ours away, and no later one of the same id.
    pub(super) fn reap(&self) {
        let Some(pidfd) = self.open() else {
            return;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // Whoever else of this process waits for all children may have been first.
        let _ = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options);
    }

    /// A handle of this process, if it is there.
    fn open(&self) -> Option<OwnedFd> {
        let pidfd = rustix::process::pidfd_open(self.pid, PidfdFlags::empty()).ok()?;
        let number = self.pid.as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        let (.., started) = parse_stat(&stat)?;
        (started == self.started).then_some(pidfd)
    }

    fn read(pid: Pid) -> Option<Self> {
        let number = pid.as_raw_nonzero();
        let mut stat = String::with_capacity(512);
        std::fs::File::open(format!("/proc/{number}/stat")).ok()?.read_to_string(&mut stat).ok()?;
        let (state, parent, group, started) = parse_stat(&stat)?;
        let zombie = matches!(state, 'Z' | 'X');
        let mut environment = Vec::new();
        // Another user's cannot be read, and is none of ours: instances run as the platform's user.
        if !zombie && let Ok(file) = std::fs::File::open(format!("/proc/{number}/environ")) {
            let _ = file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment);
        }
        Some(Self { pid, parent, group, started, zombie, environment })
    }

    /// Kills this process, and no later one of the same id.
    pub(super) fn kill(&self) {
        if let Some(pidfd) = self.open() {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}

/// State, parent, group and start time of a line of `/proc/<pid>/stat` (proc(5)).
fn parse_stat(stat: &str) -> Option<(char, i32, i32, u64)> {
    // The name is in parentheses and may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Field 22; the three above are 3, 4 and 5.
    let started = fields.nth(16)?.parse().ok()?;
    Some((state, parent, group, started))
}

fn has_variable(environment: &[u8], variable: &[u8]) -> bool {
    environment.split(|&byte| byte == 0).any(|entry| entry == variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32, group: i32, zombie: bool, environment: &str) -> Entry {
        Entry {
            pid: Pid::from_raw(pid).unwrap(),
            parent,
            group,
            started: 0,
            zombie,
            environment: environment.replace(';', "\0").into_bytes(),
        }
    }

    #[test]
    fn run_2_a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "42 (a) b (c) S 7 42 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3";
        assert_eq!(parse_stat(line), Some(('S', 7, 42, 98_765)));
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[test]
    fn run_2_a_tree_is_its_group_its_marker_and_their_descendants() {
        let table = ProcessTable(vec![
            entry(10, 1, 10, true, ""),
            entry(11, 10, 10, false, "A=1"),
            entry(12, 11, 12, false, "A=1"),
            entry(13, 1, 13, false, "A=1;FC_INSTANCE_ID=c-1;B=2"),
            entry(14, 1, 14, false, "FC_INSTANCE_ID=c-12"),
            entry(15, 1, 15, false, "X=FC_INSTANCE_ID=c-1"),
            entry(16, 13, 16, false, ""),
            entry(17, 1, 10, true, ""),
        ]);
        let leader = Pid::from_raw(10).unwrap();
        let found = table.belonging(leader, b"FC_INSTANCE_ID=c-1");
        let pids: Vec<i32> = found.iter().map(|entry| entry.pid.as_raw_nonzero().get()).collect();
        assert_eq!(pids, [11, 12, 13, 16]);
        assert!(found.iter().all(|entry| table.find(entry).is_some()));
        let gone = entry(11, 10, 10, false, "");
        assert!(table.find(&Entry { started: 1, ..gone }).is_none());
        assert!(table.find(&entry(10, 1, 10, false, "")).is_some_and(Entry::is_zombie));
        let inherited = table.inherited(leader, Pid::from_raw(1).unwrap());
        let pids: Vec<i32> = inherited.map(|entry| entry.pid.as_raw_nonzero().get()).collect();
        assert_eq!(pids, [17], "never the leader, whose id is needed to the end");
    }
}
