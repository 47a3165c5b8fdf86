//! A disk in memory that fails when it is told to, and forgets what was not synced.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use super::super::fs::{File, Fs};
use super::Random;

/// Bytes that reach the disk together or not at all.
const SECTOR: usize = 512;

/// A kind of call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Call {
    /// Fails only where it is named: a process that dies asks for nothing more either way.
    Read,
    Open,
    Write,
    Sync,
    Rename,
    Truncate,
    Allocate,
    SyncDir,
    Remove,
}

/// Those that change something.
pub(super) const CALLS: [Call; 8] = [
    Call::Open,
    Call::Write,
    Call::Sync,
    Call::Rename,
    Call::Truncate,
    Call::Allocate,
    Call::SyncDir,
    Call::Remove,
];

/// Calls that fail: some of one kind, or of all that are in [`CALLS`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub call: Option<Call>,
    /// The first that fails, counted from 1.
    pub from: u64,
    /// How many fail from there on.
    pub count: u64,
    pub error: io::ErrorKind,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    moved: Condvar,
    syncs: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that no sync has covered: a name, and whose it is then.
    changes: Vec<(PathBuf, Option<usize>)>,
    is_locked: bool,
    fault: Option<Fault>,
    /// Bytes that all files may have; a hole costs as much as data.
    room: Option<u64>,
    /// Syncs of files wait.
    is_held: bool,
    waiting_syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    /// Sectors that differ from what is durable, and would be written by a sync.
    dirty: std::collections::BTreeSet<usize>,
    allocated: u64,
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: usize,
}

#[derive(Debug)]
struct Lock(Disk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.state.lock().is_locked = false;
    }
}

impl Disk {
    pub(super) fn fail(&self, fault: Option<Fault>) {
        self.0.state.lock().fault = fault;
    }

    /// Lets all files together have so many bytes.
    pub(super) fn room(&self, bytes: Option<u64>) {
        self.0.state.lock().room = bytes;
    }

    pub(super) fn used(&self) -> u64 {
        let state = self.0.state.lock();
        state.names.values().map(|file| state.files[*file].size()).sum()
    }

    /// Syncs of files that were done.
    pub(super) fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// Lets syncs of files wait, or go on.
    pub(super) fn hold(&self, is_held: bool) {
        self.0.state.lock().is_held = is_held;
        self.0.moved.notify_all();
    }

    /// Waits until so many syncs wait.
    pub(super) fn await_held(&self, count: u64) {
        let mut state = self.0.state.lock();
        while state.waiting_syncs < count {
            self.0.moved.wait(&mut state);
        }
    }

    /// The power fails: of what no sync has covered, any part is there.
    pub(super) fn lose_power(&self, random: &mut Random) {
        let mut state = self.0.state.lock();
        let kept = random.below(state.changes.len() as u64 + 1) as usize;
        let changes = std::mem::take(&mut state.changes);
        let mut names = std::mem::take(&mut state.durable_names);
        for (name, file) in changes.into_iter().take(kept) {
            match file {
                Some(file) => _ = names.insert(name, file),
                None => _ = names.remove(&name),
            }
        }
        state.names.clone_from(&names);
        state.durable_names = names;
        for file in &mut state.files {
            let mut bytes = file.durable.to_vec();
            if random.below(2) == 0 {
                bytes.resize(file.bytes.len().max(bytes.len()), 0);
            }
            for sector in std::mem::take(&mut file.dirty) {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(file.bytes.len()).min(bytes.len());
                if from < to && random.below(2) == 0 {
                    bytes[from..to].copy_from_slice(&file.bytes[from..to]);
                }
            }
            file.bytes = Arc::new(bytes);
            file.durable = file.bytes.clone();
        }
        state.is_locked = false;
    }

    /// A disk of its own with the same files.
    pub(super) fn copy(&self) -> Self {
        let state = self.0.state.lock();
        let (files, names) = (state.files.clone(), state.names.clone());
        let durable_names = names.clone();
        let state = State { files, names, durable_names, ..State::default() };
        Self(Arc::new(Inner { state: Mutex::new(state), ..Inner::default() }))
    }

    /// The files, and what is in them.
    pub(super) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.0.state.lock();
        let content =
            |(name, file): (&PathBuf, &usize)| (name.clone(), state.files[*file].bytes.to_vec());
        state.names.iter().map(content).collect()
    }

    /// Replaces a file, or removes it.
    pub(super) fn put(&self, name: &Path, bytes: Option<Vec<u8>>) {
        let mut state = self.0.state.lock();
        match bytes {
            Some(bytes) => {
                let bytes = Arc::new(bytes);
                state.files.push(Content { durable: bytes.clone(), bytes, ..Content::default() });
                let file = state.files.len() - 1;
                state.names.insert(name.to_owned(), file);
            }
            None => _ = state.names.remove(name),
        }
    }

    fn call(&self, call: Call) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if let Some(fault) = &mut state.fault
            && fault.call.map_or(call != Call::Read, |it| it == call)
        {
            if fault.from > 1 {
                fault.from -= 1;
            } else if fault.count > 0 {
                fault.count -= 1;
                return Err(fault.error.into());
            }
        }
        Ok(())
    }
}

impl State {
    fn name(&mut self, name: &Path, file: Option<usize>) {
        match file {
            Some(file) => _ = self.names.insert(name.to_owned(), file),
            None => _ = self.names.remove(name),
        }
        self.changes.push((name.to_owned(), file));
    }

    fn has_room(&self, file: usize, size: u64) -> bool {
        let used = |(at, content): (usize, &Content)| match at == file {
            true => 0,
            false if self.names.values().any(|it| *it == at) => content.size(),
            false => 0,
        };
        let others: u64 = self.files.iter().enumerate().map(used).sum();
        self.room.is_none_or(|room| others + size <= room)
    }
}

impl Content {
    fn size(&self) -> u64 {
        self.allocated.max(self.bytes.len() as u64)
    }
}

impl Fs for Disk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let mut state = self.0.state.lock();
        if std::mem::replace(&mut state.is_locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock(self.clone())))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.state.lock();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.call(Call::Open)?;
        let mut state = self.0.state.lock();
        state.files.push(Content::default());
        let file = state.files.len() - 1;
        state.name(path, Some(file));
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.call(Call::Open)?;
        let state = self.0.state.lock();
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Handle { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename)?;
        let mut state = self.0.state.lock();
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.name(to, Some(file));
        state.name(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove)?;
        let mut state = self.0.state.lock();
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.name(path, None);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir)?;
        let mut state = self.0.state.lock();
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl File for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.0.state.lock().files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call(Call::Read)?;
        let state = self.disk.0.state.lock();
        let bytes = state.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let len = buffer.len().min(bytes.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        // Every other read is of what is not in memory.
        let is_cached = (offset / 8).is_multiple_of(2);
        Ok(is_cached && self.read_at(buffer, offset)? == buffer.len())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let failed = self.disk.call(Call::Write);
        let mut state = self.disk.0.state.lock();
        let offset = offset as usize;
        let end = offset + bytes.len();
        let mut written = if failed.is_ok() { bytes.len() } else { bytes.len() / 2 };
        let mut result = failed;
        let size = state.files[self.file].size();
        if end as u64 > size && !state.has_room(self.file, end as u64) {
            written /= 3;
            result = Err(io::ErrorKind::StorageFull.into());
        }
        let content = &mut state.files[self.file];
        let end = offset + written;
        let stored = Arc::make_mut(&mut content.bytes);
        if stored.len() < end {
            stored.resize(end, 0);
        }
        stored[offset..end].copy_from_slice(&bytes[..written]);
        content.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        {
            let mut state = self.disk.0.state.lock();
            state.waiting_syncs += 1;
            self.disk.0.moved.notify_all();
            while state.is_held {
                self.disk.0.moved.wait(&mut state);
            }
            state.waiting_syncs -= 1;
        }
        self.disk.0.syncs.fetch_add(1, Ordering::SeqCst);
        let failed = self.disk.call(Call::Sync);
        let mut state = self.disk.0.state.lock();
        let content = &mut state.files[self.file];
        // As Linux does it: after a failure the pages count as clean, and are not on the disk.
        let dirty = std::mem::take(&mut content.dirty);
        if failed.is_ok() {
            let len = content.bytes.len();
            let durable = Arc::make_mut(&mut content.durable);
            durable.resize(len, 0);
            for sector in dirty {
                let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(len));
                if from < to {
                    durable[from..to].copy_from_slice(&content.bytes[from..to]);
                }
            }
        }
        failed
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.disk.call(Call::Allocate)?;
        let mut state = self.disk.0.state.lock();
        if !state.has_room(self.file, bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = &mut state.files[self.file];
        content.allocated = bytes;
        let len = content.bytes.len().max(bytes as usize);
        Arc::make_mut(&mut content.bytes).resize(len, 0);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.disk.call(Call::Truncate)?;
        let mut state = self.disk.0.state.lock();
        let content = &mut state.files[self.file];
        Arc::make_mut(&mut content.bytes).resize(bytes as usize, 0);
        content.allocated = bytes;
        content.dirty.insert((bytes as usize).saturating_sub(1) / SECTOR);
        Ok(())
    }
}
