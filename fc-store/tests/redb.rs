//! The store in a file: the rules, restarts, a full disk, and processes that are killed.
// Helpers of tests may unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use fc_core::port::store::{Change, Durability, Revision, When};
use fc_core::{ErrorKind, Store};
use fc_store::{RedbConfig, RedbStore};
use fc_testkit::conformance::store::cases;
use futures_util::StreamExt;
use tempfile::TempDir;

async fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, RedbConfig::default()).await.unwrap()
}

/// A store in a directory that is there until the test's process ends.
async fn empty() -> Arc<dyn Store> {
    let directory = TempDir::new().unwrap().keep();
    // Some cases write more than is kept for watchers, and each write is a sync.
    let config = RedbConfig { watch_lag_max: 50, ..RedbConfig::default() };
    let store = RedbStore::open(directory.join("records"), config).await.unwrap();
    // The open file stays.
    std::fs::remove_dir_all(directory).unwrap();
    Arc::new(store)
}

mod rules {
    fc_testkit::store_conformance!(super::empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_store() {
    let store = empty().await;
    for _ in 0..2 {
        for case in cases() {
            assert_eq!(case.run(&store).await, Ok(()), "{case:?}");
        }
    }
}

#[tokio::test]
async fn it_declares_what_it_is() {
    let capabilities = empty().await.capabilities();
    assert_eq!(capabilities.durability, Durability::Fsync);
    assert_eq!((capabilities.value_bytes_max, capabilities.key_bytes_max), (2 * 1024 * 1024, 1024));
}

#[tokio::test]
async fn records_and_revisions_go_on_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("records");
    let store = open(&path).await;
    let first = store.put("a", "1".into(), When::Absent).await.unwrap();
    let second = store.put("b", "2".into(), When::Absent).await.unwrap();
    // The highest revision is that of a record that is gone.
    assert!(store.delete("b", When::Unchanged(second)).await.unwrap());
    store.close().await;
    let late = store.put("c", "3".into(), When::Absent).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::InternalServerError);
    assert!(store.get("a").await.is_err());

    let store = open(&path).await;
    assert_eq!(store.get("a").await.unwrap().unwrap().revision, first);
    assert_eq!(store.get("b").await.unwrap(), None);
    // What changed before is forgotten; since the last there is nothing to forget.
    let last = Revision(second.0 + 1);
    for (since, known) in
        [(first, false), (second, false), (last, true), (Revision(last.0 + 1), false)]
    {
        let watched = store.watch("", Some(since)).await.map(drop).map_err(|error| error.kind());
        assert_eq!(watched, if known { Ok(()) } else { Err(ErrorKind::Conflict) }, "{since:?}");
    }
    let mut changes = store.watch("", Some(last)).await.unwrap();
    let third = store.put("c", "3".into(), When::Absent).await.unwrap();
    assert!(third > last, "{third:?}");
    let change = changes.next().await.unwrap().unwrap();
    assert!(matches!(change, Change::Put(record) if record.revision == third));
    store.put("a", "4".into(), When::Unchanged(first)).await.unwrap();
}

#[tokio::test]
async fn a_file_is_opened_once_and_again_when_it_is_let_go() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("records");
    let store = open(&path).await;
    let second = RedbStore::open(&path, RedbConfig::default()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    let clone = store.clone();
    clone.close().await;
    open(&path).await;
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "something was left");
}

#[tokio::test]
async fn what_is_no_store_is_not_opened() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("records");
    std::fs::write(&path, "no store").unwrap();
    assert!(RedbStore::open(&path, RedbConfig::default()).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"no store");
    let nowhere = directory.path().join("no/such/directory");
    assert!(RedbStore::open(nowhere, RedbConfig::default()).await.is_err());
    let config = RedbConfig { batch_max: 0, ..RedbConfig::default() };
    let invalid = RedbStore::open(directory.path().join("x"), config).await.unwrap_err();
    assert_eq!(invalid.kind(), ErrorKind::InvalidArgument);
}

/// A small file system of its own, as root alone can make it.
struct Mounted(PathBuf);

impl Mounted {
    fn at(directory: &TempDir, size: &str) -> Self {
        let path = directory.path().to_owned();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .status()
            .expect("no `mount`: install Debian's package mount");
        assert!(mounted.success(), "a tmpfs cannot be mounted: this test must run as root");
        Self(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: the store may not have closed its file yet.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// T25: refused before it is acknowledged; reads and deletions go on; it recovers without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_a_full_disk_is_said_and_survived() {
    let directory = TempDir::new().unwrap();
    let mounted = Mounted::at(&directory, "3m");
    // A small cache: reads must go to the file.
    let config = RedbConfig { cache_bytes: 64 * 1024, ..RedbConfig::default() };
    let store = RedbStore::open(mounted.0.join("records"), config).await.unwrap();
    // Another's file takes most of the disk.
    let ballast = mounted.0.join("ballast");
    std::fs::write(&ballast, vec![0; 2 * 1024 * 1024]).unwrap();
    let fill = async |round: u32| {
        let mut kept = Vec::new();
        loop {
            let key = format!("{round}/{:03}", kept.len());
            match store.put(&key, vec![round as u8; 15_000].into(), When::Absent).await {
                Ok(_) => kept.push(key),
                Err(error) => return (kept, error),
            }
        }
    };
    let (kept, error) = fill(1).await;
    assert_eq!(error.kind(), ErrorKind::ResourceThrottled, "{error:?}");
    assert!(kept.len() > 5, "{} records", kept.len());
    for _ in 0..3 {
        let again = store.put("again", vec![0; 15_000].into(), When::Always).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::ResourceThrottled);
    }
    let listed = store.list("1/", None, 1000).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.key.clone()).collect::<Vec<_>>(), kept);
    assert!(listed.iter().all(|record| record.value == vec![1; 15_000]));
    for key in &kept[..4] {
        assert!(store.delete(key, When::Always).await.unwrap());
    }
    store.put("room", vec![3; 15_000].into(), When::Always).await.unwrap();
    std::fs::remove_file(&ballast).unwrap();
    let (more, error) = fill(2).await;
    assert_eq!(error.kind(), ErrorKind::ResourceThrottled, "{error:?}");
    assert!(more.len() > kept.len(), "{} records, then {}", kept.len(), more.len());
    let all = store.list("", None, 1000).await.unwrap();
    assert_eq!(all.len(), kept.len() - 4 + 1 + more.len());
    store.close().await;
    let store = open(&mounted.0.join("records")).await;
    assert_eq!(store.list("", None, 1000).await.unwrap(), all);
    store.close().await;
}

const CHILD: &str = "FC_STORE_KILLED_CHILD";

fn value(task: u32, number: u32) -> Vec<u8> {
    vec![(task * 31 + number) as u8; 100 + (number as usize * 997) % 6000]
}

/// Not a test: what the killed process does. It says what was acknowledged, one line each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test of kills"]
async fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let (path, round) = path.split_once('|').unwrap();
    let store = open(Path::new(path)).await;
    let tasks = (0..6).map(|task| {
        let (store, round) = (store.clone(), round.to_owned());
        tokio::spawn(async move {
            for number in 0.. {
                let key = format!("{round}/{task}/{number}");
                let put = store.put(&key, value(task, number).into(), When::Absent).await;
                println!("\nput {key} {}", put.unwrap().0);
                if number % 3 == 0 {
                    assert!(store.delete(&key, When::Always).await.unwrap());
                    println!("\ndeleted {key} 0");
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// 30 times a process is killed in the middle of its writes: what it was told is there, whole, and
/// under the revision it was told; and revisions never come again.
#[tokio::test]
async fn killed_processes_lose_nothing_that_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("records");
    let (mut acknowledged, mut highest) = (0, 0);
    for round in 0..30_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(CHILD, format!("{}|{round}", path.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each time after another number of acknowledgements.
        let until = 1 + (round as usize * 37) % 101;
        let mut told = Vec::new();
        while told.len() < until {
            told.extend(acknowledgement(&lines.next().expect("the child ended").unwrap()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        told.extend(lines.map_while(Result::ok).filter_map(|line| acknowledgement(&line)));

        let store = open(&path).await;
        let mut last = highest;
        for (what, key, revision) in &told {
            let (task, number) = key.split_once('/').unwrap().1.split_once('/').unwrap();
            let (task, number) = (task.parse().unwrap(), number.parse().unwrap());
            let record = store.get(key).await.unwrap();
            let deleted = told.iter().any(|(what, other, _)| what == "deleted" && other == key);
            match record {
                Some(record) => {
                    assert!(!deleted, "{key} is back");
                    assert_eq!(record.value, value(task, number));
                    assert_eq!(record.revision.0, *revision, "{key}");
                }
                // A deletion may be done and not acknowledged.
                None => assert!(number % 3 == 0, "round {round}: {key} is lost"),
            }
            if what == "put" {
                assert!(*revision > highest, "{revision} was given before");
                last = last.max(*revision);
            }
        }
        highest = last;
        acknowledged += told.len();
        store.close().await;
    }
    assert!(acknowledged > 1000, "{acknowledged}");
}

/// A whole line of the child's, if it is one.
fn acknowledgement(line: &str) -> Option<(String, String, u64)> {
    let mut words = line.split(' ');
    let what = words.next().filter(|what| matches!(*what, "put" | "deleted"))?;
    let (key, revision) = (words.next()?, words.next()?.parse().ok()?);
    Some((what.to_owned(), key.to_owned(), revision))
}
