//! Turns, CPU time, and numbers that look random.

/// CPU time of this thread so far, nanoseconds, as the kernel's scheduler counts it.
pub(crate) fn thread_cpu_ns() -> u64 {
    // The kernel brings the count up to date when a thread gives way.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat");
    let text = text.expect("/proc/thread-self/schedstat: CONFIG_SCHED_INFO is needed");
    let nanos = text.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.expect("nanoseconds first")
}

/// CPU time of this thread for one of `count` steps of `work`, nanoseconds.
pub(crate) fn cpu_ns(count: usize, work: impl FnOnce()) -> f64 {
    let before = thread_cpu_ns();
    work();
    (thread_cpu_ns() - before) as f64 / count as f64
}

/// `0..count` in an order that jumps about; always the same.
pub(crate) fn shuffled(count: usize) -> Vec<u32> {
    let mut random = fc::sched::sim::Random::from_seed(7);
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}
