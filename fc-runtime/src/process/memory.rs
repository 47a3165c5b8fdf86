//! What a process took of the memory, and whether the machine ran out of it.

use std::io::Read;
use std::time::Duration;

use fc_core::Instant;
use parking_lot::Mutex;
use rustix::process::Pid;

/// A figure of this age is fresh.
const FRESH: Duration = Duration::from_millis(100);

/// The peak resident memory of one process (its children are not counted).
#[derive(Debug)]
pub(super) struct PeakMemory {
    path: Box<str>,
    last: Mutex<Option<(Instant, u64)>>,
}

impl PeakMemory {
    pub(super) fn new(pid: Pid) -> Self {
        Self {
            path: format!("/proc/{}/status", pid.as_raw_nonzero()).into(),
            last: Mutex::new(None),
        }
    }

    /// Bytes, read again if the last figure is not fresh.
    pub(super) fn peak(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock();
        if let Some((at, bytes)) = *last
            && now - at < FRESH
        {
            return Some(bytes);
        }
        if let Some(bytes) = read(&self.path).as_deref().and_then(high_water_mark) {
            *last = Some((now, bytes));
        }
        last.map(|(_, bytes)| bytes)
    }

    /// The last figure, however old.
    pub(super) fn last(&self) -> Option<u64> {
        self.last.lock().map(|(_, bytes)| bytes)
    }
}

/// How often the kernel had ended a process for lack of memory when an instance started.
#[derive(Clone, Copy, Debug)]
pub(super) struct OomCount(Option<u64>);

impl OomCount {
    pub(super) fn read() -> Self {
        Self(read("/proc/vmstat").as_deref().and_then(oom_kills))
    }

    /// Whether it has done so since: with SIGKILL from nobody known, reason enough to say so.
    pub(super) fn has_grown(self) -> bool {
        matches!((self.0, Self::read().0), (Some(then), Some(now)) if now > then)
    }
}

fn read(path: &str) -> Option<String> {
    let mut text = String::with_capacity(8 * 1024);
    std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).ok()?;
    Some(text)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn oom_kills(vmstat: &str) -> Option<u64> {
    let line = vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_9_the_kernels_figures_are_read() {
        assert_eq!(high_water_mark("VmPeak:\t  9 kB\nVmHWM:\t   1234 kB\n"), Some(1234 * 1024));
        assert_eq!(high_water_mark("State:\tZ (zombie)\n"), None);
        assert_eq!(oom_kills("nr_free 1\noom_kill 7\n"), Some(7));
        assert_eq!(oom_kills("oom_kill_x 7\n"), None);
    }
}
