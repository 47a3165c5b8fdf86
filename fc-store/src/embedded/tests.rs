//! A disk that fails, and forgets what it failed to sync.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use fc_core::port::store::{Revision, When};
use fc_core::{ErrorKind, Store};
use parking_lot::{Condvar, Mutex, MutexGuard};
use redb::StorageBackend;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::{RedbConfig, RedbStore};

/// What fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Read,
    Write,
    Grow,
    Sync,
}

const ALL: [Call; 4] = [Call::Read, Call::Write, Call::Grow, Call::Sync];

#[derive(Default, Debug)]
struct Platter {
    /// What readers see.
    cache: Vec<u8>,
    /// What a machine finds that starts again.
    durable: Vec<u8>,
    /// What was written since the last sync. A sync that fails drops it: the next will not know.
    dirty: Vec<(usize, Vec<u8>)>,
    fails: Option<(Call, u32)>,
    error: Option<io::ErrorKind>,
    failed: bool,
    syncs: u32,
    /// Bytes the disk has.
    room: Option<u64>,
    /// Syncs wait.
    gated: bool,
    waits: bool,
}

impl Platter {
    /// The k-th call of this kind fails, counted from now.
    fn call(&mut self, call: Call) -> io::Result<()> {
        match &mut self.fails {
            Some((fails, left)) if *fails == call => {
                *left -= 1;
                if *left > 0 {
                    return Ok(());
                }
                self.fails = None;
                self.failed = true;
                Err(self.error.unwrap_or(io::ErrorKind::Other).into())
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Default, Debug)]
struct TestDisk(Arc<(Mutex<Platter>, Condvar)>);

impl TestDisk {
    fn holding(image: Vec<u8>) -> Self {
        let platter = Platter { cache: image.clone(), durable: image, ..Platter::default() };
        Self(Arc::new((Mutex::new(platter), Condvar::new())))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.0.lock()
    }

    fn gate(&self, gated: bool) {
        self.platter().gated = gated;
        self.0.1.notify_all();
    }

    async fn open(&self) -> fc_core::Result<RedbStore> {
        let disk = self.clone();
        let config = RedbConfig::default();
        // Without a cache reads go to the disk.
        RedbStore::open_by(Box::new(move || Ok(Arc::new(disk.clone()))), 0, config).await
    }

    /// What another machine would find.
    fn crashed(&self) -> Self {
        Self::holding(self.platter().durable.clone())
    }

    fn fail(&self, call: Call, k: u32) {
        let mut platter = self.platter();
        platter.fails = Some((call, k));
        platter.failed = false;
    }
}

impl Disk for TestDisk {
    fn free(&self) -> Option<u64> {
        let platter = self.platter();
        platter.room.map(|room| room - platter.cache.len() as u64)
    }
}

impl StorageBackend for TestDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut platter = self.platter();
        platter.call(Call::Read)?;
        let from = offset as usize;
        out.copy_from_slice(&platter.cache[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.platter();
        if len > platter.cache.len() as u64 {
            platter.call(Call::Grow)?;
            if platter.room.is_some_and(|room| room < len) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        // Lengths are journalled: a crash does not take them back.
        platter.cache.resize(len as usize, 0);
        platter.durable.resize(len as usize, 0);
        platter.dirty.retain(|(from, bytes)| from + bytes.len() <= len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter();
        while platter.gated {
            platter.waits = true;
            self.0.1.notify_all();
            self.0.1.wait(&mut platter);
        }
        platter.waits = false;
        platter.syncs += 1;
        let dirty = std::mem::take(&mut platter.dirty);
        platter.call(Call::Sync)?;
        for (from, bytes) in dirty {
            platter.durable[from..from + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.platter();
        platter.call(Call::Write)?;
        let from = offset as usize;
        platter.cache[from..from + data.len()].copy_from_slice(data);
        platter.dirty.push((from, data.to_vec()));
        Ok(())
    }
}

fn value(number: u32) -> Bytes {
    Bytes::from(vec![number as u8; 500 + (number as usize % 7) * 3000])
}

/// What is known of a record.
#[derive(PartialEq, Eq, Debug)]
enum Known {
    There(Bytes),
    NotThere,
    Nothing,
}

/// The k-th read, write, growth or sync fails: whatever was acknowledged is there, in the store that
/// goes on and in what a machine finds that starts again; whatever was refused is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i31_no_failure_of_the_disk_takes_an_acknowledged_write_or_brings_a_refused_one() {
    let mut fired = BTreeMap::new();
    for call in ALL {
        for k in 1..=24 {
            let disk = TestDisk::default();
            let store = disk.open().await.unwrap();
            store.put("first", value(0), When::Absent).await.unwrap();
            let mut known = vec![("first".to_owned(), Known::There(value(0)))];
            disk.fail(call, k);
            for number in 0..12 {
                let writes = (0..4).map(|part| {
                    let (store, key) = (store.clone(), format!("{number}/{part}"));
                    tokio::spawn(async move {
                        let put = store.put(&key, value(number), When::Absent).await;
                        (key, put.map(drop).map_err(|error| error.kind()))
                    })
                });
                for write in writes.collect::<Vec<_>>() {
                    let (key, put) = write.await.unwrap();
                    known.push(match put {
                        Ok(()) => (key, Known::There(value(number))),
                        Err(ErrorKind::Unknown) => (key, Known::Nothing),
                        Err(ErrorKind::InternalServerError) => (key, Known::NotThere),
                        Err(kind) => panic!("{call:?} {k}: {kind:?}"),
                    });
                }
            }
            let failed = disk.platter().failed;
            *fired.entry(format!("{call:?}")).or_insert(0) += u32::from(failed);
            if failed && call == Call::Sync {
                let stopped = store.get("first").await.unwrap_err();
                assert!(stopped.message().contains("failed sync"), "{stopped:?}");
            } else {
                judge(&format!("{call:?} {k}, the same store"), &store, &known).await;
            }
            // The machine goes down before the store is closed.
            let crashed = disk.crashed().open().await.unwrap();
            judge(&format!("{call:?} {k}, after a crash"), &crashed, &known).await;
        }
    }
    assert!(fired.len() == 4 && fired.values().all(|times| *times >= 3), "{fired:?}");
}

async fn judge(what: &str, store: &RedbStore, known: &[(String, Known)]) {
    for (key, known) in known {
        let is = match store.get(key).await {
            Ok(record) => record.map(|record| record.value),
            // The failure may hit the first read; the file is opened again behind it.
            Err(_) => store.get(key).await.unwrap().map(|record| record.value),
        };
        let well = match known {
            Known::There(value) => is.as_ref() == Some(value),
            Known::NotThere => is.is_none(),
            Known::Nothing => true,
        };
        assert!(well, "{what}: {key} is {is:?}, known: {known:?}");
    }
}

/// A failed write or growth costs the writes of one commit, no more; and their fate is known.
#[tokio::test]
async fn a_store_goes_on_after_a_failed_write() {
    for call in [Call::Write, Call::Grow] {
        let disk = TestDisk::default();
        let store = disk.open().await.unwrap();
        disk.fail(call, 1);
        let mut refused = 0;
        for number in 0..20 {
            let put = store.put(&format!("{number}"), value(6), When::Absent).await;
            refused += u32::from(put.is_err());
        }
        assert_eq!((refused, disk.platter().failed), (1, true), "{call:?}");
    }
}

#[tokio::test]
async fn a_failed_sync_leaves_the_outcome_open_and_ends_the_store() {
    let disk = TestDisk::default();
    let store = disk.open().await.unwrap();
    disk.fail(Call::Sync, 1);
    let put = store.put("k", "v".into(), When::Always).await.unwrap_err();
    assert_eq!(put.kind(), ErrorKind::Unknown);
    for _ in 0..2 {
        let again = store.put("k", "v".into(), When::Always).await.unwrap_err();
        assert_eq!(
            (again.kind(), again.retry()),
            (ErrorKind::InternalServerError, fc_core::Retry::Never)
        );
        assert!(store.list("", None, 9).await.is_err());
        assert!(store.watch("", None).await.is_err());
    }
}

/// Writers that come during a commit share the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_a_sync() {
    let disk = TestDisk::default();
    let store = disk.open().await.unwrap();
    for number in 0..64 {
        store.put(&format!("warm/{number}"), value(6), When::Always).await.unwrap();
    }
    let before = disk.platter().syncs;
    let first = hold_the_writer(&disk, &store);
    let writes: Vec<_> = (0..64)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store.put(&format!("warm/{number}"), value(5), When::Always).await
            })
        })
        .collect();
    waiting(&store, 64);
    disk.gate(false);
    for write in writes {
        write.await.unwrap().unwrap();
    }
    first.await.unwrap().unwrap();
    let syncs = disk.platter().syncs - before;
    // One of the write that held the writer, one of all the others, and of growth.
    assert!(syncs <= 4, "{syncs} syncs for 64 writes");
}

/// What was refused because of a write that was never made is told so, and not that it was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_for_a_write_that_was_not_made() {
    let mut not_made = 0;
    for k in 1..=12 {
        let disk = TestDisk::default();
        let store = disk.open().await.unwrap();
        let first = hold_the_writer(&disk, &store);
        let puts: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.put("k", value(6), When::Absent).await })
            })
            .collect();
        waiting(&store, 3);
        disk.fail(Call::Write, k);
        disk.gate(false);
        first.await.unwrap().unwrap();
        let mut conflicts = 0;
        for put in puts {
            let kind = put.await.unwrap().map_err(|error| error.kind());
            conflicts += u32::from(kind == Err(ErrorKind::Conflict));
        }
        assert!(disk.platter().failed, "{k}");
        let there = store.get("k").await.unwrap().is_some();
        assert_eq!(conflicts, if there { 2 } else { 0 }, "{k}");
        not_made += u32::from(!there);
    }
    assert!(not_made > 0);
}

/// A write whose sync waits for the gate, and keeps the writer busy.
fn hold_the_writer(disk: &TestDisk, store: &RedbStore) -> JoinHandle<fc_core::Result<Revision>> {
    disk.gate(true);
    let store = store.clone();
    let held = tokio::spawn(async move { store.put("held", value(6), When::Always).await });
    let mut platter = disk.platter();
    while !platter.waits {
        disk.0.1.wait(&mut platter);
    }
    held
}

/// Waits until so many writes are in the line.
fn waiting(store: &RedbStore, count: usize) {
    while store.jobs.capacity() > store.jobs.max_capacity() - count {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_values_and_takes_deletions() {
    let disk = TestDisk::default();
    let store = disk.open().await.unwrap();
    disk.platter().room = Some(1_000_000);
    let mut kept = Vec::new();
    let refused = loop {
        let key = format!("{}", kept.len());
        match store.put(&key, vec![1; 20_000].into(), When::Absent).await {
            Ok(_) => kept.push(key),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ResourceThrottled);
    assert!(kept.len() > 5);
    // It is not tried again while there is no room: that would cost a walk through the file.
    let syncs = disk.platter().syncs;
    let again = store.put("x", "v".into(), When::Always).await.unwrap_err();
    assert!(again.message().contains("disk is full"), "{again:?}");
    assert_eq!(disk.platter().syncs, syncs);
    for key in &kept {
        assert!(store.get(key).await.unwrap().is_some());
    }
    assert!(store.delete(&kept[0], When::Always).await.unwrap());
    assert!(store.delete(&kept[1], When::Always).await.unwrap());
    store.put("small", "v".into(), When::Always).await.unwrap();
    // Room outside the file helps too.
    disk.platter().room = Some(100_000_000);
    for number in 0..100 {
        store.put(&format!("more/{number}"), vec![1; 20_000].into(), When::Absent).await.unwrap();
    }
}
