//! From the megabytes of a trace to an instance that the platform would accept.

use fc_core::{Error, Limits, Resources, Result};

/// The smallest legal size of at least `memory_mb` MB: 128 MB, then steps of 64 MB (QUO-5).
///
/// # Errors
///
/// `memory_mb` is over 32 GB, the largest instance.
pub fn memory_class_mb(memory_mb: u64) -> Result<u32> {
    let limits = Limits::function_compute();
    let class = memory_mb
        .max(limits.memory_mb_min.into())
        .checked_next_multiple_of(limits.memory_mb_step.into())
        .unwrap_or(u64::MAX);
    match u32::try_from(class) {
        Ok(class) if class <= limits.memory_mb_max => Ok(class),
        _ => Err(Error::over_limit("memory_mb", "MB", limits.memory_mb_max.into(), memory_mb)),
    }
}

/// What an instance of that memory takes of a node. Traces say nothing of CPU, so it follows from
/// memory: 1 vCPU for 2 GB, rounded up to a step of 0.05 vCPU, the middle of the legal ratios 1:1
/// to 1:4 (QUO-5). Disk is the smaller choice, 512 MB (QUO-6).
///
/// ```
/// use fc_sched::sim::instance_size;
/// let size = instance_size(1024);
/// assert_eq!((size.cpu_milli, size.memory_mb, size.disk_mb), (500, 1024, 512));
/// ```
pub fn instance_size(memory_mb: u32) -> Resources {
    let limits = Limits::function_compute();
    let cpu_milli = (u64::from(memory_mb) * 1000)
        .div_ceil(2 * 1024)
        .next_multiple_of(limits.cpu_milli_step.into())
        .clamp(limits.cpu_milli_min.into(), limits.cpu_milli_max.into());
    let disk_mb = limits.disk_mb_choices.iter().copied().min().unwrap_or(512);
    Resources { cpu_milli: cpu_milli as u32, memory_mb, disk_mb }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quo_5_memory_is_rounded_up_to_a_legal_class() {
        let classes = [(0, 128), (1, 128), (128, 128), (129, 192), (192, 192), (32_768, 32_768)];
        for (memory, class) in classes {
            assert_eq!(memory_class_mb(memory).unwrap(), class, "{memory}");
        }
        let refused = memory_class_mb(32_769).unwrap_err();
        assert_eq!(refused.to_string(), "memory_mb: 32769 MB is over the limit of 32768");
        assert!(memory_class_mb(u64::MAX).is_err());
    }

    #[test]
    fn quo_5_every_class_has_a_legal_vcpu() {
        for memory_mb in (128..=32 * 1024).step_by(64) {
            let size = instance_size(memory_mb);
            assert!((50..=16_000).contains(&size.cpu_milli) && size.cpu_milli.is_multiple_of(50));
            let (memory, cpu) = (u64::from(memory_mb) * 1000, u64::from(size.cpu_milli) * 1024);
            assert!((cpu..=4 * cpu).contains(&memory), "{size:?}");
        }
        assert_eq!(instance_size(128).cpu_milli, 100);
        assert_eq!(instance_size(32 * 1024).cpu_milli, 16_000);
    }
}
