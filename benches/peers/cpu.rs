//! CPU time of a process as the kernel's scheduler counted it: user and system, in nanoseconds.

use std::collections::HashMap;
use std::fs;

/// CPU time of each thread of a process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct CpuTimes(HashMap<String, u64>);

impl CpuTimes {
    /// Of the process `pid`: the first field of each `/proc/PID/task/TID/schedstat`. A thread that
    /// runs at this moment is behind by a scheduler tick at most.
    pub(crate) fn of(pid: u32) -> Self {
        let directory = format!("/proc/{pid}/task");
        let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory}: {e}"));
        let threads = entries.flatten().filter_map(|entry| {
            // A thread may end between the listing and the reading.
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            let nanos = text.split_ascii_whitespace().next()?.parse().ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), nanos))
        });
        let threads: HashMap<_, _> = threads.collect();
        assert!(!threads.is_empty(), "no schedstat under {directory}: CONFIG_SCHED_INFO is needed");
        Self(threads)
    }

    /// Of this process.
    pub(crate) fn of_self() -> Self {
        Self::of(std::process::id())
    }

    /// Nanoseconds that the process ran since `earlier`. What a thread used that ended meanwhile is
    /// not in it.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let of_thread = |(thread, now): (&String, &u64)| {
            now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0))
        };
        self.0.iter().map(of_thread).sum()
    }
}

/// Resident memory of this process, bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_ascii_whitespace().next());
    kilobytes.and_then(|text| text.parse::<u64>().ok()).expect("VmRSS in kB") * 1024
}
