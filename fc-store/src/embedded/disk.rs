//! The file, as redb sees it: space is reserved before it is used, and a failed sync is remembered.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What a file may be asked for beside what redb asks.
pub(super) trait Disk: StorageBackend {
    /// Bytes that may still be written to the file system, if that is known.
    fn free(&self) -> Option<u64>;
}

/// What went wrong with a file.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// A sync failed: nobody knows what is on the disk.
    pub(super) sync: AtomicBool,
    /// The growth that found no room, bytes; 0 if none.
    pub(super) wanted: AtomicU64,
}

/// A file, and what went wrong with it.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) faults: Arc<Faults>,
}

impl StorageBackend for Observed {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grown = len.saturating_sub(self.disk.len()?);
        self.disk.set_len(len).inspect_err(|error| {
            if is_full(error) {
                self.faults.wanted.store(grown.max(1), Ordering::Release);
            }
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data().inspect_err(|_| self.faults.sync.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data).inspect_err(|error| {
            if is_full(error) {
                self.faults.wanted.store(data.len().max(1) as u64, Ordering::Release);
            }
        })
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

/// Whether there was no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A real file.
#[derive(Debug)]
struct RealDisk {
    inner: FileBackend,
    /// The same open file.
    file: File,
}

/// The file at `path`; an empty store if there is none.
pub(super) fn open(path: &Path) -> Result<Arc<dyn Disk>, redb::Error> {
    let options = OpenOptions::new().read(true).write(true).clone();
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            options.open(path)?
        }
        opened => opened?,
    };
    // Without this the name may be gone after a crash, and with it all that was acknowledged.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(Arc::new(real(file)?))
}

fn real(file: File) -> Result<RealDisk, redb::Error> {
    Ok(RealDisk { inner: FileBackend::new(file.try_clone()?)?, file })
}

/// Makes an empty store under another name first: a crash leaves none that is half made.
fn make(path: &Path) -> Result<(), redb::Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let made = make_at(&new, path);
    let removed = std::fs::remove_file(&new);
    made?;
    Ok(removed?)
}

fn make_at(new: &Path, path: &Path) -> Result<(), redb::Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(new)?;
    let disk: Arc<dyn Disk> = Arc::new(real(file.try_clone()?)?);
    let observed = Observed { disk, faults: Arc::default() };
    redb::Builder::new().create_with_backend(observed)?.close()?;
    file.sync_all()?;
    match std::fs::hard_link(new, path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => Ok(linked?),
    }
}

impl Disk for RealDisk {
    fn free(&self) -> Option<u64> {
        let system = rustix::fs::fstatvfs(&self.file).ok()?;
        Some(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

impl StorageBackend for RealDisk {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let is = self.inner.len()?;
        if len > is {
            // A write into space that is only promised could fail when nothing can be done about it.
            match rustix::fs::fallocate(
                &self.file,
                rustix::fs::FallocateFlags::empty(),
                is,
                len - is,
            ) {
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                reserved => {
                    return reserved.map_err(|error| {
                        // Some file systems keep what they could reserve.
                        let _ = self.inner.set_len(is);
                        error.into()
                    });
                }
            }
        }
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
