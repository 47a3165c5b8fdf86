//! Writes down how often tasks were leased, without a sync.

use std::path::PathBuf;
use std::sync::Arc;

use super::fs::{File, Fs};
use super::log::{header, leases};

/// The file of leases beside the last segment.
#[derive(Debug)]
pub(super) struct LeaseLog {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment: u32,
    /// Made with the first lease.
    file: Option<Arc<dyn File>>,
    offset: u64,
    is_failing: bool,
}

impl LeaseLog {
    /// Goes on at `offset` of the file beside `segment`, or begins it at 0.
    pub(super) fn new(fs: Arc<dyn Fs>, dir: PathBuf, segment: u32, offset: u64) -> Self {
        Self { fs, dir, segment, file: None, offset, is_failing: false }
    }

    /// Goes on beside another segment.
    pub(super) fn turn(&mut self, segment: u32) {
        self.segment = segment;
        self.file = None;
        self.offset = 0;
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Notes leases of a lane: positions, and how often each was leased with this. A failure costs the
    /// count, no task: it is logged once until it is over.
    pub(super) fn note(&mut self, lane: &str, leases: &[(u64, u32)]) {
        let bytes = leases::encode(lane, leases);
        let file = match &self.file {
            Some(file) => Ok(file.clone()),
            None => {
                let path = self.dir.join(header::leases_name(self.segment));
                if self.offset > 0 { self.fs.open(&path) } else { self.fs.create(&path) }
            }
        };
        let written = file.and_then(|file| {
            self.file = Some(file.clone());
            file.write_all_at(&bytes, self.offset)
        });
        match written {
            Ok(()) => {
                self.offset += bytes.len() as u64;
                self.is_failing = false;
            }
            Err(error) if !self.is_failing => {
                tracing::warn!(%error, "how often tasks are leased will not outlive this process");
                self.is_failing = true;
            }
            Err(_) => {}
        }
    }
}
