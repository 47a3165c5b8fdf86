//! The next segment's file, made ready beside the one that is written: blocks and zeros, so that a
//! sync has no metadata to write, and a full disk is found out before it matters.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::fs::{File, Fs};

/// The file's name until it is a segment.
pub(super) const NAME: &str = "spare";
/// Zeros are written in pieces of this size.
const PIECE: usize = 1024 * 1024;

/// The spare file, or the thread that makes it.
#[derive(Debug)]
pub(super) enum Spare {
    /// Nobody has begun.
    None,
    /// It is being made.
    Making(JoinHandle<io::Result<Arc<dyn File>>>),
    /// It is there.
    Ready(Arc<dyn File>),
}

impl Spare {
    /// Begins to make it, unless that was done.
    pub(super) fn begin(&mut self, fs: &Arc<dyn Fs>, dir: &Path, bytes: u64) {
        if matches!(self, Self::None) {
            let (fs, path) = (fs.clone(), dir.join(NAME));
            let thread = std::thread::Builder::new().name("fc-queue-spare".into());
            // Without a thread, it is made when it is needed.
            if let Ok(making) = thread.spawn(move || make(&*fs, &path, bytes)) {
                *self = Self::Making(making);
            }
        }
    }

    /// What became of it, if that is known already.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        match self {
            Self::None => Ok(false),
            Self::Ready(_) => Ok(true),
            Self::Making(making) if !making.is_finished() => Ok(false),
            Self::Making(_) => {
                let file = std::mem::replace(self, Self::None).wait()?;
                *self = Self::Ready(file);
                Ok(true)
            }
        }
    }

    /// The file, once it is there; made here and now if nobody has begun.
    pub(super) fn take(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        bytes: u64,
    ) -> io::Result<Arc<dyn File>> {
        match std::mem::replace(self, Self::None) {
            Self::None => make(fs, &dir.join(NAME), bytes),
            begun => begun.wait(),
        }
    }

    /// Waits until nobody makes it any more.
    pub(super) fn leave(&mut self) {
        // Whether it was made is nobody's concern now.
        let _ = std::mem::replace(self, Self::None).wait();
    }

    fn wait(self) -> io::Result<Arc<dyn File>> {
        match self {
            Self::None => Err(io::ErrorKind::NotFound.into()),
            Self::Ready(file) => Ok(file),
            Self::Making(making) => {
                let died = |_| Err(io::Error::other("the thread that makes the next segment died"));
                making.join().unwrap_or_else(died)
            }
        }
    }
}

fn make(fs: &dyn Fs, path: &PathBuf, bytes: u64) -> io::Result<Arc<dyn File>> {
    // Never a file that something else may still have open.
    match fs.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let made = fs.create(path).and_then(|file| {
        file.allocate(bytes)?;
        let zeros = vec![0; PIECE];
        let mut at = 0;
        while at < bytes {
            let piece = zeros.len().min((bytes - at) as usize);
            file.write_all_at(&zeros[..piece], at)?;
            at += piece as u64;
        }
        file.sync_data()?;
        Ok(file)
    });
    if made.is_err() {
        // Half of it is of no use, and may be what fills the disk.
        let _ = fs.remove(path);
    }
    made
}
