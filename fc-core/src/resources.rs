//! What one instance takes of a node.

/// vCPU, memory and disk of one instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// Thousandths of a vCPU: 350 is 0.35 vCPU.
    pub cpu_milli: u32,
    /// MB of memory.
    pub memory_mb: u32,
    /// MB of private disk.
    pub disk_mb: u32,
}
