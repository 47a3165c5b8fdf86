//! The least that is durable: a thread that takes whatever waits, writes it, syncs once, and answers.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use redb::{Database, TableDefinition};
use tokio::sync::oneshot;

/// Where a group of records goes.
pub(crate) trait Log: Send + 'static {
    /// Makes the records durable.
    fn append(&mut self, records: &[Bytes]);
}

/// Group commit over a log, for any number of clients.
pub(crate) struct Group {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<(Bytes, oneshot::Sender<()>)>,
    is_over: bool,
}

impl Group {
    pub(crate) fn new(mut log: impl Log) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = std::thread::spawn({
            let shared = shared.clone();
            move || {
                loop {
                    let taken = {
                        let mut state = shared.state.lock();
                        while state.waiting.is_empty() && !state.is_over {
                            shared.came.wait(&mut state);
                        }
                        std::mem::take(&mut state.waiting)
                    };
                    if taken.is_empty() {
                        return;
                    }
                    let (records, replies): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
                    log.append(&records);
                    replies.into_iter().for_each(|reply| _ = reply.send(()));
                }
            }
        });
        Self { shared, writer: Some(writer) }
    }

    pub(crate) async fn append(&self, record: Bytes) {
        let (reply, answer) = oneshot::channel();
        self.shared.state.lock().waiting.push((record, reply));
        self.shared.came.notify_one();
        answer.await.expect("the writer answers");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shared.state.lock().is_over = true;
        self.shared.came.notify_one();
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer ends");
        }
    }
}

/// Records with a length and a CRC, one after another, in files of 64 MB.
pub(crate) struct Files {
    dir: PathBuf,
    file: File,
    number: u32,
    offset: u64,
    is_ahead: bool,
    bytes: Vec<u8>,
}

const FILE_BYTES: u64 = 64 * 1024 * 1024;

impl Files {
    /// With `is_ahead`, each file is made of zeros before it is used, while nobody looks.
    pub(crate) fn new(dir: &Path, is_ahead: bool) -> Self {
        let file = make(dir, 0, is_ahead);
        Self { dir: dir.to_owned(), file, number: 0, offset: 0, is_ahead, bytes: Vec::new() }
    }

    /// Writes 1 KB and syncs: what one client cannot do without.
    pub(crate) fn one(&mut self, record: &Bytes) {
        self.append(std::slice::from_ref(record));
    }
}

impl Log for Files {
    fn append(&mut self, records: &[Bytes]) {
        self.bytes.clear();
        for record in records {
            self.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
            self.bytes.extend_from_slice(record);
        }
        if self.offset + self.bytes.len() as u64 > FILE_BYTES {
            std::fs::remove_file(self.dir.join(self.number.to_string())).expect("removed");
            self.number += 1;
            self.file = make(&self.dir, self.number, self.is_ahead);
            self.offset = 0;
        }
        self.file.write_all_at(&self.bytes, self.offset).expect("written");
        self.file.sync_data().expect("synced");
        self.offset += self.bytes.len() as u64;
    }
}

fn make(dir: &Path, number: u32, is_ahead: bool) -> File {
    let path = dir.join(number.to_string());
    let file = File::options().create(true).truncate(true).write(true).open(path).expect("a file");
    if is_ahead {
        let zeros = vec![0; 1024 * 1024];
        (0..64).for_each(|at| file.write_all_at(&zeros, at * 1024 * 1024).expect("zeros"));
    }
    file.sync_all().expect("synced");
    File::open(dir).and_then(|dir| dir.sync_all()).expect("the directory is synced");
    file
}

/// Records by number in `redb`, one durable transaction a group.
pub(crate) struct Redb {
    database: Database,
    next: u64,
}

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

impl Redb {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { database: Database::create(dir.join("redb")).expect("a database"), next: 0 }
    }
}

impl Log for Redb {
    fn append(&mut self, records: &[Bytes]) {
        let transaction = self.database.begin_write().expect("a transaction");
        {
            let mut table = transaction.open_table(TABLE).expect("a table");
            for record in records {
                table.insert(self.next, &**record).expect("inserted");
                self.next += 1;
            }
        }
        transaction.commit().expect("committed");
    }
}
