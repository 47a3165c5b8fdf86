//! What the log asks of a file system: small, so that a test can be one and let any call fail.

mod system;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub(super) use system::SystemFs;

/// A directory tree.
pub(super) trait Fs: Debug + Send + Sync + 'static {
    /// Makes the directory and whatever is missing above it, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock of this file, until what it gives is dropped; `WouldBlock` if another has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;

    /// The names in a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// An empty file to read and write; an older one of this name is emptied.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// A file that exists, to read and write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, in place of whoever had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file.
pub(super) trait File: Debug + Send + Sync + 'static {
    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads up to as many bytes as there is room for; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer if its bytes are in memory already; `false` if one would have to wait for
    /// them, or none can tell.
    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool>;

    /// Writes all bytes, or fails and has written any number of them.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, and the length with it.
    fn sync_data(&self) -> io::Result<()>;

    /// Takes blocks for this length, so that writes below it need none.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts or extends to this length.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

impl dyn File {
    /// Fills the buffer.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.read_full_at(buffer, offset)? {
            read if read == buffer.len() => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Fills the buffer as far as the file reaches.
    pub(super) fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}
